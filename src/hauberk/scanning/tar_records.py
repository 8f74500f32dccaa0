"""The headers of a tar, one after another: names and sizes by every extension, with no opinion on them.

Layout: POSIX.1-2001 (ustar, pax), GNU tar manual "Basic Tar Format" and "Extensions to the Archive Format".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hauberk.scanning.artifact import Place, Problem
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

BLOCK = 512
HARD_LINK, SYMBOLIC_LINK, FOLDER, SPARSE, VOLUME = b"1", b"2", b"5", b"S", b"M"
SPECIAL = (b"3", b"4", b"6")
_BODILESS = (HARD_LINK, SYMBOLIC_LINK, FOLDER, *SPECIAL)
_LONG_NAME, _LONG_LINK, _PAX, _GLOBAL, _SOLARIS = b"L", b"K", b"x", b"g", b"X"
_EXTENSIONS = (_LONG_NAME, _LONG_LINK, _PAX, _GLOBAL, _SOLARIS)
_EXTENSION_BYTES = 1 << 20
_STEP = 1 << 20
_HUGE = 1 << 33
"""Sizes from here on do not fit the header's octal field and stand in a pax record instead."""


class Member(NamedTuple):
    """One member. data: offset of its bytes. target: of a link. sparse: its bytes have holes."""

    name: str
    kind: bytes
    size: int
    data: int
    target: str
    sparse: bool = False


class _Pending(NamedTuple):
    """What extension headers say of the next member; empty where they are silent."""

    long_name: str = ""
    long_link: str = ""
    path: str = ""
    link: str = ""
    size: int | None = None
    sparse: bool = False


def members(window: Window, watch: Watch, problems: list[Problem]) -> Iterator[Member]:
    """Yield the members of the archive and of those concatenated to it; what is odd goes to `problems`."""
    offset, pending, ended = 0, _Pending(), False
    while offset + BLOCK <= window.size:
        watch.tick(16)
        header = window.at(offset, BLOCK)
        if not header.strip(b"\x00"):
            offset, ended = _after_zeros(window, offset, watch, problems), True
            continue
        size = number(header[124:136])
        if size is None or not checksum_right(header):
            _tell(problems, "malformed", "a tar header is broken", offset)
            return
        kind, data = header[156:157], offset + BLOCK
        if kind in _EXTENSIONS:
            there = _there(window, data, size, offset, problems)
            raw = window.at(data, min(there, _EXTENSION_BYTES))
            pending = _extended(pending, kind, raw)
            offset = data + _padded(there)
            continue
        member, offset = _member(window, header, offset, pending, problems)
        yield member
        pending = _Pending()
    if not ended:
        _tell(problems, "truncated", "the archive has no end: it may break off", window.size)


def _member(
    window: Window, header: bytes, offset: int, pending: _Pending, problems: list[Problem]
) -> tuple[Member, int]:
    """Put a header and its extensions together; return the member and where the next header is."""
    kind, data, size = header[156:157], offset + BLOCK, number(header[124:136]) or 0
    names = [name for name in (pending.path, pending.long_name) if name]
    if len(set(names)) > 1:
        _tell(problems, "disagreement", f"a member has the long names {names[0][:80]!r} and {names[1][:80]!r}", offset)
    if pending.size is not None and pending.size != size:
        if size or pending.size < _HUGE:
            message = f"a member has {size} bytes by its header and {pending.size} by its extension"
            _tell(problems, "disagreement", message, offset)
        size = pending.size
    if kind == SPARSE:
        data += _more_maps(window, header, data)
    name = names[0] if names else _name(header)
    target = pending.link or pending.long_link or _text(header[157:257])
    if kind in _BODILESS and size:
        _tell(problems, "disagreement", f"member {name[:80]!r} is no file and has {size} bytes", offset)
        size = 0 if checksum_right(window.at(data, BLOCK)) else size
    there = _there(window, data, size, offset, problems)
    sparse = kind == SPARSE or pending.sparse
    return Member(name, kind, there, data, target, sparse), data + _padded(there)


