"""Rows by what they hold: exact duplicates, equal rows with different labels, rows that stand in two parts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from hauberk.core.tables import Batch
from hauberk.scanning.tables.distinct import Repeated, Seen, groups, mixed
from hauberk.scanning.tables.facts import Overlap, Repeats
from hauberk.scanning.tables.gathered import rows_of

if TYPE_CHECKING:
    from hauberk.core.protocols import Floats

_SEED = 17
_NAMES = re.compile(
    r"(?i)(?:^|[_ .-])(?:id|uid|uuid|guid|key|index|idx|number|nr|no|file|path)$|^unnamed|^id[_ .-]|[a-z]Id$"
)
_ENOUGH = 20


class Found(NamedTuple):
    """What keys tell. parts: name of a part → sorted keys of its rows (features alone) and their row ids."""

    repeats: Repeats
    conflicts: Repeats | None
    overlaps: tuple[Overlap, ...]


class RowKeys:
    """Keys of rows over a stream: of all columns, and of all but the label; identifiers are left out."""

    def __init__(self, label: str, split: str = "", unique: tuple[str, ...] = ()) -> None:
        self._label, self._split, self._unique = label, split, frozenset(unique)
        self._left_out: frozenset[str] | None = None
        self._whole, self._features = Seen(), Seen()
        self._parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        self._rows = 0

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Columns that were left out because they name rows."""
        return tuple(sorted((self._left_out or frozenset()) - {self._split}))

    def add(self, batch: Batch) -> None:
        """Add a batch as it was read: two rows are equal where they are written alike."""
        frame = batch.frame
        if not len(frame):
            return
        if self._left_out is None:
            self._left_out = frozenset(_identifiers(frame, self._unique)) | {self._split}
        features = [name for name in frame.columns if name not in self._left_out and name != self._label]
        keys = _keys(frame, features, batch.vectors)
        self._features.add(pl.Series(keys), batch.first)
        if self._label in frame.columns:
            label = frame[self._label].hash(_SEED).to_numpy()
            self._whole.add(pl.Series(mixed(keys ^ label)), batch.first)
        if self._split in frame.columns:
            ids = np.arange(batch.first, batch.first + len(frame))
            for part in frame[self._split].unique().drop_nulls().to_list():
                here = (frame[self._split] == part).fill_null(value=False).to_numpy()
                self._parts.setdefault(str(part), []).append((keys[here], ids[here]))
        self._rows += len(frame)

    def result(self, labelled: bool) -> Found:
        """Say what was found; labelled: whether there is a label column."""
        alone = self._features.result()
        if not labelled:
            repeats = Repeats(
                rows=rows_of(alone.repeats), groups=groups(alone), known=self._rows, sampled=alone.share < 1
            )
            return Found(_counted(repeats, alone.total), None, self._overlaps())
        whole = self._whole.result()
        again, first_of = _conflicts(alone, whole)
        repeats = Repeats(rows=rows_of(whole.repeats), groups=groups(whole), known=self._rows, sampled=whole.share < 1)
        pairs = tuple((first_of[row], row) for row in again[:_ENOUGH].tolist())
        conflicts = Repeats(rows=rows_of(again), groups=pairs, known=self._rows)
        return Found(_counted(repeats, whole.total), conflicts, self._overlaps())

    def repeated(self, labelled: bool) -> tuple[dict[int, int], dict[int, int]]:
        """Return repeat → first row, of all repeats and of all rows that conflict with an earlier one."""
        alone = self._features.result()
        if not labelled:
            return dict(zip(alone.repeats.tolist(), alone.firsts.tolist(), strict=True)), {}
        whole = self._whole.result()
        again, first_of = _conflicts(alone, whole)
        return dict(zip(whole.repeats.tolist(), whole.firsts.tolist(), strict=True)), {
            r: first_of[r] for r in again.tolist()
        }

    def keys(self) -> tuple[np.ndarray, np.ndarray]:
        """Return keys of features and their rows, as far as they were kept."""
        return self._features.kept()

    def _overlaps(self) -> tuple[Overlap, ...]:
        parts = {
            name: (np.concatenate([k for k, _ in pieces]), np.concatenate([i for _, i in pieces]))
            for name, pieces in self._parts.items()
        }
        names = sorted(parts, key=_rank)
        found = [
            overlap(parts[other], parts[name], other, name) for i, name in enumerate(names) for other in names[i + 1 :]
        ]
        return tuple(one for one in found if one is not None)


def _conflicts(alone: Repeated, whole: Repeated) -> tuple[np.ndarray, dict[int, int]]:
    """Return rows that repeat another's features and not its label, and the first row with each one's features."""
    if alone.share < 1 or whole.share < 1:
        return np.zeros(0, np.int64), {}
    again = np.setdiff1d(alone.repeats, whole.repeats)
    return again, dict(zip(alone.repeats.tolist(), alone.firsts.tolist(), strict=True)) if len(again) else {}


def _rank(part: str) -> tuple[int, str]:
    """Put training rows first: it is the other parts that a repeat spoils."""
    return (0 if part.lower().startswith("train") else 1, part)


def overlap(
    here: tuple[np.ndarray, np.ndarray], there: tuple[np.ndarray, np.ndarray], part: str, other: str
) -> Overlap | None:
    """Find rows of one part that stand in the other; None where there is none."""
    again = np.isin(here[0], there[0])
    return Overlap(part=part, other=other, rows=rows_of(here[1][again]), of=len(here[0])) if again.any() else None


def _counted(repeats: Repeats, count: int) -> Repeats:
    rows = type(repeats.rows)(count=count, first=repeats.rows.first)
    return Repeats(rows=rows, groups=repeats.groups, known=repeats.known, sampled=repeats.sampled)


def _identifiers(frame: pl.DataFrame, unique: frozenset[str]) -> list[str]:
    """Name the columns that number or name rows: said to be unique, or all different and named or rising so."""
    found = []
    for series in frame.get_columns():
        if series.name in unique:
            found.append(series.name)
        elif len(frame) >= _ENOUGH and not series.dtype.is_float() and series.n_unique() == len(series):
            rising = series.dtype.is_integer() and series.is_sorted()
            if rising or _NAMES.search(series.name):
                found.append(series.name)
    return found


def _keys(frame: pl.DataFrame, features: list[str], vectors: Floats | None) -> np.ndarray:
    if "content" in features:  # the reader's own digest of a file says more than its thumbnail
        return frame["content"].hash(_SEED).to_numpy()
    if vectors is not None:
        return _hashed(vectors)
    if not features:
        return np.arange(len(frame)).astype(np.uint64)
    return frame.select(features).hash_rows(_SEED).to_numpy()


def _hashed(vectors: Floats) -> np.ndarray:
    """Hash rows of float32 (n, d): sums of their words by random odd numbers (Dietzfelbinger et al. 1997)."""
    words = np.ascontiguousarray(vectors, dtype=np.float32).view(np.uint32).astype(np.uint64)
    draws = np.random.default_rng(_SEED).integers(0, 1 << 63, vectors.shape[1], dtype=np.uint64) * np.uint64(
        2
    ) + np.uint64(1)
    with np.errstate(over="ignore"):
        return mixed((mixed(words) * draws).sum(1, dtype=np.uint64))
