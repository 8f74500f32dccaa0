"""Single compressed streams: gzip, zlib, bzip2, xz and lzma, as joblib and tar use them; unpacked within limits."""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import ClassVar, Literal, NamedTuple, Protocol

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Problem
from hauberk.scanning.watch import Watch

_CHUNK = 1 << 16
_FLOOR = 64 << 20
_MEMORY = 256 << 20
_ENDINGS = (".gz", ".bz2", ".xz", ".lzma", ".z", ".zlib", ".tgz")
_LZMA_PROPERTIES = b"]\x00\x00"


class Compressed:
    """Unpack a compressed stream and read what is inside."""

    card: ClassVar[Card] = Card(
        title="Compressed stream",
        summary="gzip, zlib, bzip2, xz and lzma streams around another file, such as a compressed joblib dump.",
        paper="RFC 1950; RFC 1952; the .xz file format",
        suffixes=(".gz", ".bz2", ".xz", ".lzma", ".z", ".joblib"),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept a known beginning; zlib's two bytes and lzma's three only where they begin to unpack."""
        worker = _worker(blob.head)
        if worker is None:
            return False
        if not blob.head.startswith((b"x", _LZMA_PROPERTIES)):
            return True
        try:
            return bool(worker.decompress(blob.head, 16))
        except (zlib.error, lzma.LZMAError, EOFError):
            return False

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:
        """Unpack up to the limits and hand the bytes on."""
        inside = _unpack(blob, limits)
        problems = () if inside.problem is None else (inside.problem,)
        parts = descend(_inner_name(blob.name), inside.data) if inside.data else ()
        return Artifact(
            path=blob.path, part=blob.part, format="compressed", size=blob.size, problems=problems, parts=parts
        )


class _Inside(NamedTuple):
    data: bytes
    problem: Problem | None


class _Worker(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Inflate:
    """zlib or gzip with the interface of the other decompressors."""

    def __init__(self) -> None:
        self._worker = zlib.decompressobj(15 + 32)

    @property
    def eof(self) -> bool:
        return self._worker.eof

    @property
    def unused_data(self) -> bytes:
        return self._worker.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._worker.decompress(self._worker.unconsumed_tail + data, max_length)


def _worker(head: bytes) -> _Worker | None:
    if head.startswith(b"\x1f\x8b\x08") or head[:2] in (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda"):
        return _Inflate()
    if head.startswith(b"BZh") and head[4:10] == b"1AY&SY":
        return bz2.BZ2Decompressor()
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)
    if head.startswith(_LZMA_PROPERTIES) and len(head) > 13:
        return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_MEMORY)
    return None


def _unpack(blob: Blob, limits: Limits) -> _Inside:
    """Unpack all streams that follow one another; what came before a fault is kept."""
    by_ratio = max(_FLOOR, int(blob.size * limits.ratio))
    cap = min(limits.member_bytes, limits.total_bytes, by_ratio)
    watch, out = Watch(limits), bytearray()
    worker, rest = _worker(blob.head), b""
    with blob.open() as stream:
        try:
            while worker is not None:
                watch.tick(64)
                chunk = rest or stream.read(_CHUNK)
                piece = worker.decompress(chunk, cap + 1 - len(out))
                rest = b""
                out += piece
                if len(out) > cap:
                    return _fault("limit", f"unpacks to more than {cap} bytes; what fits was read", out[:cap])
                if worker.eof:
                    rest = worker.unused_data or stream.read(_CHUNK)
                    worker = _worker(rest)
                elif not chunk and not piece:
                    return _fault("truncated", "the compressed stream breaks off", out)
        except LimitExceeded as error:
            return _fault("limit", error.what, out)
        except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
            return _fault("malformed", f"the compressed stream is broken: {str(error)[:100]}", out)
    if rest.strip(b"\x00"):
        return _fault("malformed", "other bytes follow the compressed stream", out)
    return _Inside(bytes(out), None)


def _fault(kind: Literal["limit", "truncated", "malformed"], message: str, data: bytearray) -> _Inside:
    return _Inside(bytes(data), Problem(kind=kind, message=message))


def _inner_name(name: str) -> str:
    """Name what is inside: the ending of the wrapper goes."""
    for ending in _ENDINGS:
        if name.endswith(ending):
            return name.removesuffix(ending) + (".tar" if ending == ".tgz" else "")
    return name
