"""What stands in columns of text: secrets, instructions to a model, what a visitor for personal data sees."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

import polars as pl

from hauberk.core.tables import FIRST, Personal, Rows
from hauberk.scanning.hidden_text import hidden_in
from hauberk.scanning.secret_kinds import PATTERNS
from hauberk.scanning.secret_search import secrets_in
from hauberk.scanning.tables.facts import Saying

_SHORTEST = 16
"""Characters of the shortest text that is looked through: no secret and no instruction is shorter."""
_PERSONAL = 4
"""Bytes of the shortest text that may name a person."""
_PIECE = 1 << 19
_LONGEST = 1 << 16
_WORDS = ("password", "passwd", "secret", "token", "api_key", "apikey", "bearer ", "access_key", "private_key")
_MARKS = sorted({mark.lower() for pattern in PATTERNS for mark in pattern.marks} | set(_WORDS))
_VERBS = (
    *("ignore", "disregard", "forget", "override", "do not", "don't", "never", "without", "secretly", "silently"),
    *(
        "covertly",
        "surreptitiously",
        "exfiltrat",
        "developer mode",
        "jailbreak",
        "you are now",
        "no ethical",
        "no safety",
    ),
    *("send", "post", "forward", "upload", "leak", "transmit", "append", "encode", "](http"),
)
_UNSEEN = (
    r"[\x{E0020}-\x{E007E}\x{202A}-\x{202E}\x{2066}-\x{2069}\x{200B}\x{2060}-\x{2064}\x{FEFF}\x{180E}"
    r"\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}]"
)
_DIGITS = 9
"""Whole numbers of so many digits may be cards, phones or ids written without their leading text."""


class Texts:
    """Looks through text columns batch by batch; keeps kinds, counts and row ids, never a value."""

    def __init__(self, personal: Personal | None = None) -> None:
        self._personal = personal
        self._found: dict[tuple[str, str], list[int]] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self._sure: dict[tuple[str, str], bool] = {}

    def add(self, frame: pl.DataFrame, first: int, leave_out: tuple[str, ...] = ()) -> None:
        """Look through a batch."""
        for series in frame.get_columns():
            if series.name in leave_out:
                continue
            if series.dtype == pl.String:
                self._text(series, first)
                if self._personal is not None and _longest(series) >= _PERSONAL:
                    self._personal.visit(series.name, first, series.to_list())
            elif self._personal is not None and series.dtype.is_integer() and _long(series):
                self._personal.visit(series.name, first, series.cast(pl.String).to_list())

    def _text(self, series: pl.Series, first: int) -> None:
        long = (series.str.len_bytes() >= _SHORTEST).fill_null(value=False)
        if not long.any():
            return
        rows = long.arg_true()
        texts = series.filter(long)
        marked = texts.str.contains_any(_MARKS, ascii_case_insensitive=True)
        self._secrets(series.name, texts.filter(marked).to_list(), [first + r for r in rows.filter(marked).to_list()])
        said = texts.str.contains_any(list(_VERBS), ascii_case_insensitive=True) | texts.str.contains(_UNSEEN)
        for text, row in zip(texts.filter(said).to_list(), rows.filter(said).to_list(), strict=True):
            for what, _ in hidden_in(text[:_LONGEST]):
                self._note(series.name, f"hidden:{what}", first + row, sure=True)

    def _secrets(self, column: str, texts: list[str], rows: list[int]) -> None:
        """Search texts joined into pieces: the search costs much less for one long text than for many short ones."""
        start = 0
        while start < len(texts):
            end, size = start, 0
            while end < len(texts) and (size < _PIECE or end == start):
                size += len(texts[end])
                end += 1
            piece = [text[:_LONGEST] for text in texts[start:end]]
            ends = list(accumulate(len(text) + 1 for text in piece))
            for hit in secrets_in("\n".join(piece)):
                row = rows[start + bisect_right(ends, hit.start)]
                self._note(column, f"secret:{hit.name}", row, sure=hit.confidence == "high")
            start = end

    def _note(self, column: str, kind: str, row: int, *, sure: bool) -> None:
        rows = self._found.setdefault((column, kind), [])
        self._counts[column, kind] = self._counts.get((column, kind), 0) + 1
        self._sure[column, kind] = self._sure.get((column, kind), False) or sure
        if len(rows) < FIRST and row not in rows:
            rows.append(row)

    def result(self) -> tuple[Saying, ...]:
        """Return what was seen, by column and kind."""
        made = [
            Saying(
                column=column,
                kind=kind,
                rows=Rows(count=self._counts[column, kind], first=tuple(rows)),
                certain=self._sure[column, kind],
            )
            for (column, kind), rows in self._found.items()
        ]
        for column, seen in self._personal.seen().items() if self._personal is not None else ():
            made += [Saying(column=column, kind=f"personal:{s.kind}", rows=s.rows, certain=s.certain) for s in seen]
        return tuple(sorted(made, key=lambda saying: (saying.column, saying.kind)))


def _longest(series: pl.Series) -> int:
    top = series.str.len_bytes().max()
    return top if isinstance(top, int) else 0


def _long(series: pl.Series) -> bool:
    top = series.max()
    return isinstance(top, int) and top >= 10**_DIGITS
