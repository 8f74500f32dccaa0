"""Sums of clipped per-example gradients: what every way to compute them takes and gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeAlias

import torch
from torch import nn

from hauberk.numeric.clipping import Clipping

ExampleLoss: TypeAlias = Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]
"""(module, x (b, …), y (b, …)) → the loss of each example (b,); an example's loss may depend on its own row alone."""


def cross_entropy(module: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Classify: the loss of each example (b,)."""
    return nn.functional.cross_entropy(module(x), y, reduction="none")


class Outcome(NamedTuple):
    """What one batch gave besides its sum. norms, losses: (b,); below: examples that were not clipped."""

    norms: torch.Tensor
    losses: torch.Tensor
    below: int


def joined(parts: Sequence[Outcome]) -> Outcome:
    """Put the outcomes of the parts of a batch together."""
    return Outcome(
        torch.cat([part.norms for part in parts]),
        torch.cat([part.losses for part in parts]),
        sum(part.below for part in parts),
    )


class Flat:
    """One buffer for the gradients of all trained parameters, with a view for each.

    Noise can be drawn into it first and sums added on top: nothing is then written twice.
    """

    def __init__(self, module: nn.Module) -> None:
        self.named = {name: value for name, value in module.named_parameters() if value.requires_grad}
        total = sum(value.numel() for value in self.named.values())
        like = next(iter(self.named.values()), torch.zeros(()))
        self.buffer = torch.zeros(total, device=like.device)
        self.views: dict[int, torch.Tensor] = {}
        start = 0
        for value in self.named.values():
            self.views[id(value)] = self.buffer[start : start + value.numel()].view(value.shape)
            start += value.numel()

    @property
    def parameters(self) -> Sequence[nn.Parameter]:
        """The trained parameters, in the order of the buffer."""
        return tuple(self.named.values())

    def of(self, parameter: nn.Parameter) -> torch.Tensor:
        """Return a parameter's part of the buffer."""
        return self.views[id(parameter)]


class ClippedSums(Protocol):
    """A way to add Σ_i c_i ∇loss_i to a buffer."""

    layers: int

    def add(self, x: torch.Tensor, y: torch.Tensor, clipping: Clipping, into: Flat) -> Outcome:
        """Add the clipped sum of a batch, x (b, …), y (b, …) with b ≥ 1."""
        ...


def owners(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the outermost parts that hold trained parameters of their own: the layers, by name."""
    if any(value.requires_grad for value in module.parameters(recurse=False)):
        yield name, module
        return
    for key, child in module.named_children():
        yield from owners(child, f"{name}.{key}" if name else key)


class Unfit(Exception):
    """The module cannot be computed this way; the message says which layer and why."""


class NotFinite(Exception):
    """Some examples' gradients are not numbers; nothing was added. good: (b,) bool, the others."""

    def __init__(self, norms: torch.Tensor) -> None:
        super().__init__("gradients are not numbers")
        self.good = norms.isfinite()
