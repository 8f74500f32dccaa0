"""Logical lines of shell-like text: continued lines joined, comments left out, the first line's number kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

MOST_BYTES = 1 << 20
"""Of a build file or script: nobody writes a longer one by hand, and every rule reads all of it."""


class Line(NamedTuple):
    """A logical line. number, last: its first and last physical line, 1-based."""

    text: str
    number: int
    last: int


def logical_lines(text: str, escape: str = "\\") -> Iterator[Line]:
    """Join lines that end in the escape character; a comment line inside a joined one is left out, as builders do."""
    parts: list[str] = []
    start = 0
    number = 0
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.rstrip()
        if line.lstrip().startswith("#") or (parts and not line.strip()):
            continue
        start = start or number
        if line.endswith(escape):
            parts.append(line[: -len(escape)])
            continue
        parts.append(line)
        joined = " ".join(part.strip() for part in parts).strip()
        if joined:
            yield Line(joined, start, number)
        parts, start = [], 0
    if parts and (joined := " ".join(part.strip() for part in parts).strip()):
        yield Line(joined, start, number)
