"""Lists of words: names, country codes; read once from the text files beside this one."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def words(name: str) -> tuple[str, ...]:
    """Read a list: words parted by blanks, lines that begin with # left out."""
    text = (resources.files("hauberk.scanning.pii.words") / f"{name}.txt").read_text(encoding="utf-8")
    return tuple(word for line in text.splitlines() if not line.startswith("#") for word in line.split())
