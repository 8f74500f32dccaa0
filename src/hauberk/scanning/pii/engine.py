"""Search a text for personal data: places, kinds and how sure, never the values themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from hauberk.scanning.pii import (
    addresses,
    americas,
    asia,
    cards,
    dates,
    europe,
    iban,
    medical,
    names,
    phones,
    vat,
    wallets,
)
from hauberk.scanning.pii.context import nearby, plain
from hauberk.scanning.pii.forms import Form, Lookup, characters
from hauberk.scanning.pii.groups import PAD, Bytes, Groups, Ints, Text, groups
from hauberk.scanning.pii.kinds import Kind
from hauberk.scanning.pii.spans import Spans

FORMED: tuple[Kind, ...] = (
    *cards.KINDS,
    *americas.KINDS,
    *europe.KINDS,
    *asia.KINDS,
    *medical.KINDS,
    *vat.KINDS,
    *dates.KINDS,
)
"""Kinds that are found by their written forms."""
KINDS: tuple[Kind, ...] = (
    *FORMED,
    iban.KIND,
    addresses.EMAIL,
    addresses.IPV4,
    addresses.IPV6,
    addresses.MAC,
    phones.PHONE,
    wallets.BITCOIN,
    wallets.ETHEREUM,
    names.NAME,
)
INDEX = {kind.name: index for index, kind in enumerate(KINDS)}
_CHANCES = np.array([kind.chance for kind in KINDS])
_NATIONAL = np.array([kind.family in ("national id", "tax number") and kind.chance < 0.2 for kind in KINDS])

POSSIBLE, BY_WORD, ALONE = 0, 1, 2
"""How sure: the check holds and nothing else speaks for it; a word beside it does; nothing else is written so."""

_ANY_ID = (
    *("national id", "identity", "identifi", " id no", " id nr", " id num", " id card", "personal no", "personal nr"),
    *("personal num", "personal code", "personal id", "tax id", "tax no", "tax num", " ssn ", "ausweis", "identité"),
    *("identidad", "document no", "document num", "passport"),
)
"""Words for a number people are known by that do not say of which country."""
_AFTER = 16
"""Bytes behind a number in which its word may stand."""
_WEAK = 0.5
"""A kind that so large a share of like writings passes is told by its word alone."""
_PIECE = 1 << 18
_CLOSE = 40
"""Characters before a weak number in which its word stands."""


class Found(NamedTuple):
    """Personal data of one text, in its order, none overlapping. kinds: indices into KINDS. starts, ends: bytes.

    sure: POSSIBLE, BY_WORD or ALONE.
    """

    kinds: Ints
    starts: Ints
    ends: Ints
    sure: Bytes

    def certain(self) -> Found:
        """Leave out what is merely possible."""
        kept = self.sure > POSSIBLE
        return Found(*(part[kept] for part in self))

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter((self.kinds, self.starts, self.ends, self.sure))


def search(raw: bytes, about: str = "", *, with_names: bool = False) -> Found:
    """Search UTF-8 text; a zero byte parts values, as a line break does.

    about: what it is about, such as the column's name: a word for all that is in it.
    """
    found, base = [], 0
    for piece in _pieces(raw):
        one = _search(piece, about, with_names)
        found.append(Found(one.kinds, one.starts + base, one.ends + base, one.sure))
        base += len(piece)
    return found[0] if len(found) == 1 else Found(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _pieces(raw: bytes) -> Iterator[bytes]:
    """Cut a long text between lines or values, so that what is worked on stays in the processor's cache."""
    start = 0
    while len(raw) - start > _PIECE:
        end = max(raw.rfind(mark, start, start + _PIECE) for mark in (b"\0", b"\n")) + 1
        if end <= start:
            end = start + _PIECE
        yield raw[start:end]
        start = end
    yield raw[start:]


def _search(raw: bytes, about: str, with_names: bool) -> Found:
    text = Text.of(raw)
    runs = groups(text)
    spans = [*_formed(text, runs), *_others(text, runs)]
    if with_names:
        spans.append(names.find(text))
    return _resolved(text, [one for one in spans if len(one.starts)], about.lower())


