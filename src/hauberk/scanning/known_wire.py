"""What a project's modules say of one, as bytes that another process reads and that a kept result stands under."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from hauberk.scanning.python_values import UNKNOWN, Known, Taint, Value

_Plain: TypeAlias = str | int | float | bool | None
_Taint: TypeAlias = tuple[str, str, int, bool, list[str], list[str]]


class _Value(msgspec.Struct, array_like=True, frozen=True):
    """A value. constant: empty where it is not known, else the one."""

    path: str
    constant: list[_Plain]
    taints: list[_Taint]
    text: str
    entries: list[tuple[str, _Value]]
    inside: list[_Taint]


class _Known(msgspec.Struct, array_like=True, frozen=True):
    functions: list[tuple[str, list[str], _Value]]
    names: list[tuple[str, _Value]]
    given: list[tuple[str, _Value]]


_BIG = 1 << 63
_DECODER = msgspec.msgpack.Decoder(_Known)


def to_wire(known: Known | None) -> bytes:
    """Write it; the same facts give the same bytes in every process. Empty where nothing is known."""
    if known is None:
        return b""
    made = _Known(
        [(name, list(parameters), _out(value)) for name, parameters, value in known.functions],
        [(name, _out(value)) for name, value in known.names],
        [(name, _out(value)) for name, value in known.given],
    )
    return msgspec.msgpack.encode(made)


def from_wire(data: bytes) -> Known | None:
    """Read what `to_wire` wrote."""
    if not data:
        return None
    read = _DECODER.decode(data)
    return Known(
        tuple((name, tuple(parameters), _back(value)) for name, parameters, value in read.functions),
        tuple((name, _back(value)) for name, value in read.names),
        tuple((name, _back(value)) for name, value in read.given),
    )


def _out(value: Value) -> _Value:
    """Write a value as other modules see it: a constant that is no plain one is not known to them."""
    constant: list[_Plain] = []
    if isinstance(value.constant, str | float | None) or (
        isinstance(value.constant, int) and abs(value.constant) < _BIG
    ):
        constant.append(value.constant)
    entries = [(name, _out(one)) for name, one in value.entries]
    return _Value(value.path, constant, _taints(value.taints), value.text, entries, _taints(value.inside))


def _taints(taints: tuple[Taint, ...]) -> list[_Taint]:
    return [(one.kind, one.origin, one.line, one.sure, sorted(one.safe_for), list(one.steps)) for one in taints]


def _back(value: _Value) -> Value:
    return Value(
        path=value.path,
        constant=value.constant[0] if value.constant else UNKNOWN,
        taints=_taints_back(value.taints),
        text=value.text,
        entries=tuple((name, _back(one)) for name, one in value.entries),
        inside=_taints_back(value.inside),
    )


def _taints_back(taints: list[_Taint]) -> tuple[Taint, ...]:
    return tuple(
        Taint(kind, origin, line, sure, frozenset(safe), tuple(steps))
        for kind, origin, line, sure, safe, steps in taints
    )
