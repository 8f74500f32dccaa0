"""The two codes of Zstandard: finite-state entropy tables and Huffman tables (RFC 8878, sections 4.1 and 4.2)."""

from __future__ import annotations

from typing import NamedTuple


class Entropy(NamedTuple):
    """A decoding table. For each state: the symbol, how many bits to read, and what to add them to."""

    log: int
    symbols: list[int]
    bits: list[int]
    bases: list[int]


class Huffman(NamedTuple):
    """For each `log` bits: the symbol and how many of them it takes."""

    log: int
    symbols: bytes
    bits: bytes


class Backward:
    """Bits read from the end of a byte string to its beginning; beyond it there are zeros, and `left` is negative."""

    __slots__ = ("_data", "left")

    def __init__(self, data: bytes) -> None:
        if not data or not data[-1]:
            raise ValueError("a Zstandard bit stream without its end mark")
        self._data = data
        self.left = len(data) * 8 - 9 + data[-1].bit_length()

    def take(self, count: int) -> int:
        """Read the next bits, the first of them the highest."""
        self.left -= count
        if self.left >= 0:
            start = self.left >> 3
            window = int.from_bytes(self._data[start : start + 9], "little")
            return window >> (self.left & 7) & ((1 << count) - 1)
        there = count + self.left
        if there <= 0:
            return 0
        return (int.from_bytes(self._data[:9], "little") & ((1 << there) - 1)) << -self.left


def distribution(data: bytes, most_log: int, most_symbols: int) -> tuple[list[int], int, int]:
    """Read a table's description; return its counts, its log and the bytes it took. Raises ValueError."""
    window, place = int.from_bytes(data[:512], "little"), 4
    log = (window & 15) + 5
    if log > most_log:
        raise ValueError("a Zstandard table of too many states")
    left, threshold, width = (1 << log) + 1, 1 << log, log + 1
    counts: list[int] = []
    while left > 1:
        surplus = 2 * threshold - 1 - left
        value = window >> place & (2 * threshold - 1)
        if value & (threshold - 1) < surplus:
            value &= threshold - 1
            place += width - 1
        else:
            value -= surplus if value >= threshold else 0
            place += width
        counts.append(value - 1)
        left -= abs(value - 1)
        while value == 1:
            repeat = window >> place & 3
            place += 2
            counts.extend([0] * repeat)
            if repeat < 3:
                break
        if len(counts) > most_symbols or left < 1:
            raise ValueError("a Zstandard table that does not add up")
        while left < threshold:
            width, threshold = width - 1, threshold >> 1
    used = (place + 7) // 8
    if used > len(data):
        raise ValueError("a Zstandard table that breaks off")
    return counts, log, used


def entropy(counts: list[int], log: int) -> Entropy:
    """Spread the symbols over the states (RFC 8878, 4.1.1)."""
    size = 1 << log
    symbols, high = [0] * size, size
    following = [max(count, 1) if count else 0 for count in counts]
    for symbol, count in enumerate(counts):
        if count == -1:
            high -= 1
            symbols[high] = symbol
    place, step = 0, (size >> 1) + (size >> 3) + 3
    for symbol, count in enumerate(counts):
        for _ in range(count):
            symbols[place] = symbol
            place = place + step & size - 1
            while place >= high:
                place = place + step & size - 1
    bits, bases = [0] * size, [0] * size
    for state, symbol in enumerate(symbols):
        number = following[symbol]
        following[symbol] += 1
        bits[state] = log - number.bit_length() + 1
        bases[state] = (number << bits[state]) - size
    return Entropy(log, symbols, bits, bases)


def single(symbol: int) -> Entropy:
    """Make the table of one symbol."""
    return Entropy(0, [symbol], [0], [0])


def huffman(data: bytes) -> tuple[Huffman, int]:
    """Read a Huffman tree's description; return its table and the bytes it took. Raises ValueError."""
    if not data:
        raise ValueError("a Zstandard block that breaks off")
    head = data[0]
    if head >= 128:
        count = head - 127
        raw = data[1 : 1 + (count + 1) // 2]
        weights = [raw[index // 2] >> (0 if index & 1 else 4) & 15 for index in range(count) if index // 2 < len(raw)]
        used = 1 + (count + 1) // 2
    else:
        weights, used = _coded_weights(data[1 : 1 + head]), 1 + head
    return _tree(weights), used


def _coded_weights(data: bytes) -> list[int]:
    counts, log, used = distribution(data, 6, 255)
    table, stream = entropy(counts, log), Backward(data[used:])
    states = [stream.take(log), stream.take(log)]
    weights: list[int] = []
    turn = 0
    while len(weights) < 255:
        state = states[turn]
        weights.append(table.symbols[state])
        states[turn] = table.bases[state] + stream.take(table.bits[state])
        turn ^= 1
        if stream.left < 0:
            weights.append(table.symbols[states[turn]])
            break
    return weights


def _tree(weights: list[int]) -> Huffman:
    total = sum(1 << weight - 1 for weight in weights if weight)
    log = total.bit_length()
    last = (1 << log) - total
    if not 0 < log <= 11 or last & last - 1 or len(weights) > 255:
        raise ValueError("a Zstandard tree that does not add up")
    weights = [*weights, last.bit_length()]
    symbols, bits = bytearray(), bytearray()
    for weight in range(1, log + 1):
        for symbol, own in enumerate(weights):
            if own == weight:
                symbols += bytes([symbol]) * (1 << weight - 1)
                bits += bytes([log + 1 - weight]) * (1 << weight - 1)
    if len(symbols) != 1 << log:
        raise ValueError("a Zstandard tree that does not add up")
    return Huffman(log, bytes(symbols), bytes(bits))
