"""Arrays of a source that is already in memory, put into a checked data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hauberk.core.errors import DataError, MissingExtra
from hauberk.core.project import DataSection
from hauberk.core.protocols import Split
from hauberk.core.schema import AXES, Layout, Schema
from hauberk.datasets.checked import Draft, InMemory, apart, whole
from hauberk.datasets.labelling import index_labels

if TYPE_CHECKING:
    from hauberk.core.protocols import Floats


class Pair(NamedTuple):
    """Raw inputs and labels of one part."""

    x: np.ndarray
    y: np.ndarray


def from_arrays(
    name: str,
    section: DataSection,
    bounds: tuple[float, float] | None,
    train: Pair | None,
    test: Pair,
    *,
    halves: bool,
) -> InMemory:
    """Check arrays: images (n, c, h, w) or (n, h, w), rows (n, d), clips (n, f, c, h, w), or what data.layout says.

    halves: whether train and test are parts of their own; else test rows are held out of `test`.
    Raises DataError.
    """
    parts = [test] if train is None else [train, test]
    ys, notes = [pair.y for pair in parts], []
    labelled = index_labels(np.concatenate(ys), section.classes, name)
    xs, layout = [], section.layout or _layout(parts[-1].x)
    for pair in parts:
        x, note = _inputs(pair.x, layout, section.scale, name)
        xs.append(x)
        notes += [note] if note and note not in notes else []
    schema: Schema | None = None
    if layout == "row":
        xs, schema = _described(xs, section, name)
    draft = Draft(name=name, layout=layout, classes=labelled.classes, bounds=bounds, schema=schema, notes=tuple(notes))
    if not halves:
        return whole(draft, Split(xs[0], labelled.y), section.test_share, section.seed)
    cut = len(ys[0]) if train is not None else 0
    known = Split(xs[0], labelled.y[:cut]) if train is not None else None
    return apart(draft, known, Split(xs[-1], labelled.y[cut:]))


def _described(xs: list[np.ndarray], section: DataSection, name: str) -> tuple[list[Floats], Schema]:
    """Describe the columns of rows; images need no such library, so it is imported where rows are met."""
    try:
        from hauberk.datasets.table import Rows, schema_of_rows
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), "data") from error
    rows = schema_of_rows(Rows(xs, tuple(f"x{i}" for i in range(xs[-1].shape[1]))), section, name)
    return rows.xs, rows.schema


def _layout(x: np.ndarray) -> Layout:
    """Tell what an array holds by its shape; of (n, d) a table is the likeliest."""
    if x.ndim == 2:
        return "row"
    return "frames" if x.ndim == 5 else "chw"


def _inputs(x: np.ndarray, layout: Layout, scale: float | None, name: str) -> tuple[np.ndarray, str]:
    """Bring images to float32 (n, c, h, w), other layouts to their own shape; bytes of images count as grey levels."""
    if x.dtype.kind not in "biuf":
        raise DataError(f"inputs are of type {x.dtype}", where=name, fix="give numbers")
    axes = AXES[layout]
    if x.ndim != 1 + len(axes) and not (layout == "chw" and x.ndim == 3):
        raise DataError(f"inputs have shape {x.shape}", where=name, fix=f"give {layout} as (n, {', '.join(axes)})")
    note = ""
    if scale is None and x.dtype == np.uint8 and layout in ("chw", "frames"):
        scale, note = 255.0, "bytes were divided by 255; data.scale = 1 keeps them"
    if scale is not None and not scale > 0:
        raise DataError(f"the scale is {scale}", where="data.scale", fix="such as scale = 255")
    if layout == "tokens" and ((x < 0).any() or (x != np.round(x)).any()):
        raise DataError("token ids are not whole numbers from 0", where=name, fix="give ids, not words or vectors")
    if layout == "row" and scale is None:
        return x, note  # whole numbers of a table stay whole until its columns are described
    values = np.ascontiguousarray(x, dtype=np.float32)
    if scale not in (None, 1.0):
        values = values / np.float32(scale)
    return (values[:, None] if layout == "chw" and x.ndim == 3 else values), note
