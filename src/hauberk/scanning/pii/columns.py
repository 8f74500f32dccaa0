"""Personal data in the columns of a table, batch by batch: kinds, counts and row ids, and what a whole column says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hauberk.core.tables import FIRST, Rows, Sightings
from hauberk.scanning.pii.engine import ALONE, INDEX, KINDS, POSSIBLE, search
from hauberk.scanning.pii.groups import PAD, Ints, Text
from hauberk.scanning.pii.names import NAME, known, names_a_person, names_nothing_else

SHARE, LEAST = 0.8, 20
"""So large a share of a column's values, and so many, that pass one check by themselves are what it checks."""
_BY_CHANCE = 3.0
"""A column passes a check by chance as long as fewer of its values do than this times the chance."""
_NAMES_SHARE, _WORDS_SHARE = 0.3, 0.5
"""A column called a name holds names where so many values are whole known names, or so many hold a word of one; the
first is enough for words too in a column that is called a first name or surname."""


@dataclass
class _Tally:
    """What one column holds of one kind. whole: values that are nothing else. lengths: of those values."""

    rows: int = 0
    first: list[int] = field(default_factory=list)
    whole: int = 0
    certain: bool = False
    lengths: set[int] = field(default_factory=set)


@dataclass
class _Column:
    """Tallies by (kind, how sure), how many values there were, and how many were all digits by length.

    named: values with a word of a name, counted where the column is called so. Names in lower case are found by it.
    first: ids of the first rows that have a value.
    """

    values: int = 0
    first: list[int] = field(default_factory=list)
    named: int = 0
    tallies: dict[tuple[int, int], _Tally] = field(default_factory=dict)
    numerals: dict[int, int] = field(default_factory=dict)


