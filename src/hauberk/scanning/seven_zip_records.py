"""The header of a 7z archive: packed streams, the chains of coders they go through, and the members' names and sizes.

Layout: 7zFormat.txt of the LZMA SDK. Every count is held against the bytes that are there before it is believed.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from hauberk.scanning.watch import Watch

MAGIC = b"7z\xbc\xaf\x27\x1c"
SIGNATURE_BYTES = 32
(_END, _HEADER, _ARCHIVE_PROPERTIES, _MORE_STREAMS, _MAIN_STREAMS, _FILES, _PACKED, _UNPACKED, _PARTS, _SIZE, _SUM,
 _FOLDER, _CODERS_SIZE, _PARTS_COUNT, _EMPTY_STREAM) = range(15)  # fmt: skip
_NAME, _ATTRIBUTES, _ENCODED = 0x11, 0x15, 0x17
_UNIX, _KIND_BITS, _LINK = 0x8000, 0o170000, 0o120000


class BrokenHeader(Exception):
    """The header contradicts itself or its length."""


class Coder(NamedTuple):
    """One step of unpacking. method: its id. inputs, outputs: how many streams go in and out."""

    method: bytes
    properties: bytes
    inputs: int
    outputs: int


class Folder(NamedTuple):
    """A chain of coders. bonds: (input, output) joined. packed: sizes of the streams it reads. sizes: of its outputs.

    parts: sizes of the members its bytes hold, one after another.
    """

    coders: tuple[Coder, ...]
    bonds: tuple[tuple[int, int], ...]
    inputs: tuple[int, ...]
    sizes: tuple[int, ...]
    parts: tuple[int, ...]

    @property
    def size(self) -> int:
        """The size of what comes out at the end: of the output that no bond takes."""
        taken = {output for _, output in self.bonds}
        return next((size for index, size in enumerate(self.sizes) if index not in taken), 0)

    def chain(self) -> tuple[Coder, ...] | None:
        """List the coders from the unpacked end to the packed one; None where they are no simple chain."""
        if any((coder.inputs, coder.outputs) != (1, 1) for coder in self.coders) or len(self.inputs) != 1:
            return None
        below = dict(self.bonds)
        taken = set(below.values())
        place = next((index for index in range(len(self.coders)) if index not in taken), -1)
        found: list[Coder] = []
        while 0 <= place < len(self.coders) and len(found) < len(self.coders):
            found.append(self.coders[place])
            place = below.get(place, -1)
        return tuple(found) if len(found) == len(self.coders) else None


class Streams(NamedTuple):
    """Where packed streams begin (after the signature header), their sizes, and the folders that read them in order."""

    start: int = 0
    packed: tuple[int, ...] = ()
    folders: tuple[Folder, ...] = ()


class File(NamedTuple):
    """A member. empty: it has no bytes in any folder. link: it is a symbolic link."""

    name: str
    empty: bool
    link: bool


class Header(NamedTuple):
    """A header as read. encoded: it is itself packed, and `streams` say where."""

    streams: Streams
    files: tuple[File, ...]
    encoded: bool


def header(raw: bytes, watch: Watch) -> Header:
    """Read a header; raises BrokenHeader, LimitExceeded."""
    reader = _Reader(raw, watch)
    try:
        kind = reader.number()
        if kind == _ENCODED:
            return Header(reader.streams(), (), encoded=True)
        if kind != _HEADER:
            raise BrokenHeader("it begins with neither of the two kinds of header")
        return reader.plain()
    except (IndexError, struct.error):
        raise BrokenHeader("it breaks off") from None


class _Reader:
    """A place in the header's bytes."""

    def __init__(self, raw: bytes, watch: Watch) -> None:
        self._raw, self._place, self._watch = raw, 0, watch

    def take(self, count: int) -> bytes:
        if count > len(self._raw) - self._place:
            raise BrokenHeader("a length beyond its end")
        self._place += count
        return self._raw[self._place - count : self._place]

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        """Read a number of one to nine bytes, whose first says how many follow."""
        self._watch.tick()
        first, mask, value = self.byte(), 0x80, 0
        for index in range(8):
            if not first & mask:
                return value | (first & (mask - 1)) << 8 * index
            value |= self.byte() << 8 * index
            mask >>= 1
        return value

    def count(self) -> int:
        """Read how many of something there are, each of which takes room: what a byte holds at least eight of."""
        value = self.number()
        if value > 8 * (len(self._raw) - self._place) + 8:
            raise BrokenHeader("a count beyond its length")
        return value

    def flags(self, count: int) -> list[bool]:
        raw = self.take((count + 7) // 8)
        return [bool(raw[index >> 3] & 0x80 >> (index & 7)) for index in range(count)]

    def optional_flags(self, count: int) -> list[bool]:
        return [True] * count if self.byte() else self.flags(count)

    def sums(self, count: int) -> list[bool]:
        defined = self.optional_flags(count)
        self.take(4 * sum(defined))
        return defined

    def plain(self) -> Header:
        streams, files = Streams(), tuple[File, ...]()
        while (kind := self.number()) != _END:
            if kind == _ARCHIVE_PROPERTIES:
                while self.number() != _END:
                    self.take(self.number())
            elif kind in (_MORE_STREAMS, _MAIN_STREAMS):
                found = self.streams()
                streams = found if kind == _MAIN_STREAMS else streams
            elif kind == _FILES:
                files = self.files()
            else:
                raise BrokenHeader(f"an unknown section {kind}")
        return Header(streams, files, encoded=False)

    def streams(self) -> Streams:
        start, packed, folders, summed = 0, tuple[int, ...](), tuple[Folder, ...](), list[bool]()
        parted = False
        while (kind := self.number()) != _END:
            if kind == _PACKED:
                start, packed = self.packed()
            elif kind == _UNPACKED:
                folders, summed = self.folders()
            elif kind == _PARTS:
                folders, parted = self.parts(folders, summed), True
            else:
                raise BrokenHeader(f"an unknown property {kind} of streams")
        if not parted:
            folders = tuple(folder._replace(parts=(folder.size,)) for folder in folders)
        return Streams(start, packed, folders)

    def packed(self) -> tuple[int, tuple[int, ...]]:
        start, count = self.number(), self.count()
        sizes = tuple[int, ...]()
        while (kind := self.number()) != _END:
            if kind == _SIZE:
                sizes = tuple(self.number() for _ in range(count))
            elif kind == _SUM:
                self.sums(count)
            else:
                raise BrokenHeader(f"an unknown property {kind} of packed streams")
        return start, sizes

    def folders(self) -> tuple[tuple[Folder, ...], list[bool]]:
        if self.number() != _FOLDER:
            raise BrokenHeader("no folders where they belong")
        count = self.count()
        if self.byte():
            raise BrokenHeader("folders kept elsewhere, which no writer does")
        found = [self.folder() for _ in range(count)]
        summed = [False] * count
        if self.number() != _CODERS_SIZE:
            raise BrokenHeader("no sizes where they belong")
        for index, folder in enumerate(found):
            outputs = sum(coder.outputs for coder in folder.coders)
            found[index] = folder._replace(sizes=tuple(self.number() for _ in range(outputs)))
        while (kind := self.number()) != _END:
            if kind != _SUM:
                raise BrokenHeader(f"an unknown property {kind} of folders")
            summed = self.sums(count)
        return tuple(found), summed

    def folder(self) -> Folder:
        coders = [self.coder() for _ in range(self.count())]
        inputs, outputs = sum(coder.inputs for coder in coders), sum(coder.outputs for coder in coders)
        if not 0 < len(coders) <= 32 or inputs > 64 or outputs > 64:
            raise BrokenHeader("a chain of too many coders, or of none")
        bonds = tuple((self.number(), self.number()) for _ in range(outputs - 1))
        bound = {given for given, _ in bonds}
        free = inputs - len(bonds)
        if free < 1:
            raise BrokenHeader("a chain of coders without a beginning")
        packed = [self.number() for _ in range(free)] if free > 1 else [i for i in range(inputs) if i not in bound][:1]
        return Folder(tuple(coders), bonds, tuple(packed), (), ())

    def coder(self) -> Coder:
        kind = self.byte()
        method = self.take(kind & 15)
        inputs, outputs = (self.number(), self.number()) if kind & 0x10 else (1, 1)
        properties = self.take(self.number()) if kind & 0x20 else b""
        if inputs > 32 or outputs > 32:
            raise BrokenHeader("a coder of too many streams")
        return Coder(method, properties, inputs, outputs)

    def parts(self, folders: tuple[Folder, ...], summed: list[bool]) -> tuple[Folder, ...]:
        """Read how each folder's bytes are shared out; the last part's size is what is left."""
        counts = [1] * len(folders)
        kind = self.number()
        if kind == _PARTS_COUNT:
            counts = [self.number() for _ in folders]
            kind = self.number()
        if sum(counts) > 8 * len(self._raw):
            raise BrokenHeader("more members than it has room for")
        found = []
        for folder, count in zip(folders, counts, strict=True):
            sizes = [self.number() for _ in range(count - 1)] if kind == _SIZE and count else []
            rest = folder.size - sum(sizes)
            if rest < 0:
                raise BrokenHeader("members larger than what holds them")
            found.append(folder._replace(parts=(*sizes, rest) if count else ()))
        kind = self.number() if kind == _SIZE else kind
        unsummed = sum(count for count, known in zip(counts, summed, strict=True) if count != 1 or not known)
        while kind != _END:
            if kind != _SUM:
                raise BrokenHeader(f"an unknown property {kind} of members")
            self.sums(unsummed)
            kind = self.number()
        return tuple(found)

    def files(self) -> tuple[File, ...]:
        count = self.count()
        names, empty, links = [""] * count, [False] * count, [False] * count
        while (kind := self.number()) != _END:
            raw = self.take(self.number())
            inner = _Reader(raw, self._watch)
            if kind == _EMPTY_STREAM:
                empty = inner.flags(count)
            elif kind == _NAME and raw[:1] == b"\x00":
                listed = raw[1:].decode("utf-16-le", "backslashreplace").split("\x00")
                names = (listed + names)[:count]
            elif kind == _ATTRIBUTES:
                links = inner.links(count)
        return tuple(File(*fields) for fields in zip(names, empty, links, strict=True))

    def links(self, count: int) -> list[bool]:
        """Tell from the attributes, where they are those of Unix, which members are links."""
        defined = self.optional_flags(count)
        if self.byte():
            return [False] * count
        values = iter(struct.unpack(f"<{sum(defined)}L", self.take(4 * sum(defined))))
        found = [next(values) if known else 0 for known in defined]
        return [bool(value & _UNIX) and value >> 16 & _KIND_BITS == _LINK for value in found]
