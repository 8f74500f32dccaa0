"""Zstandard frames unpacked block by block, in Python alone: slow, and the same on every machine (RFC 8878).

Checksums are not held against the bytes; frames that need a dictionary are refused.
"""

from __future__ import annotations

from hauberk.scanning.lz4_frames import copy_match
from hauberk.scanning.zstd_tables import Backward, Entropy, Huffman, distribution, entropy, huffman, single

MAGIC = b"\x28\xb5\x2f\xfd"
_BLOCK = 1 << 17
_WINDOW = 128 << 20
_RAW, _RUN, _COMPRESSED = 0, 1, 2
_LITERAL_BASES = (*range(16), 16, 18, 20, 22, 24, 28, 32, 40, 48, 64, *(1 << bit for bit in range(7, 17)))
_LITERAL_BITS = (*[0] * 16, 1, 1, 1, 1, 2, 2, 3, 3, 4, *range(6, 17))
_MATCH_BASES = (*range(3, 35), 35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, *((1 << bit) + 3 for bit in range(7, 17)))
_MATCH_BITS = (*[0] * 32, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, *range(7, 17))
_LITERALS = entropy([4, 3, *[2] * 11, 1, 1, 1, *[2] * 9, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1], 6)
_MATCHES = entropy([1, 4, 3, *[2] * 6, *[1] * 37, *[-1] * 7], 6)
_OFFSETS = entropy([*[1] * 6, 2, 2, 2, *[1] * 15, *[-1] * 5], 5)
_KINDS = ((_LITERALS, 9, 36), (_OFFSETS, 8, 32), (_MATCHES, 9, 53))
"""Literal lengths, offsets, match lengths: the table used by default, the largest log, how many codes there are."""


