"""7z archives: the header by a reader of its own, the content by the standard library's decompressors."""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import BinaryIO, ClassVar, Literal, TypeAlias

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Problem, Reference
from hauberk.scanning.lz4_frames import Lz4
from hauberk.scanning.members import below_links, colliding, deceiving_name, repeated, too_much, unsafe_name
from hauberk.scanning.seven_zip_records import (
    MAGIC,
    SIGNATURE_BYTES,
    BrokenHeader,
    Coder,
    File,
    Folder,
    Header,
    Streams,
    header,
)
from hauberk.scanning.stretch import Content, Sink, Stretch, first
from hauberk.scanning.unpacking import Decompressor, Inflate, bzip2, drain, pieces
from hauberk.scanning.watch import Watch
from hauberk.scanning.zstd_frames import Zstandard

_COPY, _LZMA, _LZMA2, _DELTA, _ENCRYPTED = b"\x00", b"\x03\x01\x01", b"\x21", b"\x03", b"\x06\xf1\x07\x01"
_BRANCHES = {
    b"\x04": lzma.FILTER_X86, b"\x03\x03\x01\x03": lzma.FILTER_X86,
    b"\x05": lzma.FILTER_POWERPC, b"\x03\x03\x02\x05": lzma.FILTER_POWERPC,
    b"\x06": lzma.FILTER_IA64, b"\x03\x03\x04\x01": lzma.FILTER_IA64,
    b"\x07": lzma.FILTER_ARM, b"\x03\x03\x05\x01": lzma.FILTER_ARM,
    b"\x08": lzma.FILTER_ARMTHUMB, b"\x03\x03\x07\x01": lzma.FILTER_ARMTHUMB,
    b"\x09": lzma.FILTER_SPARC, b"\x03\x03\x08\x05": lzma.FILTER_SPARC,
}  # fmt: skip
_ALONE: dict[bytes, Callable[[], Decompressor]] = {
    b"\x04\x01\x08": lambda: Inflate(-15),
    b"\x04\x02\x02": bzip2,
    b"\x04\xf7\x11\x01": Zstandard,
    b"\x04\xf7\x11\x04": Lz4,
}
_HEADER, _DICTIONARY = 64 << 20, 256 << 20
_FLOOR = 64 << 20
_HELD_BACK = 4
"""Bytes that a branch filter keeps until its input ends, which LZMA without an end mark never tells it."""
_NESTED = 4
_TOLD = 50
_ProblemKind: TypeAlias = Literal["malformed", "truncated", "disagreement", "encrypted", "mismatch", "limit"]


