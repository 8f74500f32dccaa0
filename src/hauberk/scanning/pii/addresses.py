"""E-mail, IPv4, IPv6 and MAC addresses."""

from __future__ import annotations

import ipaddress

import numpy as np

from hauberk.scanning.pii.groups import DIGIT, DOT, OTHER, Flags, Groups, Ints, Text
from hauberk.scanning.pii.kinds import Kind
from hauberk.scanning.pii.spans import Spans

EMAIL = Kind("email", "E-mail address", "e-mail", chance=0.0, words="mail")
IPV4 = Kind("ipv4", "IPv4 address", "network address", chance=0.4, words=" ip |addr|host")
IPV6 = Kind("ipv6", "IPv6 address", "network address", chance=0.0, words=" ip")
MAC = Kind("mac", "MAC address", "network address", chance=0.0, words=" mac |ethernet")
_LOCAL, _DOMAIN = 64, 96
"""Characters of a local part (RFC 5321 §4.5.3.1) and as many of a domain as are looked at."""
_SHORT_LOCAL, _SHORT_DOMAIN = 24, 32
"""As many are enough for most; the others are looked at again."""
_VERSION = (b"ersion", b"VERSION", b"elease")


def _allowed(extra: str) -> Flags:
    table = np.zeros(256, np.bool_)
    table[np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", np.uint8)] = True
    table[128:] = True
    table[np.frombuffer(extra.encode(), np.uint8)] = True
    return table


_IN_LOCAL, _IN_DOMAIN, _HEX = _allowed("._%+-'&"), _allowed(".-"), np.zeros(256, np.bool_)
_HEX[np.frombuffer(b"0123456789abcdefABCDEF", np.uint8)] = True


def emails(text: Text) -> Spans:
    """Find addresses whose domain ends in letters."""
    ats = np.flatnonzero(text.data == ord("@"))
    if not len(ats):
        return Spans.none(EMAIL.name)
    long = _IN_LOCAL[text.windows(ats - _SHORT_LOCAL, _SHORT_LOCAL)].all(1)
    long |= _IN_DOMAIN[text.windows(ats + 1, _SHORT_DOMAIN)].all(1)
    short = _emails(text, ats[~long], _SHORT_LOCAL, _SHORT_DOMAIN)
    if not long.any():
        return short
    both = [np.concatenate(pair) for pair in zip(short[1:], _emails(text, ats[long], _LOCAL, _DOMAIN)[1:], strict=True)]
    return Spans(EMAIL.name, both[0], both[1], both[2])


def _emails(text: Text, ats: Ints, local: int, domain: int) -> Spans:
    """Judge the places of some @, with so many characters before and after."""
    before = _run(_IN_LOCAL[text.windows(ats - local, local)[:, ::-1]])
    after = text.windows(ats + 1, domain)
    length = _run(_IN_DOMAIN[after])
    rows = np.arange(len(ats))
    for _ in range(2):  # a full stop of the sentence
        last = after[rows, np.maximum(length - 1, 0)]
        length -= ((last == ord(".")) | (last == ord("-"))) & (length > 0)
    inside = np.arange(domain) < length[:, None]
    dots = (after == ord(".")) & inside
    final = np.where(dots.any(1), domain - 1 - dots[:, ::-1].argmax(1), domain)
    letters = text.kinds(ats + 1, domain) > DIGIT
    top = (~(inside & (np.arange(domain) > final[:, None])) | letters).all(1) & (length - final > 2)
    starts = ats - before
    for mark in b".'-":
        starts += (text.data[starts] == mark) & (starts < ats)
    doubled = (dots[:, 1:] & dots[:, :-1]).any(1) | (after[:, 0] == ord(".")) | (text.data[ats - 1] == ord("."))
    good = (starts < ats) & (before < local) & top & ~doubled & (final < domain)
    return Spans(EMAIL.name, starts[good], (ats + 1 + length)[good], np.ones(int(good.sum()), np.bool_))


def _run(allowed: Flags) -> Ints:
    """Count how many flags hold from the first on."""
    stopped = ~allowed
    return np.asarray(np.where(stopped.any(1), stopped.argmax(1), allowed.shape[1]).astype(np.int64))


def ipv4(text: Text, found: Groups) -> Spans:
    """Find four numbers up to 255 with dots; not versions, not names of zones."""
    if len(found.starts) < 4:
        return Spans.none(IPV4.name)
    piece = found.digits & (found.lengths <= 3)
    dotted = piece & (found.after == DOT)
    first = np.flatnonzero(dotted[:-3] & dotted[1:-2] & dotted[2:-1] & piece[3:])
    starts, ends = found.starts[first], found.ends[first + 3]
    good = text.left_free(starts) & (text.classes[ends] == OTHER)
    good &= ~((text.data[ends] == ord(".")) & (text.classes[ends + 1] == DIGIT))
    good &= (text.data[ends] != ord("-")) | (text.classes[ends + 1] == OTHER)
    for place in range(4):
        value, lead = _value(text, found.starts[first + place], found.ends[first + place])
        good &= (value <= 255) & ~lead
        good &= (value > 0) if place == 0 else True
    good &= ~_is_version(text, starts, good)
    return Spans(IPV4.name, starts[good], ends[good], np.ones(int(good.sum()), np.bool_))


def _value(text: Text, starts: Ints, ends: Ints) -> tuple[Ints, Flags]:
    """Read numbers of up to three digits, and say which have a zero before them."""
    value = np.zeros(len(starts), np.int64)
    for place in range(3):
        here = starts + place < ends
        value = np.where(here, value * 10 + text.data[starts + place] - 48, value)
    return value, (text.data[starts] == ord("0")) & (ends - starts > 1)


def _is_version(text: Text, starts: Ints, asked: Flags) -> Flags:
    """Say before which a word for a version stands."""
    found = np.zeros(len(starts), np.bool_)
    for row in np.flatnonzero(asked & ~text.begins(starts)).tolist():
        before = text.data[starts[row] - 14 : starts[row]].tobytes()
        found[row] = any(word in before for word in _VERSION) or before[-2:] in (b" v", b"==")
    return found


def macs(text: Text) -> Spans:
    """Find six pairs of hexadecimal digits with one mark between them, or three groups of four with dots."""
    spans = []
    for mark, step, count in ((":", 3, 6), ("-", 3, 6), (".", 5, 3)):
        places = np.flatnonzero(text.data == ord(mark))
        width = step * count - 1
        starts = places - (step - 1)
        for joint in range(1, count - 1):
            starts = starts[text.data[np.minimum(starts + step * joint + step - 1, len(text.data) - 1)] == ord(mark)]
        starts = starts[(starts > 2) & (starts + width + 2 < len(text.data))]
        if not len(starts):
            continue
        window = text.windows(starts, width)
        joints = np.arange(width) % step == step - 1
        good = _HEX[window[:, ~joints]].all(1) & (window[:, joints] == ord(mark)).all(1)
        good &= (window[:, ~joints] != window[:, :1]).any(1)
        before, after = text.data[starts - 1], text.data[starts + width]
        good &= (text.classes[starts - 1] == OTHER) & (text.classes[starts + width] == OTHER)
        good &= (before != ord(mark)) & ((after != ord(mark)) | (text.classes[starts + width + 1] == OTHER))
        spans.append(starts[good])
    found = np.concatenate(spans) if spans else np.zeros(0, np.int64)
    widths = np.where(text.data[found + 4] == ord("."), 14, 17) if len(found) else found
    return Spans(MAC.name, found, found + widths, np.ones(len(found), np.bool_))


def ipv6(text: Text) -> Spans:
    """Find addresses of eight groups, or with a gap: hexadecimal digits around colons."""
    colons = np.flatnonzero(text.data == ord(":"))
    if len(colons) < 2:
        return Spans.none(IPV6.name)
    pairs = colons[:-1][np.diff(colons) == 1]
    sevens = colons[:-6][colons[6:] - colons[:-6] <= 34] if len(colons) > 6 else colons[:0]
    inside = _HEX.copy()
    inside[np.frombuffer(b":.", np.uint8)] = True
    found: dict[int, int] = {}
    last = 0
    for place in np.union1d(pairs, sevens).tolist():
        if place < last:
            continue
        window = inside[text.data[place - 40 : place + 46]]
        left = int((~window[40::-1]).argmax())
        right = int((~window[40:]).argmax())
        start, end = place - left + 1, place + right
        last = end
        raw = text.data[start:end].tobytes().decode("ascii").rstrip(".")
        if text.classes[start - 1] == OTHER and text.classes[start + len(raw)] == OTHER and _is_ipv6(raw):
            found[start] = start + len(raw)
    starts = np.array(list(found), np.int64)
    return Spans(IPV6.name, starts, np.array(list(found.values()), np.int64), np.ones(len(starts), np.bool_))


def _is_ipv6(raw: str) -> bool:
    """Say whether hexadecimal digits and colons are an address that is somebody's: C++'s "std::" and "::" are not."""
    if "." in raw:
        return _reads(raw)
    head, gap, tail = raw.partition("::")
    parts = [*(head.split(":") if head else ()), *(tail.split(":") if tail else ())]
    if any(not 0 < len(part) <= 4 for part in parts) or sum(map(len, parts)) < 3:
        return False
    return len(parts) == 8 if not gap else 2 <= len(parts) <= 7


def _reads(raw: str) -> bool:
    """Say whether the standard library reads it: with an IPv4 address at its end."""
    try:
        ipaddress.IPv6Address(raw)
    except ValueError:
        return False
    return True
