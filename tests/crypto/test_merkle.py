"""Merkle trees against the published Certificate Transparency vectors, the RFC's own recursion, and flipped bytes."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hauberk.crypto import merkle

# The leaf inputs, roots, node hashes and proofs published with the Certificate Transparency reference implementation.
LEAVES = tuple(
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
)
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
L0 = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
L1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
L4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
N01 = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
N23 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
N45 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
N67 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
N0123 = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
N4567 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
INCLUSIONS = [
    (0, 1, ()),
    (0, 2, (L1,)),
    (1, 2, (L0,)),
    (2, 3, (N01,)),
    (1, 5, (L0, N23, L4)),
    (0, 8, (L1, N23, N4567)),
    (5, 8, (L4, N67, N0123)),
]
CONSISTENCIES = [(1, 1, ()), (1, 8, (L1, N23, N4567)), (2, 5, (N23, L4)), (6, 8, (N45, N67, N0123))]


def hashes(count: int) -> list[bytes]:
    return [merkle.leaf_hash(b"%d" % index) for index in range(count)]


def published(size: int = 8) -> merkle.Tree:
    return merkle.Tree(merkle.leaf_hash(leaf) for leaf in LEAVES[:size])


def recursion(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 §2.1, word for word, as the oracle."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + recursion(leaves[:split]) + recursion(leaves[split:])).digest()


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size):
    frontier = merkle.Frontier()
    frontier.extend(merkle.leaf_hash(leaf) for leaf in LEAVES[:size])
    assert frontier.root().hex() == published(size).root().hex() == published().root(size).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "path"), INCLUSIONS)
def test_published_inclusion_proofs(index, size, path):
    proof = published().inclusion(index, size)
    assert tuple(step.hex() for step in proof) == path
    assert merkle.verify_inclusion(merkle.leaf_hash(LEAVES[index]), index, size, proof, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("old", "size", "path"), CONSISTENCIES)
def test_published_consistency_proofs(old, size, path):
    proof = published().consistency(old, size)
    assert tuple(step.hex() for step in proof) == path
    assert merkle.verify_consistency(old, size, bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[size]), proof)


def test_every_size_up_to_65_agrees_with_the_rfcs_recursion():
    leaves, frontier = hashes(65), merkle.Frontier()
    tree = merkle.Tree(leaves)
    for size in range(1, 66):
        frontier.push(leaves[size - 1])
        assert frontier.root() == tree.root(size) == recursion(leaves[:size])


def test_every_proof_of_small_trees_verifies_and_every_wrong_place_fails():
    leaves = hashes(20)
    tree = merkle.Tree(leaves)
    for size in range(1, 21):
        root = tree.root(size)
        for index in range(size):
            path = tree.inclusion(index, size)
            assert [
                place for place in range(-1, 22) if merkle.verify_inclusion(leaves[index], place, size, path, root)
            ] == [index]
        for old in range(1, size + 1):
            path = tree.consistency(old, size)
            assert [
                other for other in range(1, 21) if merkle.verify_consistency(other, size, tree.root(old), root, path)
            ] == [old]


sizes = st.integers(1, 600)


def flipped(value: bytes, bit: int) -> bytes:
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@settings(max_examples=60, deadline=None)
@given(sizes, st.data())
def test_an_inclusion_proof_verifies_and_any_flipped_bit_fails(size, data):
    leaves = hashes(size)
    tree, index = merkle.Tree(leaves), data.draw(st.integers(0, size - 1))
    parts = [leaves[index], tree.root(), *tree.inclusion(index)]
    assert merkle.verify_inclusion(parts[0], index, size, parts[2:], parts[1])
    at, bit = data.draw(st.integers(0, len(parts) - 1)), data.draw(st.integers(0, 255))
    parts[at] = flipped(parts[at], bit)
    assert not merkle.verify_inclusion(parts[0], index, size, parts[2:], parts[1])


@settings(max_examples=60, deadline=None)
@given(sizes, st.data())
def test_a_consistency_proof_verifies_and_any_flipped_bit_fails(size, data):
    tree, old = merkle.Tree(hashes(size)), data.draw(st.integers(1, size))
    parts = [tree.root(old), tree.root(), *tree.consistency(old)]
    assert merkle.verify_consistency(old, size, parts[0], parts[1], parts[2:])
    at, bit = data.draw(st.integers(0, len(parts) - 1)), data.draw(st.integers(0, 255))
    parts[at] = flipped(parts[at], bit)
    assert not merkle.verify_consistency(old, size, parts[0], parts[1], parts[2:])


@given(sizes, st.data())
@settings(max_examples=40, deadline=None)
def test_a_proof_with_a_step_too_many_or_too_few_fails(size, data):
    leaves = hashes(size)
    tree, index = merkle.Tree(leaves), data.draw(st.integers(0, size - 1))
    path, extra = tree.inclusion(index), data.draw(st.binary(min_size=32, max_size=32))
    assert not merkle.verify_inclusion(leaves[index], index, size, (*path, extra), tree.root())
    assert not path or not merkle.verify_inclusion(leaves[index], index, size, path[:-1], tree.root())
    assert not merkle.verify_inclusion(leaves[index], index, size, (*path[:-1], b"short"), tree.root())
    old = data.draw(st.integers(1, size))
    steps = tree.consistency(old)
    assert not merkle.verify_consistency(old, size, tree.root(old), tree.root(), (*steps, extra))
    assert not steps or not merkle.verify_consistency(old, size, tree.root(old), tree.root(), steps[:-1])


def test_a_rewritten_history_has_no_consistency_proof():
    honest, forged = hashes(9), hashes(12)
    forged[3] = merkle.leaf_hash(b"forged")
    old, new = merkle.Tree(honest), merkle.Tree(forged)
    assert not merkle.verify_consistency(9, 12, old.root(), new.root(), new.consistency(9))


def test_from_the_empty_tree_and_to_itself():
    tree = merkle.Tree(hashes(3))
    root = tree.root()
    assert merkle.verify_consistency(0, 3, merkle.EMPTY_ROOT, root, ())
    assert not merkle.verify_consistency(0, 3, root, root, ())
    assert merkle.verify_consistency(3, 3, root, root, ())
    assert not merkle.verify_consistency(3, 3, root, tree.root(2), ())
    assert not merkle.verify_consistency(3, 2, root, tree.root(2), ())
    assert merkle.Tree().root() == merkle.Frontier().root() == merkle.EMPTY_ROOT


def test_a_frontier_stays_small_and_copies_apart():
    frontier = merkle.Frontier()
    frontier.extend(hashes(1000))
    assert len(frontier._parts) == bin(1000).count("1")
    other = frontier.copy()
    other.push(merkle.leaf_hash(b"more"))
    assert frontier.root() == merkle.Tree(hashes(1000)).root() != other.root()


@pytest.mark.parametrize("ask", [
    lambda tree: tree.root(4), lambda tree: tree.inclusion(3), lambda tree: tree.inclusion(-1),
    lambda tree: tree.inclusion(0, 4), lambda tree: tree.consistency(0), lambda tree: tree.consistency(4),
    lambda tree: tree.inclusion(2, 2), lambda tree: tree.root(-1),
])  # fmt: skip
def test_what_is_not_there_cannot_be_proved(ask):
    with pytest.raises(IndexError):
        ask(merkle.Tree(hashes(3)))


def test_100k_leaves():
    leaves = [merkle.leaf_hash(index.to_bytes(4, "big")) for index in range(100_000)]
    tree = merkle.Tree(leaves)
    root = tree.root()
    for index in (0, 1, 65_535, 65_536, 99_999):
        assert merkle.verify_inclusion(leaves[index], index, 100_000, tree.inclusion(index), root)
    for old in (1, 65_536, 99_999):
        assert merkle.verify_consistency(old, 100_000, tree.root(old), root, tree.consistency(old))
