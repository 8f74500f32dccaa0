"""Turn labels of any kind into class indices (n,) int64, and say which classes there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hauberk.core.errors import DataError, nearest

if TYPE_CHECKING:
    from hauberk.core.protocols import Labels

_MOST = 100_000


class Labelled(NamedTuple):
    """Class indices and the classes' names in order."""

    y: Labels
    classes: tuple[str, ...]


def index_labels(raw: np.ndarray, declared: tuple[str, ...], where: str, part: str = "") -> Labelled:
    """Index labels (n,).

    declared: label values in the order of the model's outputs; labels that are no such values but integers are taken as
    indices into them. Without them integers are indices, and anything else is indexed in sorted order.
    Raises DataError that names the first row that does not fit.
    """
    if raw.ndim == 2 and raw.shape[1] == 1:
        raw = raw[:, 0]
    if raw.ndim != 1:
        fix = "give class indices (n,), such as y.argmax(1)"
        raise DataError(f"{part}labels have shape {raw.shape}", where=where, fix=fix)
    if raw.dtype.kind == "f":
        raw = _whole(raw, where, part)
    if raw.dtype.kind == "b":
        raw = raw.astype(np.int64)
    names = [str(value) for value in raw.tolist()]
    integers = raw.dtype.kind in "iu"
    if declared and set(names) <= set(declared):
        return Labelled(_by_name(names, declared), declared)
    if integers:
        return _indices(raw.astype(np.int64), declared, where, part)
    if not declared:
        known = tuple(sorted(set(names)))
        return Labelled(_by_name(names, known), known)
    row = next(row for row, name in enumerate(names) if name not in declared)
    raise DataError(
        f'{part}row {row} has the label "{names[row]}", which is no class',
        where=where,
        fix=nearest(names[row], declared),
    )


def _by_name(names: list[str], classes: tuple[str, ...]) -> Labels:
    place = {name: index for index, name in enumerate(classes)}
    return np.fromiter((place[name] for name in names), np.int64, len(names))


def _whole(raw: np.ndarray, where: str, part: str) -> np.ndarray:
    bad = ~np.isfinite(raw) | (raw != np.round(raw))
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{part}row {row} has the label {raw[row]}, not a whole number",
            where=where,
            fix="give class indices 0, 1, …; regression is not tested",
        )
    return raw.astype(np.int64)


def _indices(y: Labels, declared: tuple[str, ...], where: str, part: str) -> Labelled:
    top = len(declared) - 1 if declared else _MOST
    bad = (y < 0) | (y > top)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{part}row {row} has the label {y[row]}, out of range",
            where=where,
            fix=f"labels are 0 to {top}" + ("; data.classes says how many there are" if declared else ""),
        )
    return Labelled(y, declared or tuple(str(index) for index in range(int(y.max(initial=0)) + 1)))
