"""Data that a function of the project gives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from hauberk.core.card import Card
from hauberk.core.errors import DataError
from hauberk.core.project import DataSection
from hauberk.datasets.arrays import Pair, from_arrays
from hauberk.datasets.checked import InMemory


class Python:
    """What "module:callable" returns: (x, y), or a mapping with "train" and "test", or with x_train, y_train, …"""

    card: ClassVar[Card] = Card(
        title="Python function",
        summary="Calls a function of the project that returns (x, y), or training and test parts.",
        wraps=("builtins.object",),
        inputs=("chw", "row", "wave", "frames", "tokens"),
        extra="data",
    )

    @classmethod
    def open(cls, section: DataSection, folder: Path, bounds: tuple[float, float] | None, thing: object) -> InMemory:  # noqa: ARG003
        """Check what the function gave; raises DataError that says what was expected."""
        name = section.source
        if not isinstance(thing, Mapping):
            return from_arrays(name, section, bounds, None, _pair(thing, section.source), halves=False)
        parts = dict(thing)
        if {"x_train", "y_train", "x_test", "y_test"} <= set(parts):
            parts = {part: (parts[f"x_{part}"], parts[f"y_{part}"]) for part in ("train", "test")}
        if set(parts) == {"x", "y"}:
            return from_arrays(name, section, bounds, None, _pair((parts["x"], parts["y"]), name), halves=False)
        if "test" not in parts:
            there = ", ".join(map(str, parts))
            raise DataError(f"gave a mapping of {there}", where=section.source, fix='give "train" and "test" as (x, y)')
        train = _pair(parts["train"], f"{name} train") if "train" in parts else None
        return from_arrays(name, section, bounds, train, _pair(parts["test"], f"{name} test"), halves=True)


def _pair(thing: object, where: str) -> Pair:
    """Take (x, y) of arrays, lists, or tensors that know how to become arrays."""
    if not isinstance(thing, tuple | list) or len(thing) != 2:
        raise DataError(f"gave a {type(thing).__name__}", where=where, fix="return (x, y)")
    try:
        return Pair(np.asarray(thing[0]), np.asarray(thing[1]))
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"gave what is no array: {error}", where=where, fix="return (x, y) as numpy arrays") from error
