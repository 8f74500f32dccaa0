"""The two records a zip keeps of each member, in its central directory and before its data, with no opinion on either.

Layout: PKWARE APPNOTE.TXT 4.3.7 (local), 4.3.12 (central), 4.3.14–4.3.16 (end records, zip64).
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Iterator
from typing import Literal, NamedTuple, Protocol

from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

ENCRYPTED, DESCRIPTOR = 1 << 0, 1 << 3
STORED, DEFLATED, BZIP2, LZMA = 0, 8, 12, 14
_LOCAL, _CENTRAL, _END = struct.Struct("<4s5H3L2H"), struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_TAIL = 65_557
_CHUNK = 1 << 16
_FULL = 0xFFFFFFFF


class Record(NamedTuple):
    """One record. offset: of the local header. data: offset of the packed bytes, -1 in a central record."""

    where: Literal["central", "local"]
    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    data: int
    attributes: int = 0


class Unpacked(NamedTuple):
    """Bytes of a member. end: offset after its packed bytes. fault: "", "limit", "broken" or "method"."""

    data: bytes
    end: int
    fault: Literal["", "limit", "broken", "method"]


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def has_end(window: Window) -> bool:
    """Say whether there is an end record, wherever the bytes begin."""
    return _end_offset(window) >= 0


def _end_offset(window: Window) -> int:
    start = max(0, window.size - _TAIL)
    found = window.at(start, _TAIL).rfind(b"PK\x05\x06")
    return start + found if found >= 0 and window.size - start - found >= _END.size else -1


def central_records(window: Window, watch: Watch) -> list[Record] | None:
    """Read the central directory; None where there is none to be found."""
    end = _end_offset(window)
    if end < 0:
        return None
    _, _, _, _, count, size, offset, _ = _END.unpack(window.at(end, _END.size))
    place = end
    if count == 0xFFFF or size == _FULL or offset == _FULL:
        place, size, offset = _end64(window, end, size, offset)
    shift = place - size - offset
    start = offset + shift if shift >= 0 else offset
    if window.at(start, 4) != b"PK\x01\x02":
        start, shift = offset, 0
    return list(_central(window, watch, start, place, max(0, shift)))


def _end64(window: Window, end: int, size: int, offset: int) -> tuple[int, int, int]:
    locator = window.at(max(0, end - 20), 20)
    if len(locator) == 20 and locator[:4] == b"PK\x06\x07":
        for place in (struct.unpack("<Q", locator[8:16])[0], end - 20 - _END64.size):
            raw = window.at(place, _END64.size) if 0 <= place <= window.size else b""
            if len(raw) == _END64.size and raw[:4] == b"PK\x06\x06":
                fields = _END64.unpack(raw)
                return place, fields[8], fields[9]
    return end, size, offset


def _central(window: Window, watch: Watch, start: int, stop: int, shift: int) -> Iterator[Record]:
    while start + _CENTRAL.size <= stop:
        raw = window.at(start, _CENTRAL.size)
        if len(raw) < _CENTRAL.size or raw[:4] != b"PK\x01\x02":
            return
        watch.tick()
        fields = _CENTRAL.unpack(raw)
        flags, method, crc, packed, size = fields[3], fields[4], fields[7], fields[8], fields[9]
        name_size, extra_size, comment_size, attributes, offset = *fields[10:13], fields[15], fields[16]
        rest = window.at(start + _CENTRAL.size, name_size + extra_size)
        size, packed, offset = _widen(rest[name_size:], [size, packed, offset])
        name = _name(rest[:name_size])
        yield Record("central", name, flags, method, crc, packed, size, offset + shift, -1, attributes)
        start += _CENTRAL.size + name_size + extra_size + comment_size


def local_record(window: Window, offset: int) -> Record | None:
    """Read the local header at `offset`; None where there is none."""
    raw = window.at(offset, _LOCAL.size) if 0 <= offset < window.size else b""
    if len(raw) < _LOCAL.size or raw[:4] != b"PK\x03\x04":
        return None
    _, _, flags, method, _, _, crc, packed, size, name_size, extra_size = _LOCAL.unpack(raw)
    rest = window.at(offset + _LOCAL.size, name_size + extra_size)
    size, packed = _widen(rest[name_size:], [size, packed])
    data = offset + _LOCAL.size + name_size + extra_size
    return Record("local", _name(rest[:name_size]), flags, method, crc, packed, size, offset, data)


def _widen(extra: bytes, values: list[int]) -> list[int]:
    """Replace full 32-bit values by the 64-bit ones of the zip64 extra field, in their order."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        if kind == 1:
            wide = extra[position + 4 : position + 4 + length]
            for index, value in enumerate(values):
                if value == _FULL and len(wide) >= 8:
                    values[index], wide = struct.unpack_from("<Q", wide)[0], wide[8:]
            break
        position += 4 + length
    return values


def _name(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp437")


def unpack(window: Window, method: int, start: int, packed: int, cap: int, watch: Watch) -> Unpacked:
    """Unpack a member's bytes, at most `cap` of them; a deflate stream also tells where it ends by itself."""
    packed = min(packed, max(0, window.size - start))
    if method == STORED:
        data = window.at(start, min(packed, cap))
        return Unpacked(data, start + packed, "limit" if packed > cap else "")
    try:
        worker, start = _decompressor(window, method, start)
    except (lzma.LZMAError, ValueError, struct.error):
        return Unpacked(b"", start + packed, "broken")
    if worker is None:
        return Unpacked(b"", start + packed, "method")
    return _drain(window, worker, start, start + packed, cap, watch)


def _decompressor(window: Window, method: int, start: int) -> tuple[_Decompressor | None, int]:
    if method == DEFLATED:
        return _Inflate(), start
    if method == BZIP2:
        return bz2.BZ2Decompressor(), start
    if method == LZMA:
        head = window.at(start, 9)
        size = struct.unpack("<H", head[2:4])[0]
        filters = [{"id": lzma.FILTER_LZMA1, **_lzma_properties(head[4 : 4 + size])}]
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters), start + 4 + size
    return None, start


def _lzma_properties(raw: bytes) -> dict[str, int]:
    code, dictionary = struct.unpack("<BL", raw[:5])
    rest, lc = divmod(code, 9)
    pb, lp = divmod(rest, 5)
    return {"dict_size": min(dictionary, 1 << 26), "lc": lc, "lp": lp, "pb": pb}


class _Inflate:
    """Raw deflate with the interface of the other decompressors."""

    def __init__(self) -> None:
        self._worker = zlib.decompressobj(-15)

    @property
    def eof(self) -> bool:
        return self._worker.eof

    @property
    def unused_data(self) -> bytes:
        return self._worker.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._worker.decompress(self._worker.unconsumed_tail + data, max_length)


def _drain(window: Window, worker: _Decompressor, start: int, stop: int, cap: int, watch: Watch) -> Unpacked:
    pieces, size, position = [], 0, start
    try:
        while size <= cap and not worker.eof:
            watch.tick(64)
            chunk = window.at(position, min(_CHUNK, max(0, stop - position)))
            position += len(chunk)
            piece = worker.decompress(chunk, cap + 1 - size)
            if not chunk and not piece:
                break
            pieces.append(piece)
            size += len(piece)
    except (zlib.error, OSError, EOFError, lzma.LZMAError):
        return Unpacked(b"".join(pieces)[:cap], stop, "broken")
    data = b"".join(pieces)
    if size > cap:
        return Unpacked(data[:cap], stop, "limit")
    return Unpacked(data, position - len(worker.unused_data), "" if worker.eof else "broken")