class PersonalColumns:
    """Looks for personal data in columns of text; fits `core.tables.Personal`. Values are never kept."""

    def __init__(self, *, with_names: bool = True) -> None:
        self._with_names = with_names
        self._columns: dict[str, _Column] = {}

    def visit(self, column: str, first: int, texts: Sequence[str | None]) -> None:
        """Look at one batch of a column; `first` is the id of its first row."""
        kept = self._columns.setdefault(column, _Column())
        raw, cuts = joined(texts)
        found = search(raw, column, with_names=self._with_names)
        rows = np.searchsorted(cuts, found.starts, "right") - 1
        ends = np.append(cuts[1:] - 1, len(raw))
        filled = ends > cuts
        kept.values += int(filled.sum())
        kept.first += (first + np.flatnonzero(filled)[: max(FIRST - len(kept.first), 0)]).tolist()
        _count_numerals(kept, raw, cuts, ends)
        if self._with_names and names_a_person(column):
            kept.named += len(np.unique(np.searchsorted(cuts, known(Text.of(raw)) - PAD, "right")))
        whole = (found.starts == cuts[rows]) & (found.ends == ends[rows])
        keys = found.kinds * 3 + found.sure
        for key in np.unique(keys).tolist():
            here = keys == key
            tally = kept.tallies.setdefault((key // 3, key % 3), _Tally())
            distinct = np.unique(rows[here])
            tally.rows += len(distinct)
            tally.whole += int((whole & here).sum())
            tally.lengths |= set(np.unique((found.ends - found.starts)[whole & here]).tolist())
            room = FIRST - len(tally.first)
            tally.first += (first + distinct[: max(room, 0)]).tolist()

    def seen(self) -> dict[str, tuple[Sightings, ...]]:
        """Return column → what was seen in it, most frequent first."""
        found = {}
        for name, column in self._columns.items():
            rows = self._judged(name, column)
            if rows:
                found[name] = tuple(sorted(rows, key=lambda one: (-one.rows.count, one.kind)))
        return found

    def accepted(self, column: str) -> frozenset[int]:
        """Return the kinds (indices into KINDS) whose merely possible values count in this column.

        Where one kind fills the column, values of its length that another check claimed by chance are its too.
        """
        kept = self._columns.get(column, _Column())
        possible = [kind for kind, sure in kept.tallies if sure == POSSIBLE]
        filling = [kind for kind in possible if _fills(kept, kind)]
        lengths = {length for kind in filling for length in kept.tallies[kind, POSSIBLE].lengths}
        return frozenset(kind for kind in possible if kept.tallies[kind, POSSIBLE].lengths & lengths)

    def doubted(self, column: str) -> frozenset[int]:
        """Return the kinds that a column of random numbers would show as often."""
        kept = self._columns.get(column, _Column())
        return frozenset(kind for kind, sure in kept.tallies if sure == ALONE and _is_chance(kept, kind))

    def holds_names(self, column: str) -> bool:
        """Say whether all of a column are names: it is called so, and some of its values are known ones."""
        kept = self._columns.get(column)
        if kept is None or not self._with_names or not names_a_person(column):
            return False
        whole = sum(tally.rows for (kind, _), tally in kept.tallies.items() if kind == INDEX[NAME.name])
        if whole > 0 and whole >= _NAMES_SHARE * kept.values:
            return True
        enough = _NAMES_SHARE if names_nothing_else(column) else _WORDS_SHARE
        return kept.named >= max(LEAST, enough * kept.values)

    def _judged(self, name: str, column: _Column) -> list[Sightings]:
        """Join the tallies of a kind: sure ones, and possible ones where the column says so."""
        joint: dict[int, _Tally] = {}
        accepted, doubted = self.accepted(name), self.doubted(name)
        filling = [kind for kind in accepted if _fills(column, kind)]
        for (kind, sure), tally in column.tallies.items():
            if (sure == POSSIBLE and kind not in accepted) or (sure == ALONE and kind in doubted):
                continue
            shown = filling[0] if sure == POSSIBLE else kind
            one = joint.setdefault(shown, _Tally())
            one.rows += tally.rows
            one.first = sorted({*one.first, *tally.first})[:FIRST]
            one.certain |= KINDS[shown].chance <= 0.1
        if self.holds_names(name):
            one = joint.setdefault(INDEX[NAME.name], _Tally())
            one.rows, one.first = column.values, column.first
        rows = [
            Sightings(KINDS[kind].name, Rows(count=tally.rows, first=tuple(tally.first)), tally.certain)
            for kind, tally in joint.items()
        ]
        return [one for one in rows if one.rows]


def joined(texts: Sequence[str | None]) -> tuple[bytes, Ints]:
    """Join values with zero bytes → the bytes, and where each value begins."""
    raw = "\0".join([text or "" for text in texts]).encode("utf-8", "replace")
    cuts = np.flatnonzero(np.frombuffer(raw, np.uint8) == 0) + 1
    if len(cuts) != max(len(texts) - 1, 0):
        return joined([text.replace("\0", " ") if text else "" for text in texts])
    return raw, np.concatenate([np.zeros(1, np.int64), cuts.astype(np.int64)])


def _count_numerals(kept: _Column, raw: bytes, cuts: Ints, ends: Ints) -> None:
    """Count the values that are nothing but digits, by their length."""
    data = np.frombuffer(raw + b"\0", np.uint8)
    other = np.add.reduceat((data - 48 > 9).astype(np.int64), cuts) - 1  # the zero byte after each value is one
    lengths = (ends - cuts)[(other == 0) & (ends > cuts)]
    for length, count in zip(*np.unique(lengths, return_counts=True), strict=True):
        kept.numerals[int(length)] = kept.numerals.get(int(length), 0) + int(count)


def _fills(column: _Column, kind: int) -> bool:
    """Say whether so much of the column passes this check that it is what the column holds."""
    tally = column.tallies[kind, POSSIBLE]
    return KINDS[kind].chance < 0.2 and tally.whole >= LEAST and tally.whole >= SHARE * column.values


def _is_chance(column: _Column, kind: int) -> bool:
    """Say whether bare numbers of a column pass a check as seldom as random ones do."""
    tally = column.tallies[kind, ALONE]
    alike = sum(column.numerals.get(length, 0) for length in tally.lengths)
    return tally.whole == tally.rows and alike >= LEAST and tally.whole < _BY_CHANCE * KINDS[kind].chance * alike
