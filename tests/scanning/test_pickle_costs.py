"""Allowed calls that would exhaust memory or time, built from opcodes and never run."""

from __future__ import annotations

import pickle

import pytest
from tests.scanning.conftest import ScanBytes

from hauberk.scanning.pickle_costs import MOST_BITS, MOST_ITEMS, cost, exhausts
from hauberk.scanning.pickle_values import Bag, Value

RULE = "model.malformed_pickle"


def called(module: str, name: str, *arguments: bytes) -> bytes:
    """Opcodes of a call."""
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n(" + b"".join(arguments) + b"tR"


def number(value: int) -> bytes:
    return b"L" + str(value).encode() + b"L\n"


BOMBS = [
    called("operator", "mul", b"V" + b"a" * 100 + b"\n", number(10**9)),
    called("builtins", "bytes", number(10**12)),
    called("builtins", "list", called("builtins", "range", number(10**12))),
    called("builtins", "pow", number(10), number(10**9)),
    called("operator", "lshift", number(1), number(10**12)),
    called("builtins", "bytearray", called("builtins", "pow", number(10), number(12))),
    called("builtins", "tuple", called("itertools", "repeat", number(0))),
    called("operator", "mul", called("operator", "mul", b"Vaaaa\n", number(10**6)), number(10**6)),
]


@pytest.mark.parametrize("stream", BOMBS, ids=range(len(BOMBS)))
def test_a_bomb_of_allowed_calls_is_high(scan_bytes: ScanBytes, stream: bytes) -> None:
    found = [one for one in scan_bytes("m.pkl", stream + b".").of(RULE) if "exhaust" in one.message]
    assert [one.severity for one in found] == ["high"]


@pytest.mark.parametrize(
    "value", [range(10**12), bytearray(1 << 16), slice(0, 10**12), b"x" * 4096, 2**4000, {"shape": (10**9, 10**9)}]
)
def test_large_but_lazy_or_held_values_are_not(scan_bytes: ScanBytes, value: object) -> None:
    for protocol in (2, 5):
        assert scan_bytes("m.pkl", pickle.dumps(value, protocol)).of(RULE) == []


@pytest.mark.parametrize(
    ("name", "arguments", "amount"),
    [
        ("builtins.bytes", [7], 7),
        ("operator.mul", ["ab", 5], 10),
        ("operator.mul", [3, "ab"], 6),
        ("operator.mul", [6, 7], 6),
        ("builtins.pow", [2, 10], 11),
        ("operator.lshift", [1, 10], 11),
        ("builtins.range", [10, 30, 2], 10),
        ("builtins.str.ljust", ["a", 50], 50),
        ("numpy.zeros", [Bag("tuple", [3, 4])], 12),
    ],
)
def test_sizes_are_those_of_the_results(name: str, arguments: list[Value], amount: float) -> None:
    size = cost(name, Bag("tuple", arguments))
    assert size is not None
    assert size.amount == amount
    assert exhausts(size) == ""


def test_the_bounds_are_where_they_are_said_to_be() -> None:
    assert exhausts(cost("builtins.bytes", Bag("tuple", [MOST_ITEMS]))) == ""
    assert exhausts(cost("builtins.bytes", Bag("tuple", [MOST_ITEMS + 1]))) != ""
    assert exhausts(cost("operator.lshift", Bag("tuple", [1, MOST_BITS]))) != ""
    assert cost("builtins.pow", Bag("tuple", [10, 10**9, 7])) is None


def test_a_chain_of_calls_is_told_once_and_costs_little(scan_bytes: ScanBytes) -> None:
    scanned = scan_bytes("m.pkl", b"\x80\x02ccollections\nOrderedDict\n" + b")R" * 5000 + b".")
    assert 0 < len(scanned.of("model.pickle_call")) < 12