class SevenZip:
    """Read every member of a 7z archive that is packed by LZMA, LZMA2, deflate, bzip2, LZ4, Zstandard or not at all."""

    card: ClassVar[Card] = Card(
        title="7z archive",
        summary="7z archives, whose members are unpacked and read; encrypted and rarely packed ones are named.",
        paper="7zFormat.txt, LZMA SDK",
        suffixes=(".7z",),
        begins=("7z\xbc\xaf\x27\x1c",),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the signature."""
        return blob.head.startswith(MAGIC)

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:
        """Read the header, then every member."""
        walk = _Walk(blob, limits, descend)
        try:
            walk.read()
        except BrokenHeader as error:
            walk.tell("malformed", f"the header is broken: {error}")
        except LimitExceeded as error:
            walk.tell("limit", error.what)
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="seven_zip",
            size=blob.size,
            references=tuple(walk.references),
            problems=tuple(walk.problems),
            parts=tuple(walk.parts),
        )


class _Walk:
    """The reading of one archive."""

    def __init__(self, blob: Blob, limits: Limits, descend: Descend) -> None:
        self._blob, self._limits, self._descend = blob, limits, descend
        self._watch, self._left = Watch(limits), limits.total_bytes
        self.problems: list[Problem] = []
        self.references: list[Reference] = []
        self.parts: list[Artifact] = []

    def tell(self, kind: _ProblemKind, message: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(kind=kind, message=message))

    def read(self) -> None:
        """Go through the archive; raises BrokenHeader, LimitExceeded."""
        with self._blob.open() as stream:
            found = self._header(stream)
            if found is None:
                return
            self._names(found.files)
            files = (file for file in found.files if not file.empty)
            for folder, start, packed in _placed(found.streams):
                own = list(islice(files, len(folder.parts)))
                self._folder(stream, folder, (start, packed), own)
            if next(files, None) is not None:
                self.tell("disagreement", "it lists more members than it has bytes for")

    def _header(self, stream: BinaryIO) -> Header | None:
        """Read the header, unpacking it where it is packed; None where that cannot be done, which is said."""
        fields = struct.unpack("<6sBBLQQL", self._blob.head[:SIGNATURE_BYTES].ljust(SIGNATURE_BYTES, b"\x00"))
        start, size, announced = SIGNATURE_BYTES + fields[4], fields[5], fields[6]
        if start + size > self._blob.size or not size:
            self.tell("truncated", "its header lies beyond its end" if size else "it has no header")
            return None
        if size > _HEADER:
            raise LimitExceeded(f"a header of {size} bytes is more than is read at once")
        if start + size < self._blob.size:
            self.tell("mismatch", f"{self._blob.size - start - size} bytes follow the archive")
        stream.seek(start)
        raw = stream.read(size)
        if zlib.crc32(raw) != announced:
            self.tell("mismatch", "its header does not match its checksum")
        for _ in range(_NESTED):
            found = header(raw, self._watch)
            if not found.encoded:
                return found
            folder, start, packed = next(_placed(found.streams), (None, 0, 0))
            content = None if folder is None else self._unpacked(stream, folder, (start, packed), "its header", _HEADER)
            if content is None:
                return None
            raw = first(content, _HEADER)
        raise BrokenHeader("a header packed again and again")

    def _names(self, files: tuple[File, ...]) -> None:
        if len(files) > self._limits.members:
            raise LimitExceeded(f"{len(files)} members are more than {self._limits.members}")
        names = [file.name for file in files]
        for file in files:
            if unsafe_name(file.name) or deceiving_name(file.name):
                self.references.append(Reference(kind="member-path", value=file.name))
        for message in islice(repeated(file.name for file in files if not file.empty), _TOLD):
            self.tell("disagreement", message)
        for message in islice(colliding(names), _TOLD):
            self.tell("mismatch", message)
        for name, link in below_links(names, [file.name for file in files if file.link]):
            self.references.append(Reference(kind="member-below-link", value=f"{name} through {link}"))

    def _folder(self, stream: BinaryIO, folder: Folder, span: tuple[int, int], files: list[File]) -> None:
        shown = repr(files[0].name[:100]) if files else "without a name"
        what = f"member {shown}" + (f" and {len(files) - 1} more" if len(files) > 1 else "")
        cap = min(self._limits.member_bytes, self._left, max(_FLOOR, int(span[1] * self._limits.ratio)))
        content = self._unpacked(stream, folder, span, what, cap)
        if content is None:
            return
        self._left -= len(content)
        place = 0
        for index, size in enumerate(folder.parts):
            name = files[index].name if index < len(files) else f"[{index}]"
            piece = _slice(content, place, size)
            place += size
            if index < len(files) and files[index].link:
                target = first(piece, 4096).decode("utf-8", "backslashreplace")
                self.references.append(Reference(kind="member-link", value=f"{name} -> {target}"))
            elif len(piece):
                self.parts.extend(self._descend(name, piece))

    def _unpacked(self, stream: BinaryIO, folder: Folder, span: tuple[int, int], what: str, cap: int) -> Content | None:
        """Unpack a folder; None where it cannot be, which is said."""
        start, packed = span
        if start + packed > self._blob.size:
            self.tell("truncated", f"{what}: its packed bytes lie beyond the end")
            packed = max(0, self._blob.size - start)
        if any(coder.method == _ENCRYPTED for coder in folder.coders):
            self.tell("encrypted", f"{what}: encrypted, its content was not read")
            return None
        chain = folder.chain()
        if chain == (Coder(_COPY, b"", 1, 1),) or (chain and all(coder.method == _COPY for coder in chain)):
            return Stretch(self._blob.open, start, min(packed, folder.size))
        try:
            worker = _worker(chain, folder.size) if chain else None
        except (lzma.LZMAError, ValueError, struct.error, IndexError):
            self.tell("malformed", f"{what}: its packing cannot be understood")
            return None
        if worker is None:
            methods = " ".join(coder.method.hex() for coder in folder.coders)
            self.tell("limit", f"{what}: packed by a method that is not read ({methods})")
            return None
        return self._drained(stream, worker, folder, (start, packed), what, cap)

    def _drained(
        self, stream: BinaryIO, worker: Decompressor, folder: Folder, span: tuple[int, int], what: str, cap: int
    ) -> Content:
        stream.seek(span[0])
        sink, wanted = Sink(), min(cap, folder.size)
        got = drain(pieces(stream.read, span[1]), worker, wanted, self._watch, sink)
        if folder.size > cap:
            self.tell("limit", too_much(what, span[1], cap))
        elif got.fault == "limit" and not got.why.startswith("more than"):
            self.tell("limit", got.why)
        elif sink.size < wanted - _HELD_BACK:
            self.tell("truncated", f"{what}: its packed bytes are broken")
        return sink.content()


def _placed(streams: Streams) -> Iterator[tuple[Folder, int, int]]:
    """Yield each folder with the offset and size of the first stream it reads."""
    start, sizes = SIGNATURE_BYTES + streams.start, list(streams.packed)
    for folder in streams.folders:
        own = sizes[: len(folder.inputs)]
        yield folder, start, own[0] if own else 0
        start += sum(own)
        del sizes[: len(folder.inputs)]


def _slice(content: Content, place: int, size: int) -> Content:
    there = max(0, min(size, len(content) - place))
    if isinstance(content, Stretch):
        return Stretch(content.open, place, there, there if content.spent else 0)
    return content[place : place + there]


def _worker(chain: tuple[Coder, ...], size: int) -> Decompressor | None:
    """Make one decompressor of a chain; None where the standard library has none."""
    chain = tuple(coder for coder in chain if coder.method != _COPY)
    if len(chain) == 1 and chain[0].method in _ALONE:
        return _ALONE[chain[0].method]()
    filters = [_filter(coder, size) for coder in chain]
    if not filters or None in filters:
        return None
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[one for one in filters if one is not None])


def _filter(coder: Coder, size: int) -> dict[str, int] | None:
    """Word a coder as liblzma does; a dictionary larger than what is unpacked is never needed."""
    if coder.method in _BRANCHES:
        return {"id": _BRANCHES[coder.method]}
    if coder.method == _DELTA:
        return {"id": lzma.FILTER_DELTA, "dist": coder.properties[0] + 1}
    most = max(4096, min(_DICTIONARY, size))
    if coder.method == _LZMA2:
        bits = coder.properties[0] & 63
        return {"id": lzma.FILTER_LZMA2, "dict_size": min(most, (2 | bits & 1) << bits // 2 + 11)}
    if coder.method == _LZMA:
        code, dictionary = struct.unpack("<BL", coder.properties[:5])
        rest, lc = divmod(code, 9)
        pb, lp = divmod(rest, 5)
        return {"id": lzma.FILTER_LZMA1, "dict_size": min(most, max(4096, dictionary)), "lc": lc, "lp": lp, "pb": pb}
    return None
