"""Single compressed streams, as joblib, tar and image layers use them; unpacked within limits."""

from __future__ import annotations

import lzma
import re
import zlib
from collections.abc import Callable
from typing import BinaryIO, ClassVar, NamedTuple

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Problem
from hauberk.scanning.lz4_frames import LEGACY, Lz4
from hauberk.scanning.lz4_frames import MAGIC as LZ4
from hauberk.scanning.stretch import Content, Sink
from hauberk.scanning.unpacking import CHUNK, Decompressor, Drained, Inflate, bzip2, drain, lzma_alone, xz
from hauberk.scanning.watch import Watch
from hauberk.scanning.zstd_frames import MAGIC as ZSTANDARD
from hauberk.scanning.zstd_frames import Zstandard

_FLOOR = 64 << 20
_ENDINGS = (".gz", ".bz2", ".xz", ".lzma", ".z", ".zlib", ".lz4", ".zst", ".tgz", ".tbz2", ".txz", ".tzst")
_LZMA_PROPERTIES = b"]\x00\x00"
_SKIPPABLE = 0x184D2A50
_ZFILE = re.compile(rb"ZF(?=[\s\w]{19})\s*(?:0[xX])?[0-9a-fA-F_]+\s")
"""joblib before 0.10: the unpacked length in hexadecimal, padded to 19 characters, then zlib (numpy_pickle_compat)."""
_LONGEST_HEAD = 24


class Compressed:
    """Unpack a compressed stream and read what is inside."""

    card: ClassVar[Card] = Card(
        title="Compressed stream",
        summary="gzip, zlib, bzip2, xz, lzma, LZ4 and Zstandard around another file, such as a joblib dump or a layer.",
        paper="RFC 1950; RFC 1952; the .xz file format; LZ4 Frame Format; RFC 8878",
        suffixes=(".gz", ".bz2", ".xz", ".lzma", ".z", ".lz4", ".zst"),
        begins=(
            "\x1f\x8b",
            "x\x01",
            "x\x5e",
            "x\x9c",
            "x\xda",
            "BZh",
            "\xfd7zXZ",
            "]\x00\x00",
            "ZF",
            "(\xb5/\xfd",
            "\x04\x22\x4d\x18",
            "\x02\x21\x4c\x18",
            (1, "\x2a\x4d\x18"),
        ),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept a known beginning; zlib's two bytes and lzma's three only where they begin to unpack."""
        worker = _worker(blob.head)
        if worker is None:
            return _skippable(blob.head) > 0
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
        name = _inner_name(blob.name)
        if _ZFILE.match(blob.head):
            name = name.removesuffix(".npy")  # the numbers alone, without the header such files have
        parts = descend(name, inside.content) if len(inside.content) else ()
        return Artifact(
            path=blob.path, part=blob.part, format="compressed", size=blob.size, problems=problems, parts=parts
        )


class _Inside(NamedTuple):
    content: Content
    problem: Problem | None


def _worker(head: bytes) -> Decompressor | None:
    """Make the decompressor for what begins so; None where nothing does."""
    makers: tuple[tuple[bool, Callable[[], Decompressor]], ...] = (
        (head.startswith((b"\x1f\x8b\x08", b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")), lambda: Inflate(15 + 32)),
        (head.startswith(b"BZh") and head[4:10] in (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90"), bzip2),
        (head.startswith(b"\xfd7zXZ\x00"), xz),
        (head.startswith(_LZMA_PROPERTIES) and len(head) > 13, lzma_alone),
        (head.startswith((LZ4, LEGACY)), Lz4),
        (head.startswith(ZSTANDARD), Zstandard),
    )
    return next((make() for fits, make in makers if fits), None)


def _skippable(head: bytes) -> int:
    """Return the size of a frame that LZ4 and Zstandard skip, or of joblib's old header; 0 where neither begins."""
    if _ZFILE.match(head):
        return 21 + (head[21:22] == b" ")
    kind = int.from_bytes(head[:4], "little")
    return 8 + int.from_bytes(head[4:8], "little") if len(head) >= 8 and kind & ~15 == _SKIPPABLE else 0


class _Source:
    """Packed bytes in chunks, of which some can be given back."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._back = stream, b""

    def feed(self) -> bytes:
        chunk, self._back = self._back or self._stream.read(CHUNK), b""
        return chunk

    def give_back(self, data: bytes) -> None:
        self._back = data

    def head(self) -> bytes:
        """Return the next bytes without taking them."""
        while len(self._back) < _LONGEST_HEAD and (more := self._stream.read(CHUNK)):
            self._back += more
        return self._back

    def skip(self, count: int) -> None:
        held = min(count, len(self._back))
        self._back = self._back[held:]
        self._stream.seek(count - held, 1)


def _unpack(blob: Blob, limits: Limits) -> _Inside:
    """Unpack all streams that follow one another; what came before a fault is kept."""
    cap = min(limits.member_bytes, limits.total_bytes, max(_FLOOR, int(blob.size * limits.ratio)))
    watch, sink = Watch(limits), Sink()
    with blob.open() as stream:
        source = _Source(stream)
        while head := source.head():
            if size := _skippable(head):
                watch.tick(64)
                source.skip(size)
                continue
            worker = _worker(head)
            if worker is None:
                break
            got = drain(source.feed, worker, cap - sink.size, watch, sink)
            if got.fault:
                return _Inside(sink.content(), _problem(got, cap))
            source.give_back(worker.unused_data)
        if head.strip(b"\x00"):
            problem = Problem(kind="malformed", message="other bytes follow the compressed stream")
            return _Inside(sink.content(), problem)
    return _Inside(sink.content(), None)


def _problem(got: Drained, cap: int) -> Problem:
    if got.fault == "limit":
        beyond = got.why.startswith("more than")
        return Problem(
            kind="limit", message=f"unpacks to more than {cap} bytes; what fits was read" if beyond else got.why
        )
    if got.fault == "cut":
        return Problem(kind="truncated", message="the compressed stream breaks off")
    return Problem(kind="malformed", message=f"the compressed stream is broken: {got.why}")


def _inner_name(name: str) -> str:
    """Name what is inside: the ending of the wrapper goes."""
    for ending in _ENDINGS:
        if name.endswith(ending):
            return name.removesuffix(ending) + (".tar" if ending.startswith(".t") else "")
    return name
