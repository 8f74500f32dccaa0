"""Split bytes into runs of digits and of letters, and say what stands between them: the one pass over all of a text."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Bytes: TypeAlias = npt.NDArray[np.uint8]
Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]

PAD = 128
"""Zero bytes before and after a text, so that a window around a place never leaves it."""

OTHER, DIGIT, LETTER, HIGH = 0, 1, 2, 3
"""Classes of bytes. HIGH: part of a character beyond ASCII, which counts as part of a word."""

ADJACENT = 1
"""The separator between a run of digits and one of letters that touch."""
SPACE, DASH, DOT, SLASH, COLON, OPEN, CLOSE = 2, 3, 4, 5, 6, 7, 8
SEPARATORS = {" ": SPACE, "-": DASH, ".": DOT, "/": SLASH, ":": COLON, "(": OPEN, ")": CLOSE}
_PAIRS = {
    " (": OPEN,
    "-(": OPEN,
    ") ": CLOSE,
    ")-": CLOSE,
    ").": CLOSE,
    ")/": CLOSE,
    "/ ": SLASH,
    "- ": DASH,
    " -": DASH,
}

_SENTINELS = 4
LONGEST_LETTERS = 7
"""Letters in a row inside a number that people are known by; longer runs are words."""


def _classes() -> Bytes:
    table = np.zeros(256, np.uint8)
    table[ord("0") : ord("9") + 1] = DIGIT
    table[ord("A") : ord("Z") + 1] = LETTER
    table[ord("a") : ord("z") + 1] = LETTER
    table[128:] = HIGH
    return table


def _separators() -> Bytes:
    table = np.zeros(256, np.uint8)
    for mark, code in SEPARATORS.items():
        table[ord(mark)] = code
    return table


def _marks(marks: str) -> Flags:
    table = np.zeros(256, np.bool_)
    table[np.frombuffer(marks.encode("ascii"), np.uint8)] = True
    return table


CLASS, _SEPARATOR = _classes(), _separators()
_JOINING = _marks("-./")
_PAIR_CODES = {ord(pair[0]) << 8 | ord(pair[1]): code for pair, code in _PAIRS.items()}


class Text(NamedTuple):
    """Bytes with zeros around them. data: padded. classes: of every byte of `data`."""

    data: Bytes
    classes: Bytes

    @classmethod
    def of(cls, raw: bytes) -> Text:
        """Pad and classify."""
        data = np.zeros(len(raw) + 2 * PAD, np.uint8)
        data[PAD : PAD + len(raw)] = np.frombuffer(raw, np.uint8)
        return cls(data, CLASS[data])

    def windows(self, starts: Ints, width: int) -> Bytes:
        """Copy the bytes of windows that begin at places → (n, width)."""
        return np.asarray(sliding_window_view(self.data, width)[starts], np.uint8)

    def kinds(self, starts: Ints, width: int) -> Bytes:
        """Copy the classes of the bytes of windows → (n, width)."""
        return np.asarray(sliding_window_view(self.classes, width)[starts], np.uint8)

    def begins(self, starts: Ints) -> Flags:
        """Say which places are the first of a line or a value."""
        before = self.data[starts - 1]
        return np.asarray((before == 0) | (before == ord("\n")))

    def ends(self, ends: Ints) -> Flags:
        """Say which places are behind the last of a line or a value."""
        after = self.data[ends]
        return np.asarray((after == 0) | (after == ord("\n")) | (after == ord("\r")))

    def left_free(self, starts: Ints) -> Flags:
        """Say of each place whether a number may begin there: not inside a word, a longer number, a path or a UUID."""
        before, further = self.data[starts - 1], self.classes[starts - 2]
        bad = (self.classes[starts - 1] != OTHER) | (before == ord("_")) | (before == ord("$"))
        bad |= _JOINING[before] & (further != OTHER)
        bad |= (before == ord(":")) & (further == DIGIT)
        return np.asarray(~bad)

    def right_free(self, ends: Ints) -> Flags:
        """Say of each place whether a number may end before it."""
        after, further = self.data[ends], self.classes[ends + 1]
        bad = (self.classes[ends] != OTHER) | (after == ord("_")) | (after == ord("@")) | (after == ord("%"))
        bad |= _JOINING[after] & (further != OTHER)
        bad |= (after == ord(":")) & (further == DIGIT)
        return np.asarray(~bad)


class Groups(NamedTuple):
    """Runs that may be part of a number, in order.

    starts, ends: places in the padded text. digits: whether the run is of digits. after: code of what stands between a
    run and the next one; 0 where they do not belong together.
    """

    starts: Ints
    ends: Ints
    digits: Flags
    after: Bytes

    @property
    def lengths(self) -> Ints:
        """How long each run is."""
        return self.ends - self.starts


def groups(text: Text) -> Groups:
    """Find the runs: all of digits, and short ones of letters that stand beside digits."""
    edges = np.flatnonzero(text.classes[1:] != text.classes[:-1]) + 1
    kinds = text.classes[edges]
    ends = np.append(edges[1:], len(text.data))
    wanted = np.flatnonzero((kinds == DIGIT) | ((kinds == LETTER) & (ends - edges <= LONGEST_LETTERS)))
    starts, ends, digits = edges[wanted], ends[wanted], kinds[wanted] == DIGIT
    after = np.zeros(len(starts), np.uint8)
    if len(starts) > 1:
        after[:-1] = _between(text.data, ends[:-1], starts[1:])
        beside = after[:-1] > 0
        near = np.zeros(len(starts), np.bool_)
        near[:-1] |= beside & digits[1:]
        near[1:] |= beside & digits[:-1]
        kept = digits | near
        after[:-1][~kept[1:]] = 0
        starts, ends, digits, after = starts[kept], ends[kept], digits[kept], after[kept]
    last = np.full(_SENTINELS, len(text.data) - PAD // 2)  # so that who looks a few runs ahead finds something
    return Groups(
        np.append(starts, last),
        np.append(ends, last),
        np.append(digits, np.zeros(_SENTINELS, np.bool_)),
        np.append(after, np.zeros(_SENTINELS, np.uint8)),
    )


def _between(data: Bytes, ends: Ints, starts: Ints) -> Bytes:
    """Code what stands between runs: nothing, one mark, or a mark with a bracket."""
    gap = starts - ends
    codes = np.where(gap == 0, np.uint8(ADJACENT), np.uint8(0))
    one = np.flatnonzero(gap == 1)
    codes[one] = _SEPARATOR[data[ends[one]]]
    two = np.flatnonzero(gap == 2)
    pairs = data[ends[two]].astype(np.int64) << 8 | data[ends[two] + 1]
    for pair, code in _PAIR_CODES.items():
        codes[two[pairs == pair]] = code
    return codes
