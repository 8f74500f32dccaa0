"""The bytes of one member of a zip, by one record's word on method and length; large stored ones stay in place."""

from __future__ import annotations

import zlib
from typing import Literal, NamedTuple

from hauberk.scanning.artifact import Blob
from hauberk.scanning.stretch import Content, Sink, Stretch
from hauberk.scanning.unpacking import Decompressor, Inflate, bzip2, drain, pieces, raw_lzma1, xz
from hauberk.scanning.watch import Watch
from hauberk.scanning.zip_records import ENCRYPTED, Record
from hauberk.scanning.zstd_frames import Zstandard

STORED, DEFLATED, BZIP2, LZMA, XZ = 0, 8, 12, 14, 95
ZSTD = (20, 93)
_IN_PLACE = 1 << 20
"""Stored members larger than this are neither copied nor summed."""
Fault = Literal["", "limit", "broken", "cut", "method"]


class Packed(NamedTuple):
    """Where a member's bytes are. record: whose method counts. start, size: of the packed bytes."""

    record: Record
    start: int
    size: int


class Member(NamedTuple):
    """A member's bytes; crc is None where they were not summed. fault: what went wrong with the rest."""

    content: Content
    crc: int | None
    fault: Fault = ""


def unpack(blob: Blob, packed: Packed, cap: int, watch: Watch) -> Member:
    """Unpack a member, at most `cap` bytes of it; what came before a fault is kept."""
    there = max(0, min(packed.size, blob.size - packed.start))
    if packed.record.method == STORED:
        return _stored(blob, packed, there)
    with blob.open() as stream:
        stream.seek(packed.start)
        worker = _worker(packed.record.method)
        if worker is None:
            return Member(b"", None, "method")
        sink = Sink()
        got = drain(pieces(stream.read, there), worker, cap, watch, sink)
    return Member(sink.content(), got.crc if not got.fault else None, got.fault)


def _stored(blob: Blob, packed: Packed, there: int) -> Member:
    fault: Fault = "cut" if there < packed.size else ""
    encrypted = bool(packed.record.flags & ENCRYPTED)
    if there > _IN_PLACE and not encrypted:
        return Member(Stretch(blob.open, packed.start, there), None, fault)
    with blob.open() as stream:
        stream.seek(packed.start)
        if there <= _IN_PLACE:
            data = stream.read(there)
            return Member(data, zlib.crc32(data), fault)
        feed, crc = pieces(stream.read, there), 0
        while piece := feed():
            crc = zlib.crc32(piece, crc)
        return Member(Stretch(blob.open, packed.start, there), crc, fault)


def _worker(method: int) -> Decompressor | None:
    """Make the decompressor of a method; None where there is none."""
    if method == DEFLATED:
        return Inflate(-15)
    if method == BZIP2:
        return bzip2()
    if method == XZ:
        return xz()
    if method in ZSTD:
        return Zstandard()
    return _HeadedLzma() if method == LZMA else None


class _HeadedLzma:
    """LZMA behind a version, the length of its properties, and the properties (APPNOTE 5.8)."""

    def __init__(self) -> None:
        self._head = b""
        self._worker: Decompressor | None = None

    @property
    def eof(self) -> bool:
        return self._worker is not None and self._worker.eof

    @property
    def needs_input(self) -> bool:
        return self._worker is None or self._worker.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._worker.unused_data if self._worker else b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if self._worker is not None:
            return self._worker.decompress(data, max_length)
        self._head += data
        size = int.from_bytes(self._head[2:4], "little")
        if len(self._head) < 9 or len(self._head) < 4 + size:
            return b""
        self._worker = raw_lzma1(self._head[4 : 4 + size])
        return self._worker.decompress(self._head[4 + size :], max_length)
