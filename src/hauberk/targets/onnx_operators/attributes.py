"""A node's attributes, read by name and type, and what an operator is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, cast

import torch

Value: TypeAlias = int | float | str | torch.Tensor | list[int] | list[float] | list[str]
Inputs: TypeAlias = Sequence[torch.Tensor | None]
Operator: TypeAlias = Callable[[Inputs, "Attributes"], torch.Tensor | tuple[torch.Tensor, ...]]


class Attributes:
    """A node's attributes; opset: the version of the default domain the graph speaks. outputs: how many it names."""

    def __init__(self, values: Mapping[str, Value], opset: int, outputs: int = 1) -> None:
        self._values, self.opset, self.outputs = values, opset, outputs

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def number(self, name: str, default: int = 0) -> int:
        """Read a whole number."""
        return cast(int, self._values.get(name, default))

    def real(self, name: str, default: float = 0.0) -> float:
        """Read a number."""
        return cast(float, self._values.get(name, default))

    def text(self, name: str, default: str = "") -> str:
        """Read a text."""
        return cast(str, self._values.get(name, default))

    def ints(self, name: str, default: Sequence[int] = ()) -> list[int]:
        """Read a list of whole numbers."""
        return list(cast(Sequence[int], self._values.get(name, default)))

    def tensor(self, name: str) -> torch.Tensor | None:
        """Read a tensor."""
        return cast("torch.Tensor | None", self._values.get(name))

    def value(self, name: str) -> Value | None:
        """Read whatever there is."""
        return self._values.get(name)


class Unsupported(Exception):
    """An operator, or a use of it, that this importer does not know; the message names it."""


def need(value: torch.Tensor | None) -> torch.Tensor:
    """Return an input that must be there."""
    if value is None:
        raise Unsupported("an input is missing")
    return value


def given(inputs: Inputs, index: int) -> torch.Tensor | None:
    """Return an optional input, or None."""
    return inputs[index] if index < len(inputs) else None


def whole(value: torch.Tensor | None) -> list[int]:
    """Read a tensor of whole numbers as a list: shapes, axes, pads."""
    return [int(item) for item in need(value).detach().cpu().reshape(-1).tolist()]


def axes_of(inputs: Inputs, index: int, attributes: Attributes, name: str = "axes") -> list[int] | None:
    """Read axes from an input (newer opsets) or an attribute (older ones); None where neither says."""
    stated = given(inputs, index)
    if stated is not None:
        return whole(stated)
    return attributes.ints(name) if name in attributes else None
