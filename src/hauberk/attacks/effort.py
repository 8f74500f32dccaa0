"""How hard a model works on an input, and the climb that makes it work harder; what attacks on availability share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

import torch
from torch import nn

from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region, region, steepest

Tensor = torch.Tensor

_BATCH = 128
_MULTIPLYING = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d)
"""Layers whose hardware can skip operands that are 0."""
_SCALING = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.LayerNorm)
"""Layers that may stand between a layer and its rectifier."""


class Effort(NamedTuple):
    """counted: (n,) the effort itself. smooth: (n,) something that grows with it and has a slope."""

    counted: Tensor
    smooth: Tensor


Measure: TypeAlias = Callable[[Tensor], Effort]
"""Points (n, *shape) → Effort, under autograd."""


def climb(measure: Measure, x: Tensor, threat: Threat, bounds: tuple[float, float], steps: int, pace: float) -> Tensor:
    """Go up `measure` from x (n, *shape) in steps of `pace` radii; the point of most counted effort comes back.

    Raises UsageError for a threat without an linf or l2 ball.
    """
    if threat.ball is None or threat.ball.norm not in ("linf", "l2"):
        raise UsageError("attacks on availability work in linf and l2 balls", where=threat.name)
    if not len(x):
        return x.clone()
    parts = [_climbed(measure, region(threat.ball, part, bounds), steps, pace) for part in torch.split(x, _BATCH)]
    return torch.cat(parts)


def _climbed(measure: Measure, where: Region, steps: int, pace: float) -> Tensor:
    best, most, point = (
        where.center,
        torch.full((len(where.center),), -torch.inf, device=where.center.device),
        where.center,
    )
    for step in range(steps + 1):
        at = point.detach().requires_grad_(True)
        with torch.enable_grad():
            effort = measure(at)
        more = effort.counted > most
        most = torch.where(more, effort.counted, most)
        best = torch.where(more.reshape(-1, *[1] * (best.ndim - 1)), point, best)
        if step < steps:
            (slope,) = torch.autograd.grad(effort.smooth.sum(), at)
            # Paces fall to nothing: what is counted changes in jumps, and the last ones are small.
            far = pace * where.radius * (1 - step / steps)
            point = where.project(point + far * steepest(slope.nan_to_num(nan=0.0), where.norm))
    return best


def density(module: nn.Module, x: Tensor) -> Tensor:
    """Measure the share (n,) of values not 0 among all that a module's layers multiply, on inputs x (n, *shape).

    The energy proxy of Shumailov et al. 2021, arXiv:2006.03463, section 3: hardware that skips zeros spends it.
    """
    parts = [x.new_zeros(0)]
    for part in torch.split(x, _BATCH) if len(x) else ():
        with torch.no_grad(), traffic(module) as heard:
            module(part)
        parts.append(filled(heard.operands, lambda values: (values != 0).float()).to(x.device))
    return torch.cat(parts)


def filled(seen: list[Tensor], measure: Callable[[Tensor], Tensor]) -> Tensor:
    """Average a measure of each value over all values (n, …) of each sample → (n,)."""
    if not seen:
        raise MissingPower("the module has no linear or convolutional layer", fix="there is nothing to count")
    total = sum(part[0].numel() for part in seen)
    return torch.stack([measure(part).flatten(1).sum(1) for part in seen]).sum(0) / total


class Traffic(NamedTuple):
    """operands: what multiplying layers are given. sums: what they give, scaled, before a rectifier cuts it."""

    operands: list[Tensor]
    sums: list[Tensor]


@contextmanager
def traffic(module: nn.Module) -> Iterator[Traffic]:
    """Listen to what goes in and out of the multiplying layers of a module in a forward."""
    heard = Traffic([], [])

    def given(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        heard.operands.append(inputs[0])

    def gave(part: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(part, _SCALING) and heard.sums and heard.sums[-1] is inputs[0]:
            heard.sums.pop()
        heard.sums.append(output)

    parts = [part for part in module.modules() if isinstance(part, (*_MULTIPLYING, *_SCALING))]
    hooks = [part.register_forward_hook(gave) for part in parts]
    hooks += [part.register_forward_pre_hook(given) for part in parts if isinstance(part, _MULTIPLYING)]
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()
