"""What changed between two lists of row digests: rows added, changed, removed and moved, by their places."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

import numpy as np

_SHOWN = 10


class RowDifference(NamedTuple):
    """added: places in the new table. removed: in the old one. changed: (old place, new place). moved: how many.

    A row counts as changed where another one stands in its place between the same neighbours.
    """

    added: tuple[int, ...]
    removed: tuple[int, ...]
    changed: tuple[tuple[int, int], ...]
    moved: int

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.moved)

    def words(self) -> str:
        """Say it in one line; rows are counted from 0."""
        parts = [
            f"{what} {ranges(places)}"
            for what, places in (
                ("changed", [new for _, new in self.changed]),
                ("added", list(self.added)),
                ("removed", list(self.removed)),
            )
            if places
        ]
        return "; ".join(parts + ([f"{self.moved} rows moved"] if self.moved else [])) or "the same rows"


def difference(old: np.ndarray, new: np.ndarray) -> RowDifference:
    """Compare row digests, (n,) and (m,): what both begin and end with is set aside, the rest is aligned."""
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    middle_old, middle_new = old[head : len(old) - tail], new[head : len(new) - tail]
    kept_old, kept_new = _kept(middle_old, middle_new)
    gone, come = np.ones(len(middle_old), np.bool_), np.ones(len(middle_new), np.bool_)
    gone[kept_old], come[kept_new] = False, False
    moved = _moved(middle_old, middle_new, gone, come)
    added, removed, changed = _paired(gone, come, kept_old, kept_new)
    return RowDifference(
        tuple(place + head for place in added),
        tuple(place + head for place in removed),
        tuple((one + head, two + head) for one, two in changed),
        moved,
    )


def _common(old: np.ndarray, new: np.ndarray) -> int:
    """Count how many entries both begin with."""
    length = min(len(old), len(new))
    different = np.flatnonzero(old[:length] != new[:length])
    return int(different[0]) if len(different) else length


def _kept(old: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Align rows that are in both: place by place where lengths agree, else by the longest run in order (Hunt 1977)."""
    if len(old) == len(new):
        same = np.flatnonzero(old == new)
        if len(same) * 2 >= len(old):
            return same, same
    _, old_once = np.unique(old, return_index=True)
    values, new_once = np.unique(new, return_index=True)
    known = dict(zip(values.tolist(), new_once.tolist(), strict=True))
    old_once.sort()
    pairs = [
        (place, known[value])
        for place, value in zip(old_once.tolist(), old[old_once].tolist(), strict=True)
        if value in known
    ]
    chosen = _longest_rising([new_place for _, new_place in pairs])
    rows = np.array([pairs[index] for index in chosen], np.int64).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]


def _longest_rising(values: list[int]) -> list[int]:
    """Return the places of a longest rising subsequence (Fredman 1975)."""
    ends: list[int] = []
    places: list[int] = []
    before = [-1] * len(values)
    for index, value in enumerate(values):
        at = bisect_left(ends, value)
        if at:
            before[index] = places[at - 1]
        if at == len(ends):
            ends.append(value)
            places.append(index)
        else:
            ends[at], places[at] = value, index
    chosen, index = [], places[-1] if places else -1
    while index >= 0:
        chosen.append(index)
        index = before[index]
    return chosen[::-1]


def _moved(old: np.ndarray, new: np.ndarray, gone: np.ndarray, come: np.ndarray) -> int:
    """Take rows that only changed their place out of those gone and come; → how many."""
    waiting: dict[bytes, list[int]] = {}
    for place in np.flatnonzero(come).tolist():
        waiting.setdefault(new[place], []).append(place)
    count = 0
    for place in np.flatnonzero(gone).tolist():
        there = waiting.get(old[place])
        if there:
            gone[place], come[there.pop(0)] = False, False
            count += 1
    return count


def _paired(
    gone: np.ndarray, come: np.ndarray, kept_old: np.ndarray, kept_new: np.ndarray
) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Pair what went with what came between the same kept rows."""
    went, came = np.flatnonzero(gone), np.flatnonzero(come)
    gap_old, gap_new = np.searchsorted(kept_old, went), np.searchsorted(kept_new, came)
    added, removed, changed = [], [], []
    one = two = 0
    while one < len(went) or two < len(came):
        left = gap_old[one] if one < len(went) else np.inf
        right = gap_new[two] if two < len(came) else np.inf
        if left == right:
            changed.append((int(went[one]), int(came[two])))
        elif left < right:
            removed.append(int(went[one]))
        else:
            added.append(int(came[two]))
        one, two = one + (left <= right), two + (right <= left)
    return added, removed, changed


def ranges(places: list[int]) -> str:
    """Word places: "row 3", "rows 3, 7-9 and 12 more"."""
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][1] + 1:
            runs[-1][1] = place
        else:
            runs.append([place, place])
    shown = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs[:_SHOWN])
    more = sum(b - a + 1 for a, b in runs[_SHOWN:])
    return f"row{'' if len(places) == 1 else 's'} {shown}" + (f" and {more} more" if more else "")
