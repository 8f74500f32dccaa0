"""Interval bound propagation: run any module on a box of inputs and get a box that holds all its outputs."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import nn

from hauberk.core.errors import MissingPower
from hauberk.core.threat import Ball
from hauberk.numeric.interval_box import Box

Tensor = torch.Tensor


class Bounds(NamedTuple):
    """Lowest and highest outputs (n, …) over a box of inputs."""

    lower: Tensor
    upper: Tensor


def interval_bounds(module: nn.Module, lower: Tensor, upper: Tensor) -> Bounds:
    """Bound module(x) for all lower ≤ x ≤ upper, each (n, *shape), under autograd.

    The module must be in evaluation mode where that matters (dropout; batch norms without running statistics have no
    bounds). Raises MissingPower for an operation without a rule, ValueError where lower is above upper.
    """
    if bool((lower > upper).any()):
        raise ValueError("a lower bound lies above its upper bound")
    found: object = module(Box(lower, upper))
    if not isinstance(found, Box):
        raise MissingPower("the module gave no bounds", fix="it must return what it computes of its input")
    return Bounds(found.lower, found.upper)


def box_of(ball: Ball, x: Tensor, bounds: tuple[float, float]) -> Bounds:
    """Return the smallest box that holds the ball around x (n, *shape) cut by the bounds.

    In every norm but l0, where each value alone may become anything, that is x ± radius.
    """
    radius = math.inf if ball.norm == "l0" else ball.radius
    return Bounds((x - radius).clamp(min=bounds[0]), (x + radius).clamp(max=bounds[1]))


def worst_logits(bounds: Bounds, y: Tensor) -> Tensor:
    """Take the label's lowest and every other class's highest logit: the worst corner (n, classes).

    Its argmax is the label only where no input of the box can be classified otherwise (Gowal et al., equation 8).
    """
    own = nn.functional.one_hot(y, bounds.lower.shape[1]).bool()
    return torch.where(own, bounds.lower, bounds.upper)


def worst_case(module: nn.Module, lower: Tensor, upper: Tensor, y: Tensor) -> Tensor:
    """Bound how far each other class may lead the label over the box: (n, classes), the label's own column 0.

    All others below 0: no input of the box is classified otherwise. Where the module ends in a linear layer, the
    difference of two logits is bounded as one linear function, which is tighter than the difference of their bounds
    (elision of the last layer, Gowal et al., section 3). Under autograd; raises what `interval_bounds` raises.
    """
    seen: list[tuple[nn.Linear, Box, object]] = []

    def heard(layer: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        if isinstance(layer, nn.Linear) and isinstance(inputs[0], Box):
            seen.append((layer, inputs[0], output))

    hooks = [layer.register_forward_hook(heard) for layer in module.modules() if isinstance(layer, nn.Linear)]
    try:
        bounds = interval_bounds(module, lower, upper)
    finally:
        for hook in hooks:
            hook.remove()
    layer, before, after = seen[-1] if seen else (None, None, None)
    last = isinstance(after, Box) and after.lower is bounds.lower and bounds.lower.ndim == 2
    if layer is not None and before is not None and last and layer.weight.numel() * len(y) <= _ELIDED:
        return _leads(layer, before, y)
    worst = worst_logits(bounds, y)
    return worst - worst.gather(1, y.unsqueeze(1))


_ELIDED = 2**25
"""Weights times samples up to which the last layer is elided (128 MiB of float32)."""


def _leads(layer: nn.Linear, before: Box, y: Tensor) -> Tensor:
    weight = layer.weight - layer.weight[y].unsqueeze(1)  # (n, classes, d)
    middle = torch.einsum("nkd,nd->nk", weight, before.center)
    if layer.bias is not None:
        middle = middle + layer.bias - layer.bias[y].unsqueeze(1)
    return middle + torch.einsum("nkd,nd->nk", weight.abs(), before.reach)