@cache
def _lookup() -> tuple[Lookup, dict[str, list[Kind]]]:
    """Gather the forms of all kinds once."""
    kinds: dict[str, list[Kind]] = {}
    for kind in FORMED:
        for form in kind.forms:
            kinds.setdefault(form, []).append(kind)
    return Lookup(kinds), kinds


def _formed(text: Text, runs: Groups) -> Iterator[Spans]:
    """Check what stands in a known form by every kind that is written so."""
    lookup, kinds = _lookup()
    for met in lookup.find(text, runs):
        chars = characters(text, met)
        chars_starts, form = met.starts, met.form
        same = _marks_agree(text, form, chars_starts)
        chars, chars_starts = chars[same], chars_starts[same]
        for kind in kinds[form.pattern]:
            assert kind.check is not None
            good = kind.check(chars)
            starts = chars_starts[good]
            sure = np.full(len(starts), form.pattern in kind.alone)
            yield Spans(kind.name, starts, starts + len(form.pattern), sure)


def _marks_agree(text: Text, form: Form, starts: Ints) -> np.ndarray:
    """Hold separators to the very marks of the form; a hash may meet another one by chance, or a bracket a blank."""
    marks = [(place, ord(mark)) for place, mark in enumerate(form.pattern) if mark not in "9A"]
    agree = np.ones(len(starts), np.bool_)
    for place, mark in marks:
        agree &= text.data[starts + place] == mark
    if marks:
        agree &= ~_goes_on(text, form, starts)
    numerals = [place for place, mark in enumerate(form.pattern) if mark == "9"]
    return np.asarray(agree & (text.kinds(starts, len(form.pattern))[:, numerals] == 1).all(1))


def _goes_on(text: Text, form: Form, starts: Ints) -> np.ndarray:
    """Say where the number goes on by the same mark and a group as long as its last one, so that it is a longer one."""
    runs = form.runs()
    if len(runs) < 3 or runs[-1][0] != "9" or runs[-2][0] in "9A":
        return np.zeros(len(starts), np.bool_)
    mark, size = ord(runs[-2][0]), runs[-1][1]
    ends = starts + len(form.pattern)
    after = (text.kinds(ends + 1, size) == 1).all(1) & (text.classes[ends + size + 1] != 1)
    before = (text.kinds(starts - 1 - size, size) == 1).all(1) & (text.classes[starts - size - 2] != 1)
    return np.asarray(after & (text.data[ends] == mark) | before & (text.data[starts - 1] == mark))


def _others(text: Text, runs: Groups) -> Iterator[Spans]:
    yield addresses.emails(text)
    yield addresses.ipv4(text, runs)
    yield addresses.ipv6(text)
    yield addresses.macs(text)
    yield iban.find(text, runs)
    yield phones.find(text, runs)
    yield from wallets.find(text)


def _resolved(text: Text, spans: Iterable[Spans], about: str) -> Found:
    """Weigh the words beside them, and of what overlaps keep the likeliest."""
    rows = list(spans)
    empty = np.zeros(0, np.int64)
    if not rows:
        return Found(empty, empty, empty, np.zeros(0, np.uint8))
    kinds = np.concatenate([np.full(len(one.starts), INDEX[one.kind]) for one in rows])
    starts = np.concatenate([one.starts for one in rows])
    ends = np.concatenate([one.ends for one in rows])
    alone = np.concatenate([one.sure for one in rows])
    rank = _ranks(text, kinds, starts, ends, alone, about)
    order = np.lexsort((_CHANCES[kinds], -ends, rank, starts))
    kept = order[_apart(rank[order], starts[order], ends[order])]
    sure = np.where(alone, ALONE, np.where(rank == 0, BY_WORD, POSSIBLE)).astype(np.uint8)
    return Found(kinds[kept], starts[kept] - PAD, ends[kept] - PAD, sure[kept])