class Zstandard:
    """One frame, with the interface of the other decompressors; raises ValueError for what is none."""

    def __init__(self) -> None:
        self._input, self._out, self._given = bytearray(), bytearray(), 0
        self._window, self._sum, self._done = 0, False, False
        self._tables: list[Entropy | None] = [None, None, None]
        self._huffman: Huffman | None = None
        self._recent = [1, 4, 8]
        self.eof, self.needs_input, self.unused_data = False, True, b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Take input and return at most so many bytes."""
        self._input += data
        while len(self._out) - self._given < max_length and self._step():
            pass
        piece = bytes(self._out[self._given : self._given + max_length])
        self._given += len(piece)
        if self._given > 2 * self._window + (1 << 20):
            del self._out[: self._given - self._window]
            self._given = self._window
        empty = self._given == len(self._out)
        self.eof = self._done and empty
        self.needs_input = empty and not self._done
        return piece

    def _step(self) -> bool:
        """Go on by the header or a block; False where more input is needed, or none."""
        if self._done:
            return False
        if not self._window:
            return self._header()
        if len(self._input) < 3:
            return False
        head = int.from_bytes(self._input[:3], "little")
        kind, size = head >> 1 & 3, head >> 3
        packed = 1 if kind == _RUN else size
        stop = 3 + packed + (4 if head & 1 and self._sum else 0)
        if kind > _COMPRESSED or (size > _BLOCK and kind != _RUN) or size > self._window + _BLOCK:
            raise ValueError("no Zstandard block")
        if len(self._input) < stop:
            return False
        block = bytes(self._input[3 : 3 + packed])
        del self._input[:stop]
        if kind == _COMPRESSED:
            self._block(block)
        else:
            self._out += block if kind == _RAW else block * size
        if head & 1:
            self._done, self.unused_data = True, bytes(self._input)
            self._input.clear()
        return True

    def _header(self) -> bool:
        if len(self._input) < 6:
            return False
        head = self._input[4]
        alone, dictionary = head >> 5 & 1, (0, 1, 2, 4)[head & 3]
        counted = (alone, 2, 4, 8)[head >> 6]
        stop = 5 + (1 - alone) + dictionary + counted
        if self._input[:4] != MAGIC or head & 8:
            raise ValueError("no Zstandard frame")
        if len(self._input) < stop:
            return False
        if any(self._input[stop - counted - dictionary : stop - counted]):
            raise ValueError("a Zstandard frame that needs a dictionary")
        size = int.from_bytes(self._input[stop - counted : stop], "little") + (256 if counted == 2 else 0)
        exponent, mantissa = self._input[5] >> 3, self._input[5] & 7
        window = size if alone else (1 << 10 + exponent) + (1 << 10 + exponent) // 8 * mantissa
        if window > _WINDOW:
            raise ValueError(f"a Zstandard frame that needs {window} bytes of memory")
        self._window, self._sum = max(window, 1), bool(head & 4)
        del self._input[:stop]
        return True

    def _block(self, block: bytes) -> None:
        literals, place = self._literals(block)
        if place >= len(block):
            raise ValueError("a Zstandard block that breaks off")
        count, place = _count(block, place)
        limit = len(self._out) + _BLOCK
        if count:
            literals = self._sequences(block, place, count, literals, limit)
        self._out += literals
        if len(self._out) > limit:
            raise ValueError("a Zstandard block that unpacks to too much")

    def _literals(self, block: bytes) -> tuple[bytes, int]:
        """Read the literals; return them and the offset after them."""
        kind, form = block[0] & 3 if block else 0, block[0] >> 2 & 3 if block else 0
        if kind in (_RAW, _RUN):
            width = (1, 2, 1, 3)[form]
            size = int.from_bytes(block[:width], "little") >> (4 if form & 1 else 3)
            if size > _BLOCK:
                raise ValueError("too many Zstandard literals")
            stop = width + (size if kind == _RAW else 1)
            return (block[width:stop] if kind == _RAW else block[width:stop] * size), stop
        width, bits = ((3, 10), (3, 10), (4, 14), (5, 18))[form]
        head = int.from_bytes(block[:width], "little") >> 4
        size, packed = head & ((1 << bits) - 1), head >> bits
        data = block[width : width + packed]
        if len(data) < packed or size > _BLOCK:
            raise ValueError("Zstandard literals beyond their block")
        if kind == _COMPRESSED:
            self._huffman, used = huffman(data)
            data = data[used:]
        if self._huffman is None:
            raise ValueError("Zstandard literals without a tree")
        return _huffman_streams(self._huffman, data, size, 4 if form else 1), width + packed

    def _sequences(self, block: bytes, place: int, count: int, literals: bytes, limit: int) -> bytes:
        """Carry out the sequences of a block; return the literals that are left over."""
        if place >= len(block):
            raise ValueError("a Zstandard block that breaks off")
        modes = block[place]
        place += 1
        for index, (usual, most_log, most) in enumerate(_KINDS):
            mode = modes >> (6 - 2 * index) & 3
            table, used = _table(block[place:], mode, usual, most_log, most, self._tables[index])
            self._tables[index] = table
            place += used
        stream, at, out = Backward(block[place:]), 0, self._out
        lengths, offsets, matches = (table for table in self._tables if table is not None)
        one, two, three = stream.take(lengths.log), stream.take(offsets.log), stream.take(matches.log)
        for left in range(count - 1, -1, -1):
            code, match, literal = offsets.symbols[two], matches.symbols[three], lengths.symbols[one]
            offset = (1 << code) + stream.take(code)
            match = _MATCH_BASES[match] + stream.take(_MATCH_BITS[match])
            length = _LITERAL_BASES[literal] + stream.take(_LITERAL_BITS[literal])
            out += literals[at : at + length]
            at += length
            copy_match(out, self._distance(offset, length), match)
            if at > len(literals) or len(out) > limit:
                raise ValueError("a Zstandard block that unpacks to too much")
            if left:
                one = lengths.bases[one] + stream.take(lengths.bits[one])
                three = matches.bases[three] + stream.take(matches.bits[three])
                two = offsets.bases[two] + stream.take(offsets.bits[two])
        if stream.left < 0:
            raise ValueError("a Zstandard block that breaks off")
        return literals[at:]

    def _distance(self, value: int, length: int) -> int:
        """Turn an offset value into a distance by way of the three last ones (RFC 8878, 3.1.1.5)."""
        recent = self._recent
        if value > 3:
            self._recent = [value - 3, recent[0], recent[1]]
            return value - 3
        index = value - 1 + (length == 0)
        distance = recent[index] if index < 3 else recent[0] - 1
        if index:
            self._recent = [distance, recent[0], recent[1] if index > 1 else recent[2]]
        return distance


def _count(block: bytes, place: int) -> tuple[int, int]:
    head = block[place]
    if head < 128:
        return head, place + 1
    if len(block) < place + 3:
        raise ValueError("a Zstandard block that breaks off")
    if head < 255:
        return (head - 128 << 8) + block[place + 1], place + 2
    return block[place + 1] + (block[place + 2] << 8) + 0x7F00, place + 3


def _table(
    data: bytes, mode: int, usual: Entropy, most_log: int, most: int, last: Entropy | None
) -> tuple[Entropy, int]:
    """Take the usual table, one of a single code, a described one, or the last one."""
    if mode == 0:
        return usual, 0
    if mode == 1:
        if not data or data[0] >= most:
            raise ValueError("an unknown Zstandard code")
        return single(data[0]), 1
    if mode == 2:
        counts, log, used = distribution(data[:512], most_log, most)
        return entropy(counts, log), used
    if last is None:
        raise ValueError("a Zstandard table that was never given")
    return last, 0


def _huffman_streams(table: Huffman, data: bytes, size: int, streams: int) -> bytes:
    if streams == 1:
        return _huffman_stream(table, data, size)
    ends = [6]
    for index in range(3):
        ends.append(ends[-1] + int.from_bytes(data[2 * index : 2 * index + 2], "little"))
    ends.append(len(data))
    each = (size + 3) // 4
    sizes = (each, each, each, size - 3 * each)
    if sizes[3] < 0 or ends[3] > len(data):
        raise ValueError("Zstandard literals beyond their block")
    return b"".join(_huffman_stream(table, data[ends[i] : ends[i + 1]], sizes[i]) for i in range(4))


def _huffman_stream(table: Huffman, data: bytes, size: int) -> bytes:
    """Read `size` symbols; the bits are taken into a number a few bytes at a time."""
    if not data or not data[-1]:
        raise ValueError("a Zstandard bit stream without its end mark")
    symbols, widths, log = table.symbols, table.bits, table.log
    mask, place = (1 << log) - 1, len(data) - 1
    held, count = data[-1], data[-1].bit_length() - 1
    held &= (1 << count) - 1
    out = bytearray(size)
    for index in range(size):
        if count < log:
            start = max(0, place - 6)
            held = held << 8 * (place - start) | int.from_bytes(data[start:place], "little")
            count += 8 * (place - start)
            place = start
        bits = held >> count - log & mask if count >= log else held << log - count & mask
        out[index] = symbols[bits]
        count -= widths[bits]
        if count < 0:
            raise ValueError("Zstandard literals that break off")
        held &= (1 << count) - 1
    return bytes(out)
