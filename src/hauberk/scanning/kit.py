"""The formats and rules of a scan: found on disk, imported only when a file needs them."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from typing import NamedTuple, cast

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.core.plugins import Listing, catalog
from hauberk.scanning.artifact import Artifact, Blob, Descend, Draft, Format, Rule

_TAIL = (1 << 16) + 22


class Tools(NamedTuple):
    """The formats and rules of a scan, by name."""

    formats: tuple[tuple[str, Format], ...]
    rules: tuple[tuple[str, Rule], ...]


def tools(rules_off: tuple[str, ...] = ()) -> Tools:
    """List every format, and every rule whose name no pattern of `rules_off` matches."""
    formats, rules = _load()
    kept = tuple((name, rule) for name, rule in rules if not any(fnmatchcase(name, off) for off in rules_off))
    return Tools(formats, kept)


@cache
def _load() -> Tools:
    formats = tuple((entry.name, cast(Format, _LazyFormat(entry))) for entry in catalog("formats"))
    of_files = (entry for entry in catalog("rules") if not any("." in fact for fact in entry.card.reads))
    rules = tuple((entry.name, cast(Rule, _LazyRule(entry))) for entry in of_files)
    return Tools(formats, rules)


class _LazyFormat:
    """A format imported when it is first needed; what its card says of names and first bytes refuses most files."""

    def __init__(self, entry: Listing) -> None:
        self._entry = entry
        self._made: Format | None = None
        begins = [(0, one) if isinstance(one, str) else one for one in entry.card.begins]
        self._begins = tuple((skip, text.encode("latin-1")) for skip, text in begins)
        self._ends = tuple(text.encode("latin-1") for text in entry.card.ends)

    @property
    def card(self) -> Card:
        return self._entry.card

    def _get(self) -> Format:
        if self._made is None:
            self._made = cast(Format, _class(self._entry)())
        return self._made

    def sniff(self, blob: Blob) -> bool:
        card = self._entry.card
        if (card.by_name or self._begins) and not blob.name.endswith(card.suffixes):
            head = blob.head
            if not any(head.startswith(text, skip) for skip, text in self._begins) and not self._ends_so(blob):
                return False
        return self._get().sniff(blob)

    def _ends_so(self, blob: Blob) -> bool:
        """Look for the marks of the card in the last bytes, as far as a reader that searches from the end does."""
        if not self._ends:
            return False
        if blob.size <= len(blob.head):
            tail = blob.head
        else:
            with blob.open() as stream:
                stream.seek(max(0, blob.size - _TAIL))
                tail = stream.read(_TAIL)
        return any(mark in tail for mark in self._ends)

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:
        return self._get().parse(blob, limits, descend)


class _LazyRule:
    """A rule imported when there is a first artifact with facts it reads."""

    def __init__(self, entry: Listing) -> None:
        self._entry = entry
        self._made: Rule | None = None

    @property
    def card(self) -> Card:
        return self._entry.card

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        reads = self._entry.card.reads
        if reads and not any(getattr(artifact, fact) for fact in reads):
            return iter(())
        if self._made is None:
            self._made = cast(Rule, _class(self._entry)())
        return self._made.check(artifact)


def _class(entry: Listing) -> type:
    """Import a plug-in by its catalogue line, without reading its card again."""
    return cast(type, getattr(import_module(entry.module), entry.symbol))
