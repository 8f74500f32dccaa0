"""What graph operators are known to do: the standards' own lists, and those that leave the graph; from data files."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

from hauberk.core.evidence import Severity

_FOLDER = Path(__file__).parent


class Reach(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A group of operators that leave the graph. severity: empty where only a path makes them odd."""

    severity: Severity | str
    words: str
    names: frozenset[str]


@cache
def reaching(kind: str) -> Reach | None:
    """Return the group a TensorFlow operator belongs to; None for one that only computes, or is unknown."""
    return next((group for group in _groups().values() if kind in group.names), None)


@cache
def _groups() -> dict[str, Reach]:
    return msgspec.toml.decode((_FOLDER / "tensorflow.toml").read_bytes(), type=dict[str, Reach])


def known(library: str, name: str) -> bool:
    """Say whether a library ("onnx", "tensorflow") defines that operator, "domain::Type" or "Type"."""
    return name in _names(library)


@cache
def _names(library: str) -> frozenset[str]:
    lines = (_FOLDER / f"{library}.txt").read_text(encoding="utf-8").split("\n")
    return frozenset(line for line in lines if line and not line.startswith("#"))
