"""Decompressors of the standard library behind one face, and their output taken piece by piece within a cap."""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, Protocol

from hauberk.core.errors import LimitExceeded
from hauberk.scanning.stretch import Sink
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


class Drained(NamedTuple):
    """How the reading of one stream ended. fault: "", "limit", "broken" or "cut"; why: in the library's words."""

    crc: int = 0
    fault: Literal["", "limit", "broken", "cut"] = ""
    why: str = ""


def drain(feed: Callable[[], bytes], worker: Decompressor, cap: int, watch: Watch, sink: Sink) -> Drained:
    """Unpack one stream into a sink, at most `cap` bytes of it; `feed` gives the next packed bytes, none at their end.

    What was unpacked before a fault, or before time or disk ran out, is kept.
    """
    crc, begun = 0, sink.size
    try:
        while not worker.eof:
            watch.tick(64)
            chunk = feed() if worker.needs_input else b""
            left = cap - (sink.size - begun)
            piece = worker.decompress(chunk, min(_PIECE, left + 1))
            if not chunk and not piece and worker.needs_input:
                return Drained(crc, "cut", "it breaks off")
            crc = zlib.crc32(piece[:left], crc)
            sink.write(piece[:left])
            if len(piece) > left:
                return Drained(crc, "limit", f"more than {cap} bytes")
    except LimitExceeded as error:
        return Drained(crc, "limit", error.what)
    except _BROKEN as error:
        return Drained(crc, "broken", str(error)[:100])
    return Drained(crc)


def pieces(read: Callable[[int], bytes], size: int) -> Callable[[], bytes]:
    """Make a function that returns the next chunk of so many bytes in all, and nothing at their end."""

    def chunks() -> Iterator[bytes]:
        left = size
        while left > 0 and (piece := read(min(CHUNK, left))):
            left -= len(piece)
            yield piece

    source = chunks()
    return lambda: next(source, b"")
