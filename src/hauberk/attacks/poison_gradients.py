"""Gradient matching: rows moved until training on them pulls a network the way the attacker wants."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from hauberk.numeric.balls import Region
from hauberk.numeric.gradients import gradients_of

Tensor = torch.Tensor


class Matched(NamedTuple):
    """Rows x (m, *shape), and 1 − the cosine of their gradient and the one wanted, 0 to 2."""

    x: Tensor
    loss: float


def trainable(module: nn.Module) -> nn.Module:
    """Return the module in eval mode with gradients of its parameters: what `match` works on."""
    return module.eval().requires_grad_(True)


def pull(module: nn.Module, x: Tensor, labels: Tensor) -> list[Tensor]:
    """Return the gradient by the parameters of the mean cross-entropy of x (n, *shape) with labels (n,)."""
    with torch.enable_grad():
        return [part.detach() for part in gradients_of(module, cross_entropy(module(x), labels))]


def strongest(module: nn.Module, x: Tensor, y: Tensor, count: int) -> Tensor:
    """Return the places (count,) of the rows whose own gradient is longest: they can pull most.

    Souri et al. 2022, arXiv:2106.08970, section 3.3. The length is that of the gradient by the logits, which is the
    factor of every layer's.
    """
    with torch.no_grad():
        logits = torch.cat([module(part) for part in torch.split(x, 512)])
    slope = logits.softmax(1)
    slope = slope.scatter_add(1, y.unsqueeze(1), -torch.ones_like(slope[:, :1]))
    longest: Tensor = slope.norm(dim=1).topk(min(count, len(y))).indices
    return longest


def match(
    module: nn.Module,
    wanted: list[Tensor],
    region: Region,
    labels: Tensor,
    rng: torch.Generator,
    *,
    steps: int,
    restarts: int,
    pace: float,
) -> Matched:
    """Move rows inside the region until their gradient points along `wanted`; the best of the restarts.

    Geiping et al. 2021, arXiv:2009.02276, algorithm 1, with signed steps that shrink to nothing. pace: of the first
    step, as a share of the region's width at each value.
    """
    width = (region.upper - region.lower) / 2
    best = Matched(region.center, float("inf"))
    for _ in range(restarts):
        x = region.scatter(rng)
        for step in range(steps + 1):
            loss, slope = _apart(module, wanted, x, labels)
            if loss < best.loss:
                best = Matched(x, loss)
            if step < steps:
                x = region.project(x - pace * (1 - step / steps) * width * slope.sign())
    return best


def _apart(module: nn.Module, wanted: list[Tensor], x: Tensor, labels: Tensor) -> tuple[float, Tensor]:
    with torch.enable_grad():
        moving = x.detach().requires_grad_(True)
        own = gradients_of(module, cross_entropy(module(moving), labels), create_graph=True)
        inner = torch.stack([(a * b).sum() for a, b in zip(own, wanted, strict=True)]).sum()
        length = torch.stack([a.square().sum() for a in own]).sum().sqrt()
        aim = torch.stack([b.square().sum() for b in wanted]).sum().sqrt()
        loss = 1 - inner / (length * aim).clamp(min=1e-12)
        (slope,) = torch.autograd.grad(loss, moving)
    return float(loss.detach()), slope.detach()
