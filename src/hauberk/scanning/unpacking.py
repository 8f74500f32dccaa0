"""Decompressors of the standard library behind one face, and their output taken piece by piece within a cap."""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from hauberk.core.errors import LimitExceeded
from hauberk.scanning.stretch import Content, Sink
from hauberk.scanning.watch import Watch

CHUNK = 1 << 16
_PIECE = 1 << 20
_DICTIONARY = 256 << 20
_BROKEN = (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError, struct.error)


class Decompressor(Protocol):
    """A decompressor of one stream, fed in chunks."""

    @property
    def eof(self) -> bool:
        """The stream has ended."""
        ...

    @property
    def needs_input(self) -> bool:
        """More output needs more input."""
        ...

    @property
    def unused_data(self) -> bytes:
        """Input after the end of the stream."""
        ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Take input and return at most so many bytes; raises one of the libraries' errors or ValueError."""
        ...


class Inflate:
    """Deflate with the interface of the other decompressors. bits: -15 for a raw stream, 47 for zlib's or gzip's."""

    def __init__(self, bits: int) -> None:
        self._worker = zlib.decompressobj(bits)

    @property
    def eof(self) -> bool:
        """The stream has ended."""
        return self._worker.eof

    @property
    def needs_input(self) -> bool:
        """Nothing is left over from the last chunk."""
        return not self._worker.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        """Input after the end of the stream."""
        return self._worker.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Unpack what is left over, then `data`."""
        return self._worker.decompress(self._worker.unconsumed_tail + data, max_length)


def raw_lzma1(properties: bytes) -> Decompressor:
    """Make a decompressor from LZMA's five bytes of properties; raises one of the errors `drain` knows."""
    code, dictionary = struct.unpack("<BL", properties[:5])
    rest, lc = divmod(code, 9)
    pb, lp = divmod(rest, 5)
    filters = {"id": lzma.FILTER_LZMA1, "dict_size": min(dictionary, _DICTIONARY), "lc": lc, "lp": lp, "pb": pb}
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[filters])


def xz() -> Decompressor:
    """Make a decompressor of the .xz format."""
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_DICTIONARY)


def lzma_alone() -> Decompressor:
    """Make a decompressor of the older .lzma format."""
    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_DICTIONARY)


def bzip2() -> Decompressor:
    """Make a decompressor of bzip2."""
    return bz2.BZ2Decompressor()


class Unpacked(NamedTuple):
    """What a stream held. used: packed bytes it took. fault: "", "limit", "broken", "cut" or "method"."""

    content: Content
    used: int = 0
    crc: int = 0
    fault: Literal["", "limit", "broken", "cut", "method"] = ""
    why: str = ""


def drain(
    feed: Callable[[], bytes], worker: Decompressor, cap: int, watch: Watch, sink: Sink | None = None
) -> Unpacked:
    """Unpack one stream, at most `cap` bytes of it; `feed` gives the next packed bytes, none at their end.

    What was unpacked before a fault, or before time or disk ran out, is kept.
    """
    sink = Sink() if sink is None else sink
    used, crc, begun = 0, 0, sink.size
    fault: Literal["", "limit", "broken", "cut"] = ""
    why = ""
    try:
        while not worker.eof:
            watch.tick(64)
            chunk = feed() if worker.needs_input else b""
            used += len(chunk)
            piece = worker.decompress(chunk, min(_PIECE, cap + 1 - (sink.size - begun)))
            if not chunk and not piece and worker.needs_input:
                fault = "cut"
                break
            over = sink.size - begun + len(piece) > cap
            piece = piece[: cap - (sink.size - begun)] if over else piece
            crc = zlib.crc32(piece, crc)
            sink.write(piece)
            if over:
                fault = "limit"
                break
    except LimitExceeded as error:
        fault, why = "limit", error.what
    except _BROKEN as error:
        fault, why = "broken", str(error)[:100]
    return Unpacked(sink.content(), used - len(worker.unused_data), crc, fault, why)
