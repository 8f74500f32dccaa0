"""What an attack climbs: losses of logits and labels, each with its slope dloss/dlogits in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch

Tensor = torch.Tensor
LossName: TypeAlias = Literal["ce", "margin", "dlr", "probability-margin"]


@dataclass(frozen=True, slots=True)
class Climb:
    """A loss at n samples; the higher, the nearer to an error.

    value: (n,). slope: its derivative by the logits, (n, classes); or (n, m, classes) where m directions are asked for.
    """

    value: Tensor
    slope: Tensor


@dataclass(frozen=True, slots=True)
class Aim:
    """What an error is, for n samples.

    labels: (n,) int64, the right classes. wanted: (n,) int64, the class to climb towards; None for any other.
    strict: only reaching `wanted` counts, not every error.
    """

    labels: Tensor
    wanted: Tensor | None = None
    strict: bool = False

    def lead(self, logits: Tensor) -> Tensor:
        """By how much the error leads (n,), in logits: above 0 it has happened."""
        if self.strict and self.wanted is not None:
            return -lead(logits, self.wanted)
        return lead(logits, self.labels)


Loss: TypeAlias = Callable[[Tensor, Aim], Climb]
"""(logits (n, classes), what to climb to) → Climb."""


def cross_entropy(logits: Tensor, labels: Tensor) -> Climb:
    """Cross-entropy in nats; its slope is softmax − one-hot."""
    column = labels.unsqueeze(1)
    logs = torch.log_softmax(logits, dim=1)
    slope = logs.exp()
    value = -logs.gather(1, column).squeeze(1)
    # softmax − 1 at the label cancels where the model is sure; −Σ of the others is the same number without that loss.
    slope = slope.scatter(1, column, 0.0)
    return Climb(value, slope.scatter(1, column, -slope.sum(1, keepdim=True)))


def margin(logits: Tensor, labels: Tensor) -> Climb:
    """Difference of logits: best other class − label; above 0 the model errs.

    Source: Carlini & Wagner 2017, arXiv:1608.04644, f6 of section V-A without the cut at 0.
    """
    column = labels.unsqueeze(1)
    own = logits.gather(1, column)
    rival, which = _others(logits, column).max(1, keepdim=True)
    slope = torch.zeros_like(logits).scatter(1, which, 1.0).scatter(1, column, -1.0)
    return Climb((rival - own).squeeze(1), slope)


def probability_margin(logits: Tensor, labels: Tensor) -> Climb:
    """Difference of probabilities: best other class − label, between −1 and 1.

    Source: Xie et al. 2024, arXiv:2411.15210. Where the model is sure of the label its slope dies away.
    """
    column = labels.unsqueeze(1)
    chances = torch.softmax(logits, dim=1)
    own = chances.gather(1, column)
    rival, which = _others(chances, column).max(1, keepdim=True)
    # d(p_r − p_y)/dz_j = p_r [j = r] − p_y [j = y] − (p_r − p_y) p_j; a shift of all logits changes nothing, so the
    # slope sums to 0 and the label's own share, where 1 − p_y cancels, is the rest.
    slope = (-(rival - own) * chances).scatter_add(1, which, rival).scatter(1, column, 0.0)
    return Climb((rival - own).squeeze(1), slope.scatter(1, column, -slope.sum(1, keepdim=True)))


def dlr(logits: Tensor, labels: Tensor) -> Climb:
    """Difference of logits ratio: margin / (highest − third highest logit); does not change with the logits' scale.

    With two classes there is no third and the ratio is constant: the plain margin stands in. With three it is defined.
    Source: Croce & Hein 2020, arXiv:2003.01690, equation 6.
    """
    if logits.shape[1] < 3:
        return margin(logits, labels)
    plain = margin(logits, labels)
    top, where = logits.topk(3, dim=1)
    spread = (top[:, :1] - top[:, 2:3]).clamp(min=torch.finfo(logits.dtype).eps)
    value = plain.value.unsqueeze(1) / spread
    # d(m / s) = (dm − (m / s) ds) / s, with ds = +1 at the highest and −1 at the third highest.
    pull = value / spread
    slope = plain.slope / spread
    slope = slope.scatter_add(1, where[:, :1], -pull).scatter_add(1, where[:, 2:3], pull)
    return Climb(value.squeeze(1), slope)


def dlr_towards(logits: Tensor, labels: Tensor, wanted: Tensor) -> Climb:
    """Targeted DLR: (wanted − label) / (highest − mean of third and fourth).

    wanted: (n,) int64, the class to reach. With three classes the mean is of the second and the third: the third alone
    would leave no slope where the label is highest and `wanted` lowest. With two: the margin.
    Source: Croce & Hein 2020, equation 7.
    """
    if logits.shape[1] < 3:
        return margin(logits, labels)
    top, where = logits.topk(min(4, logits.shape[1]), dim=1)
    spread = (top[:, :1] - top[:, -2:].mean(1, keepdim=True)).clamp(min=torch.finfo(logits.dtype).eps)
    goal, column = wanted.unsqueeze(1), labels.unsqueeze(1)
    value = (logits.gather(1, goal) - logits.gather(1, column)) / spread
    slope = torch.zeros_like(logits).scatter_add(1, goal, 1 / spread).scatter_add(1, column, -1 / spread)
    pull = value / spread
    slope = slope.scatter_add(1, where[:, :1], -pull)
    return Climb(value.squeeze(1), slope.scatter_add(1, where[:, -2:], (pull / 2).expand(-1, 2)))


def lead(logits: Tensor, labels: Tensor) -> Tensor:
    """By how much the best other class leads the label's (n,); above 0 the model errs."""
    column = labels.unsqueeze(1)
    return _others(logits, column).amax(1) - logits.gather(1, column).squeeze(1)


def _others(logits: Tensor, column: Tensor) -> Tensor:
    return logits.scatter(1, column, -torch.inf)


def _ce(logits: Tensor, aim: Aim) -> Climb:
    return cross_entropy(logits, aim.labels) if aim.wanted is None else _negative(cross_entropy(logits, aim.wanted))


def _margin(logits: Tensor, aim: Aim) -> Climb:
    return margin(logits, aim.labels) if aim.wanted is None else _negative(margin(logits, aim.wanted))


def _probability_margin(logits: Tensor, aim: Aim) -> Climb:
    if aim.wanted is None:
        return probability_margin(logits, aim.labels)
    return _negative(probability_margin(logits, aim.wanted))


def _dlr(logits: Tensor, aim: Aim) -> Climb:
    return dlr(logits, aim.labels) if aim.wanted is None else dlr_towards(logits, aim.labels, aim.wanted)


def _negative(away: Climb) -> Climb:
    """Getting away from a class, turned round, is reaching it."""
    return Climb(-away.value, -away.slope)


LOSSES: dict[LossName, Loss] = {
    "ce": _ce,
    "margin": _margin,
    "dlr": _dlr,
    "probability-margin": _probability_margin,
}
