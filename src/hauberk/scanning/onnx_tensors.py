"""One ONNX tensor: its shape held against its bytes, and where its data lies outside the model."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window
from hauberk.scanning.wire import BYTES, VARINT, BrokenWire, Field, fields, text, varints

_BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16,
    17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2,
}  # fmt: skip
"""onnx/onnx.proto, TensorProto.DataType."""
_KEYS = frozenset({"location", "offset", "length", "checksum", "basepath"})
_STRING = 8
_DIMENSIONS = 64
_ENTRIES = 64
_FIELDS = frozenset({1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16})
_LISTS = frozenset({6, 9, 13})
_TRIAL = Limits(nodes=200_000, seconds=2.0)
_DIMS, _TYPE, _RAW, _EXTERNAL, _WHERE = 1, 2, 9, 13, 14


class Tensor(NamedTuple):
    """What a tensor says. end: how far into its file it reads. raw: start and stop of its own bytes.

    fault: what the bytes contradict, or empty.
    """

    location: str
    end: int
    raw: tuple[int, int] | None
    fault: str


def is_lone_tensor(window: Window) -> bool:
    """Tell a file that is one TensorProto: a type that exists, data, and only fields of a tensor."""
    kind, data = 0, False
    try:
        for field in fields(window, 0, window.size, Watch(_TRIAL)):
            if field.number not in _FIELDS or (field.number in _LISTS and field.kind != BYTES):
                return False
            kind = field.value if field.number == _TYPE and field.kind == VARINT else kind
            data = data or field.number in _LISTS or field.number == 1
    except (BrokenWire, LimitExceeded):
        return False
    return data and (kind in _BITS or kind == _STRING)


def tensor(window: Window, start: int, stop: int, watch: Watch) -> Tensor:
    """Read a TensorProto; its data is passed over. Raises BrokenWire, LimitExceeded."""
    shape: list[int] = []
    kind, raw, outside = 0, None, False
    entries: dict[str, str] = {}
    for field in fields(window, start, stop, watch):
        if field.number == _DIMS and len(shape) <= _DIMENSIONS:
            shape.extend(_dims(window, field))
        elif field.number == _TYPE and field.kind == VARINT:
            kind = field.value
        elif field.number == _RAW and field.kind == BYTES:
            raw = (field.start, field.stop)
        elif field.number == _WHERE:
            outside = field.value == 1
        elif field.number == _EXTERNAL and field.kind == BYTES and len(entries) < _ENTRIES:
            key, value = _entry(window, field, watch)
            entries[key] = value
    fault = _outside_fault(entries) or _fault(shape, kind, raw, outside=outside or bool(entries))
    end = 0 if fault else int(entries.get("offset", "0")) + int(entries.get("length", "0"))
    return Tensor(entries.get("location", ""), end, raw, fault)


def _dims(window: Window, field: Field) -> list[int]:
    """Read one dimension, or a packed run of them, as signed."""
    run = [field.value] if field.kind == VARINT else varints(window, field, _DIMENSIONS)
    return [value - (1 << 64) if value >> 63 else value for value in run]


def _entry(window: Window, field: Field, watch: Watch) -> tuple[str, str]:
    own = {one.number: one for one in fields(window, field.start, field.stop, watch) if one.kind == BYTES}
    return tuple(text(window, own[number], 4096) if number in own else "" for number in (1, 2))  # type: ignore[return-value]


def _outside_fault(entries: dict[str, str]) -> str:
    odd = sorted(entries.keys() - _KEYS)
    if odd:
        return f"external data has the key {odd[0][:80]!r}, which the standard does not know"
    for key in ("offset", "length"):
        value = entries.get(key, "0")
        if not (value.isascii() and value.isdigit() and int(value[:20]) < 1 << 63):
            return f"the {key} of external data is {value[:40]!r}"
    return ""


def _fault(shape: list[int], kind: int, raw: tuple[int, int] | None, *, outside: bool) -> str:
    if len(shape) > _DIMENSIONS:
        return f"a tensor of more than {_DIMENSIONS} dimensions"
    if any(size < 0 for size in shape):
        return "a tensor of negative size"
    if raw is None or outside or kind not in _BITS:
        return ""
    need, have = -(-prod(shape) * _BITS[kind] // 8), raw[1] - raw[0]
    return "" if need == have else f"a tensor has {have} bytes, its shape and type need {min(need, 1 << 64)}"
