"""LZ4 frames, as joblib and the lz4 tool write them, unpacked block by block.

Layout: LZ4 Frame Format 1.6.4, LZ4 Block Format. Checksums are not held against the bytes: no loader needs them right.
"""

from __future__ import annotations

MAGIC, LEGACY = b"\x04\x22\x4d\x18", b"\x02\x21\x4c\x18"
_WINDOW = 1 << 16
_BLOCK = {4: 1 << 16, 5: 1 << 18, 6: 1 << 20, 7: 4 << 20}
_LEGACY_BLOCK = 8 << 20
_PLAIN = 1 << 31


class Lz4:
    """One frame, with the interface of the other decompressors; raises ValueError for what is none."""

    def __init__(self) -> None:
        self._input = bytearray()
        self._ready, self._given = bytearray(), 0
        self._largest, self._sums, self._sum_at_end, self._legacy = 0, False, False, False
        self.eof, self.needs_input, self.unused_data = False, True, b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Take input and return at most so many bytes."""
        self._input += data
        while len(self._ready) - self._given < max_length and self._step():
            pass
        piece = bytes(self._ready[self._given : self._given + max_length])
        self._given += len(piece)
        if self._given > _WINDOW + (1 << 20):
            del self._ready[: self._given - _WINDOW]
            self._given = _WINDOW
        self.eof = bool(self.eof) and self._given == len(self._ready)
        self.needs_input = not self.eof and self._given == len(self._ready) and not self._done
        return piece

    _done = False

    def _step(self) -> bool:
        """Go on by the header or a block; False where more input is needed, or none."""
        if self._done:
            self.eof = True
            return False
        if not self._largest:
            return self._header()
        if len(self._input) < 4:
            return False
        size = int.from_bytes(self._input[:4], "little")
        if size == 0 or (self._legacy and bytes(self._input[:4]) in (MAGIC, LEGACY)):
            return self._end()
        plain, size = bool(size & _PLAIN) and not self._legacy, size & (_PLAIN - 1)
        if size > self._largest + self._largest // 255 + 16:
            raise ValueError("an LZ4 block larger than its frame allows")
        stop = 4 + size + (4 if self._sums else 0)
        if len(self._input) < stop:
            return False
        block = bytes(self._input[4 : 4 + size])
        del self._input[:stop]
        if plain:
            self._ready += block
        else:
            unpack_block(block, self._ready, self._largest)
        return True

    def _header(self) -> bool:
        if len(self._input) < 7:
            return False
        if self._input[:4] == LEGACY:
            self._largest, self._legacy = _LEGACY_BLOCK, True
            del self._input[:4]
            return True
        flags, sizes = self._input[4], self._input[5]
        if self._input[:4] != MAGIC or flags >> 6 != 1:
            raise ValueError("no LZ4 frame")
        if flags & 1:
            raise ValueError("an LZ4 frame that needs a dictionary")
        length = 7 + (8 if flags & 8 else 0)
        if len(self._input) < length:
            return False
        self._largest = _BLOCK.get(sizes >> 4 & 7, 0)
        if not self._largest:
            raise ValueError("an LZ4 frame of an unknown block size")
        self._sums, self._sum_at_end = bool(flags & 16), bool(flags & 4)
        del self._input[:length]
        return True

    def _end(self) -> bool:
        stop = 0 if self._legacy else 4 + (4 if self._sum_at_end else 0)
        if len(self._input) < stop:
            return False
        self.unused_data = bytes(self._input[stop:])
        self._input.clear()
        self._done = True
        return True


def unpack_block(block: bytes, out: bytearray, most: int) -> None:
    """Append what a block unpacks to, at most `most` bytes; raises ValueError where it is broken."""
    place, stop, limit = 0, len(block), len(out) + most
    try:
        while place < stop:
            token = block[place]
            place += 1
            length = token >> 4
            if length == 15:
                length, place = _longer(block, place, length)
            if place + length > stop:
                raise ValueError("LZ4 literals beyond the block")
            out += block[place : place + length]
            place += length
            if place >= stop:
                break
            distance = block[place] | block[place + 1] << 8
            place += 2
            length = token & 15
            if length == 15:
                length, place = _longer(block, place, length)
            copy_match(out, distance, length + 4)
            if len(out) > limit:
                break
    except IndexError:
        raise ValueError("an LZ4 block that breaks off") from None
    if len(out) > limit:
        raise ValueError("an LZ4 block that unpacks to more than its frame allows")


def copy_match(out: bytearray, distance: int, length: int) -> None:
    """Append `length` bytes from `distance` back, which may overlap what is being written; raises ValueError."""
    start = len(out) - distance
    if distance < 1 or start < 0:
        raise ValueError("a match before the beginning")
    if distance >= length:
        out += out[start : start + length]
        return
    repeated = bytes(out[start:])
    out += (repeated * (length // distance + 1))[:length]


def _longer(block: bytes, place: int, length: int) -> tuple[int, int]:
    while True:
        more = block[place]
        place += 1
        length += more
        if more != 255:
            return length, place
