"""Merkle trees of RFC 6962: the tree hash, inclusion and consistency proofs, and their verification.

A verifier is written from RFC 9162 §2.1.3.2 and §2.1.4.2 step by step: no shortcut, so that it can be read beside them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TypeAlias

Hash: TypeAlias = bytes
"""32 bytes."""

LEAF_PREFIX, NODE_PREFIX = b"\x00", b"\x01"
HASH_BYTES = 32
EMPTY_ROOT: Hash = hashlib.sha256(b"").digest()
"""The root of a tree of no leaves (RFC 6962 §2.1)."""


def leaf_hash(data: bytes) -> Hash:
    """Hash one entry: SHA-256(0x00 ‖ data)."""
    return hashlib.sha256(LEAF_PREFIX + data).digest()


def node_hash(left: Hash, right: Hash) -> Hash:
    """Hash two subtrees: SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(NODE_PREFIX + left + right).digest()


def _fold(parts: Sequence[Hash]) -> Hash:
    """Join perfect subtrees of falling size from the right."""
    root = parts[-1]
    for part in reversed(parts[:-1]):
        root = node_hash(part, root)
    return root


class Frontier:
    """The perfect subtrees that a growing tree consists of: all that is needed to append, in O(log n) memory."""

    def __init__(self, size: int = 0, parts: Iterable[Hash] = ()) -> None:
        self.size = size
        self._parts = list(parts)

    def push(self, leaf: Hash) -> None:
        """Append one leaf hash."""
        grown, bits = leaf, self.size
        while bits & 1:
            grown = node_hash(self._parts.pop(), grown)
            bits >>= 1
        self._parts.append(grown)
        self.size += 1

    def extend(self, leaves: Iterable[Hash]) -> None:
        """Append leaf hashes in order."""
        for leaf in leaves:
            self.push(leaf)

    def root(self) -> Hash:
        """Compute the tree's root."""
        return _fold(self._parts) if self._parts else EMPTY_ROOT

    def copy(self) -> Frontier:
        """Return an independent frontier of the same tree."""
        return Frontier(self.size, self._parts)


class Tree:
    """A whole tree with all its perfect subtrees kept, so that a root of any size or a proof costs O(log² n)."""

    def __init__(self, leaves: Iterable[Hash] = ()) -> None:
        self._levels: list[list[Hash]] = [list(leaves)]
        while len(self._levels[-1]) > 1:
            below = self._levels[-1]
            pairs = range(0, len(below) - 1, 2)
            self._levels.append([node_hash(below[i], below[i + 1]) for i in pairs])

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return len(self._levels[0])

    def leaf(self, index: int) -> Hash:
        """Return one leaf hash."""
        return self._levels[0][index]

    def root(self, size: int | None = None) -> Hash:
        """Compute the root of the first `size` leaves (default: all); raises IndexError for more than there are."""
        wanted = self.size if size is None else size
        if not 0 <= wanted <= self.size:
            raise IndexError(f"the tree has {self.size} leaves, not {wanted}")
        return self._subtree(0, wanted) if wanted else EMPTY_ROOT

    def inclusion(self, index: int, size: int | None = None) -> tuple[Hash, ...]:
        """Prove that leaf `index` is in the tree of the first `size` leaves: PATH(m, D[n]) of RFC 6962 §2.1.1.

        Raises IndexError unless 0 ≤ index < size ≤ the tree's size.
        """
        low, high = 0, self.size if size is None else size
        if not 0 <= index < high <= self.size:
            raise IndexError(f"no leaf {index} among the first {high} of {self.size}")
        path: list[Hash] = []
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                path.append(self._subtree(middle, high))
                high = middle
            else:
                path.append(self._subtree(low, middle))
                low = middle
        return tuple(reversed(path))

    def consistency(self, old: int, size: int | None = None) -> tuple[Hash, ...]:
        """Prove that the first `old` leaves are a prefix of the first `size`: PROOF(m, D[n]) of RFC 6962 §2.1.2.

        Raises IndexError unless 0 < old ≤ size ≤ the tree's size.
        """
        low, high, whole = 0, self.size if size is None else size, True
        if not 0 < old <= high <= self.size:
            raise IndexError(f"no tree of {old} leaves before {high} of {self.size}")
        path: list[Hash] = []
        while old != high:
            middle = low + _split(high - low)
            if old <= middle:
                path.append(self._subtree(middle, high))
                high = middle
            else:
                path.append(self._subtree(low, middle))
                low, whole = middle, False
        if not whole:
            path.append(self._subtree(low, high))
        return tuple(reversed(path))

    def _subtree(self, low: int, high: int) -> Hash:
        """Compute the root of leaves [low, high), where low is a multiple of the largest power of two below its width.

        Every range that RFC 6962 splits off is of that kind.
        """
        parts: list[Hash] = []
        while low < high:
            level = (high - low).bit_length() - 1
            parts.append(self._levels[level][low >> level])
            low += 1 << level
        return _fold(parts)


def _split(width: int) -> int:
    """Return the largest power of two below `width` (> 1)."""
    return 1 << ((width - 1).bit_length() - 1)


def verify_inclusion(leaf: Hash, index: int, size: int, path: Sequence[Hash], root: Hash) -> bool:
    """Say whether `path` proves that `leaf` stands at `index` in the tree of `size` leaves with `root`.

    RFC 9162 §2.1.3.2. The root does not bind the size: take both from one signed checkpoint.
    """
    if not 0 <= index < size or not _hashes(leaf, root, *path):
        return False
    here, last, joined = index, size - 1, leaf
    for step in path:
        if last == 0:
            return False
        if here & 1 or here == last:
            joined = node_hash(step, joined)
            here, last = _up_to_a_left_turn(here, last)
        else:
            joined = node_hash(joined, step)
        here, last = here >> 1, last >> 1
    return last == 0 and joined == root


def verify_consistency(old: int, size: int, old_root: Hash, root: Hash, path: Sequence[Hash]) -> bool:
    """Say whether `path` proves that the tree of `old` leaves with `old_root` is a prefix of that of `size` and `root`.

    RFC 9162 §2.1.4.2. Every tree goes on from the empty one and from itself, with an empty path.
    """
    if not 0 <= old <= size or not _hashes(old_root, root, *path):
        return False
    if old in (0, size):
        return not path and old_root == (root if old == size else EMPTY_ROOT)
    steps = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not path:
        return False
    here, last = old - 1, size - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    before = after = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if here & 1 or here == last:
            before, after = node_hash(step, before), node_hash(step, after)
            here, last = _up_to_a_left_turn(here, last)
        else:
            after = node_hash(after, step)
        here, last = here >> 1, last >> 1
    return last == 0 and before == old_root and after == root


def _up_to_a_left_turn(here: int, last: int) -> tuple[int, int]:
    """Skip the levels at which the rightmost node has no sibling."""
    while here and not here & 1:
        here, last = here >> 1, last >> 1
    return here, last


def _hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