def _extended(pending: _Pending, kind: bytes, raw: bytes) -> _Pending:
    if kind == _LONG_NAME:
        return pending._replace(long_name=_text(raw))
    if kind == _LONG_LINK:
        return pending._replace(long_link=_text(raw))
    fields = _pax(raw) if kind != _GLOBAL else {}
    size = fields.get(b"size", b"")
    return pending._replace(
        path=_text(fields.get(b"path", b"")) or pending.path,
        link=_text(fields.get(b"linkpath", b"")) or pending.link,
        size=int(size) if size.isdigit() and len(size) < 20 else pending.size,
        sparse=pending.sparse or any(key.startswith(b"GNU.sparse") for key in fields),
    )


def _pax(raw: bytes) -> dict[bytes, bytes]:
    """Read "length key=value" records by their lengths, the last of a key; stops where a length is none."""
    fields: dict[bytes, bytes] = {}
    place = 0
    while place < len(raw):
        digits, _, _ = raw[place : place + 20].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        record = raw[place + len(digits) + 1 : place + length]
        if length <= len(digits) + 1 or not record:
            break
        key, _, value = record.rstrip(b"\n").partition(b"=")
        fields[key] = value
        place += length
    return fields


def _after_zeros(window: Window, offset: int, watch: Watch, problems: list[Problem]) -> int:
    """Return where something else than zeros begins; a member that does is one that most readers never reach."""
    begun = offset
    while offset < window.size:
        watch.tick(16)
        piece = window.at(offset, _STEP)
        rest = piece.lstrip(b"\x00")
        if rest:
            offset += (len(piece) - len(rest)) // BLOCK * BLOCK
            if checksum_right(window.at(offset, BLOCK)):
                _tell(problems, "disagreement", "members follow after the end of the archive", offset)
                return offset
            _tell(problems, "mismatch", f"{window.size - offset} bytes follow the end of the archive", offset)
            return window.size
        offset += len(piece)
    return max(window.size, begun)


def _more_maps(window: Window, header: bytes, data: int) -> int:
    """Count the bytes of further sparse maps, which lie between a header and its data."""
    more, found = bool(header[482]), 0
    while more and found < _EXTENSION_BYTES:
        block = window.at(data + found, BLOCK)
        found += BLOCK
        more = len(block) == BLOCK and bool(block[504])
    return found


def _there(window: Window, data: int, size: int, offset: int, problems: list[Problem]) -> int:
    left = max(0, window.size - data)
    if size > left:
        _tell(problems, "truncated", f"a member announces {size} bytes, {left} are left", offset)
    return min(size, left)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _tell(problems: list[Problem], kind: str, message: str, offset: int) -> None:
    if len(problems) < 200:
        problems.append(Problem(kind=kind, message=message, place=Place(offset=offset)))  # type: ignore[arg-type]


def _name(header: bytes) -> str:
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\x00" else ""
    return f"{prefix}/{_text(header[:100])}" if prefix else _text(header[:100])


def _text(raw: bytes) -> str:
    return raw.partition(b"\x00")[0].decode("utf-8", "backslashreplace")


def number(raw: bytes) -> int | None:
    """Read an octal field, or a base-256 one; None where it is neither, or negative."""
    if raw[:1] and raw[0] & 0x80:
        return None if raw[0] & 0x40 else int.from_bytes(bytes([raw[0] & 0x3F]) + raw[1:], "big")
    text = raw.partition(b"\x00")[0].strip()
    if not text:
        return 0
    return int(text, 8) if text.isdigit() and not text.strip(b"01234567") else None


def checksum_right(header: bytes) -> bool:
    """Hold a header against its sum, of unsigned or, as some old writers have it, of signed bytes."""
    given = number(header[148:156])
    if len(header) < BLOCK or not header[0] or given is None:
        return False
    total = sum(header[:148]) + sum(header[156:]) + 8 * 32
    return given in (total, total - 256 * sum(byte > 127 for byte in header[:148] + header[156:]))