def _ranks(text: Text, kinds: Ints, starts: Ints, ends: Ints, alone: np.ndarray, about: str) -> Ints:
    """Rank: 0 where a word speaks for the kind, 1 where nothing else is written so, 2 the rest."""
    rank = np.where(alone, 1, 2)
    weak = _CHANCES[kinds] >= _WEAK
    # a telephone number or a date inside what has a check digit and a form of its own is not asked about
    asked = ~alone & ~(weak & _meets(starts, ends, alone & ~weak))
    asked |= alone & ~weak & _meets(starts, ends, asked | alone, others=True)
    if about:
        asked_of = plain(about)
        told = np.array([any(word in asked_of for word in kind.words.split("|") if word) for kind in KINDS])
        if not told.any() and any(word in asked_of for word in _ANY_ID):
            told = _NATIONAL
        rank[told[kinds]] = 0
        asked &= ~told[kinds] & (alone if told.any() else True)  # the column's name has said what else it holds
    asked &= ~(text.begins(starts) & text.ends(ends))
    rows = np.flatnonzero(asked)
    for row, near in zip(rows.tolist(), nearby(text, starts[rows]), strict=True):
        if _spoken(text, near, int(kinds[row]), int(ends[row])):
            rank[row] = 0
    return np.asarray(rank, np.int64)


def _meets(starts: Ints, ends: Ints, chosen: np.ndarray, *, others: bool = False) -> np.ndarray:
    """Say which places overlap a chosen one; others: one besides themselves."""
    edges_in, edges_out = np.sort(starts[chosen]), np.sort(ends[chosen])
    count = np.searchsorted(edges_in, ends, "left") - np.searchsorted(edges_out, starts, "right")
    return np.asarray(count > (chosen if others else 0))


def _spoken(text: Text, near: str, kind: int, end: int) -> bool:
    """Say whether a word for the kind stands near, in the same line or value."""
    words, weak = _words(kind), KINDS[kind].chance >= _WEAK
    close = near[-_CLOSE:] if weak else near
    for word in words:
        if word in close:
            return True
    if weak or not words or text.data[end] != ord(" "):
        return False
    after = text.data[end : end + _AFTER].tobytes().replace(b"\0", b"\n").partition(b"\n")[0]
    following = plain(after.decode("utf-8", "ignore"))
    return any(word in following for word in words)


@cache
def _words(kind: int) -> tuple[str, ...]:
    """List the words for a kind, and for what people are known by those that say no country."""
    own = tuple(word for word in KINDS[kind].words.split("|") if word)
    return (*own, *_ANY_ID) if _NATIONAL[kind] else own


def _apart(rank: Ints, starts: Ints, ends: Ints) -> Ints:
    """Choose, in the order of the text, what does not overlap; a lower rank goes before one that begins earlier."""
    kept: list[np.ndarray] = []
    taken_starts = taken_ends = np.zeros(0, np.int64)
    for level in range(3):
        here = np.flatnonzero(rank == level)
        if len(here) and len(taken_starts):
            place = np.searchsorted(taken_starts, starts[here], "right") - 1
            free = (place < 0) | (taken_ends[np.maximum(place, 0)] <= starts[here])
            following = np.minimum(place + 1, len(taken_starts) - 1)
            free &= (place + 1 >= len(taken_starts)) | (taken_starts[following] >= ends[here])
            here = here[free]
        chosen = _greedy(starts[here], ends[here])
        kept.append(here[chosen])
        taken = np.sort(np.concatenate(kept))
        taken_starts, taken_ends = starts[taken], ends[taken]
    return np.sort(np.concatenate(kept))


def _greedy(starts: Ints, ends: Ints) -> Ints:
    """Choose from places sorted by their start those that begin after the last chosen one's end."""
    if not len(starts):
        return np.zeros(0, np.int64)
    reach = np.maximum.accumulate(ends)
    alone = np.ones(len(starts), np.bool_)
    alone[1:] = starts[1:] >= reach[:-1]
    if alone.all():
        return np.arange(len(starts))
    chosen, last = [], 0
    for row, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        if start >= last:
            chosen.append(row)
            last = end
    return np.array(chosen, np.int64)
