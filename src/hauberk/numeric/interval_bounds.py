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
