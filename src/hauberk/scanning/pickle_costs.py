"""What a call that is allowed by name would allocate by its arguments: enough of it stops the machine that loads."""

from __future__ import annotations

from typing import Literal, NamedTuple

from hauberk.scanning.pickle_values import Bag, Made, Payload, Value, positional

MOST_ITEMS = 1 << 30
"""Bytes, characters or items of one value; no pickle makes so many by a call instead of holding them."""
MOST_BITS = 1 << 27
"""Of one whole number: 16 MiB. Larger powers take minutes and have no use in a model."""


class Size(NamedTuple):
    """How large a value is: a whole number (its magnitude's upper bound in bits), or its items. lazy: as it is read."""

    kind: Literal["number", "items", "lazy"]
    amount: float
    value: int | None = None


def size_of(value: Value) -> Size | None:
    """Measure a value as far as it is known; of a call's result what `cost` said of it."""
    if isinstance(value, bool):
        return Size("number", 1, int(value))
    if isinstance(value, int):
        return Size("number", value.bit_length(), value)
    if isinstance(value, str):
        return Size("items", len(value))
    if isinstance(value, Payload):
        return Size("items", value.size)
    if isinstance(value, Bag):
        return Size("items", value.count)
    return value.size if isinstance(value, Made) and isinstance(value.size, Size) else None


def cost(name: str, arguments: Value) -> Size | None:
    """Estimate what a call gives, from its arguments; None where that is not known to grow with them."""
    items = arguments.items if isinstance(arguments, Bag) else []
    sizes = [size_of(item) for item in items[:3]]
    last = name.rpartition(".")[2]
    if name in _FROM_COUNT:
        return _from_count(items, sizes)
    if name in _REPEATS and len(sizes) == 2:
        return _product(sizes)
    if name in _POWERS and len(sizes) >= 2 and sizes[0] and sizes[1]:
        return None if len(items) > 2 else _power(sizes[0], sizes[1], shift=last.strip("_").endswith("lshift"))
    if name in _RANGES:
        return _range(sizes)
    if name in _REPEATED and len(sizes) >= 1:
        return Size("lazy", _number(sizes[1]) if len(sizes) > 1 else float("inf"))
    if name in _DRAINS and sizes and sizes[0] is not None and sizes[0].kind in ("lazy", "items"):
        return Size("items", sizes[0].amount)
    if name in _PADS and len(sizes) >= 2:
        return Size("items", _number(sizes[1]))
    return _shaped(items[0]) if name in _SHAPED and items else None


def exhausts(size: Size | None) -> str:
    """Say what a value would take of its loader; empty where it takes little."""
    if size is None or size.kind == "lazy":
        return ""
    if size.kind == "number":
        return f"a number of more than {MOST_BITS} bits" if size.amount > MOST_BITS else ""
    return f"a value of {size.amount:.3g} items" if size.amount > MOST_ITEMS else ""


_FROM_COUNT = frozenset({"builtins.bytes", "builtins.bytearray"})
_REPEATS = frozenset({"operator.mul", "_operator.mul", "operator.imul", "_operator.imul"}) | frozenset(
    f"builtins.{kind}.{method}"
    for kind in ("str", "bytes", "bytearray", "list", "tuple", "int")
    for method in ("__mul__", "__rmul__", "__imul__")
)
_POWERS = frozenset(
    {
        "builtins.pow", "operator.pow", "_operator.pow", "operator.ipow", "_operator.ipow", "builtins.int.__pow__",
        "operator.lshift", "_operator.lshift", "operator.ilshift", "_operator.ilshift", "builtins.int.__lshift__",
    }
)  # fmt: skip
_RANGES = frozenset({"builtins.range", "builtins.xrange"})
_REPEATED = frozenset({"itertools.repeat", "itertools.cycle", "itertools.count"})
_DRAINS = frozenset(
    f"builtins.{kind}"
    for kind in "list tuple set frozenset sorted sum max min bytes bytearray dict all any".split()  # noqa: SIM905
) | {"collections.deque", "collections.Counter", "array.array"}
_PADS = frozenset(
    f"builtins.{kind}.{method}"
    for kind in ("str", "bytes", "bytearray")
    for method in ("zfill", "ljust", "rjust", "center")
)
_SHAPED = frozenset(
    f"numpy.{name}" for name in ("zeros", "ones", "empty", "full", "arange", "core.numeric.ones", "identity", "eye")
) | frozenset(f"torch.{name}" for name in ("zeros", "ones", "empty", "full", "arange", "rand", "randn"))


def _number(size: Size | None) -> float:
    """Return a known number's value, its bound where only that is known, 0 for what is no number."""
    if size is None or size.kind != "number":
        return 0.0
    if size.amount > 1000:
        return 0.0 if size.value is not None and size.value < 0 else float("inf")
    return float(size.value) if size.value is not None else 2.0 ** max(0.0, size.amount - 1)


def _from_count(items: list[Value], sizes: list[Size | None]) -> Size | None:
    if len(items) != 1 or sizes[0] is None:
        return None
    if sizes[0].kind == "number":
        return Size("items", max(0.0, _number(sizes[0])))
    return Size("items", sizes[0].amount)


def _product(sizes: list[Size | None]) -> Size | None:
    one, other = sizes
    if one is None or other is None:
        return None
    if one.kind == other.kind == "number":
        value = one.value * other.value if _small(one) and _small(other) else None  # type: ignore[operator]
        return Size("number", one.amount + other.amount, value)
    counted, number = (one, other) if other.kind == "number" else (other, one)
    return Size("items", counted.amount * max(0.0, _number(number))) if counted.amount else None


def _small(size: Size) -> bool:
    return size.value is not None and size.amount <= 1024


def _power(base: Size, exponent: Size, *, shift: bool) -> Size | None:
    if base.kind != "number" or exponent.kind != "number" or base.amount < 1:
        return None
    times = _number(exponent)
    if shift:
        return Size("number", base.amount + max(0.0, times))
    if base.amount <= 1 or times <= 0:
        return Size("number", 1)
    bits = (base.amount - 1) * times
    value = base.value ** int(times) if base.value is not None and bits < 512 else None
    return Size("number", bits + 1, value)


def _range(sizes: list[Size | None]) -> Size:
    numbers = [_number(size) for size in sizes]
    start, stop = (0.0, numbers[0]) if len(numbers) == 1 else (*numbers, 0.0, 0.0)[:2]
    step = numbers[2] if len(numbers) > 2 and numbers[2] else 1.0
    return Size("lazy", max(0.0, (stop - start) / step))


def _shaped(shape: Value) -> Size | None:
    """Multiply the axes of a shape."""
    total = 1.0
    for axis in shape.items if isinstance(shape, Bag) else [shape]:
        total *= max(0.0, _number(size_of(axis)))
    return Size("items", total)


def made(name: str, result: Made) -> str:
    """Keep with a call's result how large it is; say what it would take of its loader, empty where little."""
    size = cost(name, Bag("tuple", positional(result)) if not isinstance(result.arguments, Bag) else result.arguments)
    result.size = size
    return exhausts(size)
