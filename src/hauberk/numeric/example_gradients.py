"""Per-example gradients the exact and slow way: vmap of the gradient, or one example after the other."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import torch
from torch import nn
from torch.func import functional_call, grad_and_value, vmap

from hauberk.numeric.clipped_sums import ExampleLoss, Flat, NotFinite, Outcome, joined, owners
from hauberk.numeric.clipping import Clipping

CHUNK = 16_000_000
"""Numbers of per-example gradients kept at once (64 MB)."""


class _Loss(nn.Module):
    """The loss of one example as a module, so that its parameters can be handed over."""

    def __init__(self, net: nn.Module, loss: ExampleLoss) -> None:
        super().__init__()
        self.net, self._loss = net, loss

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        losses = self._loss(self.net, x.unsqueeze(0), y.unsqueeze(0))
        return losses.reshape(())


class ExampleGradients:
    """Forms every example's gradient. It is right for every module whose examples do not mix, and slow.

    one_by_one: no vmap, for layers that it cannot do.
    """

    def __init__(self, module: nn.Module, loss: ExampleLoss, *, one_by_one: bool = False) -> None:
        self._wrapped, self.one_by_one = _Loss(module, loss), one_by_one
        self._names = [name for name, value in module.named_parameters() if value.requires_grad]
        self._groups = _grouped(module, self._names)
        self.layers = len(self._groups)

    def add(self, x: torch.Tensor, y: torch.Tensor, clipping: Clipping, into: Flat) -> Outcome:
        """Add the clipped sum of a batch to the buffer."""
        parts = []
        for rows in torch.split(torch.arange(len(y)), max(1, CHUNK // max(1, into.buffer.numel()))):
            losses, found = self._gradients(x[rows], y[rows])
            parts.append(self._clip(found, losses, clipping, into))
        return joined(parts)

    def _clip(self, found: list[torch.Tensor], losses: torch.Tensor, clipping: Clipping, into: Flat) -> Outcome:
        parts = [torch.linalg.vector_norm(each, dim=1).square() for each in found]
        squared = torch.stack(parts).sum(0)
        if not bool(squared.isfinite().all()):
            raise NotFinite(squared)
        grouped = clipping.kind == "per_layer"
        shared = None if grouped else clipping.weights(squared)
        below = torch.ones(len(losses), dtype=torch.bool)
        for group in self._groups if grouped else [list(range(len(found)))]:
            own = torch.stack([parts[index] for index in group]).sum(0)
            weights = clipping.weights(own, self.layers) if shared is None else shared
            below &= (weights >= 1).to(below.device)
            for index in group:
                into.of(into.named[self._names[index]]).view(-1).addmv_(found[index].t(), weights)
        return Outcome(squared.sqrt(), losses, int(below.sum()))

    def _gradients(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return losses (b,) and the gradients of each parameter, (b, numbers)."""
        if not self.one_by_one:
            try:
                return self._mapped(x, y)
            except (RuntimeError, NotImplementedError):
                self.one_by_one = True  # an operation without a batching rule, or one that looks at values
        rows = [self._single(one, label) for one, label in zip(x, y, strict=True)]
        losses = torch.stack([loss for loss, _ in rows])
        return losses, [torch.stack(column) for column in zip(*(row for _, row in rows), strict=True)]

    def _mapped(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        values = {f"net.{name}": self._parameter(name).detach() for name in self._names}

        def loss(given: dict[str, torch.Tensor], one: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = functional_call(self._wrapped, given, (one, label))
            return result

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
            grads, losses = vmap(grad_and_value(loss), in_dims=(None, 0, 0), randomness="different")(values, x, y)
        return losses.detach(), [grads[f"net.{name}"].detach().float().reshape(len(x), -1) for name in self._names]

    def _single(self, one: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        wanted = [self._parameter(name) for name in self._names]
        with torch.enable_grad():
            loss = self._wrapped(one, label)
            found = torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)
        return loss.detach(), [value.float().reshape(-1) for value in found]

    def _parameter(self, name: str) -> nn.Parameter:
        return self._wrapped.net.get_parameter(name)


def _grouped(module: nn.Module, names: list[str]) -> list[list[int]]:
    """Group parameters by the layer that holds them, in which per-layer clipping takes them together."""
    groups: list[list[int]] = []
    taken: set[int] = set()
    for _, layer in owners(module):
        own = {id(value) for value in layer.parameters()}
        rows = [row for row, name in enumerate(names) if id(module.get_parameter(name)) in own and row not in taken]
        taken.update(rows)
        groups.append(rows)
    return [rows for rows in groups if rows]


def largest_gap(one: torch.Tensor, two: torch.Tensor) -> float:
    """Return ‖one − two‖ over the larger norm; 0 where both vanish, inf where one is not a number."""
    scale = max(float(one.norm()), float(two.norm()))
    gap = float((one - two).norm())
    if not (math.isfinite(scale) and math.isfinite(gap)):
        return math.inf
    return gap / scale if scale else 0.0


def split_rows(x: torch.Tensor, y: torch.Tensor, most: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Cut a batch into parts of at most `most` rows; 0 for one part."""
    if most <= 0 or len(y) <= most:
        yield x, y
        return
    yield from zip(torch.split(x, most), torch.split(y, most), strict=True)
