"""Trigger inversion: for every class at once, the smallest patch that leads any input there."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import cross_entropy

Tensor = torch.Tensor

_MAD = 1.4826
"""Median absolute deviation to standard deviation, of a normal distribution."""
_LEAST = 0.2
"""Deviation of log sizes assumed at least, so that classes of nearly one size do not make a small difference odd."""
_RAISED, _LOWERED = 1.5, 1.5
_PATIENT = 10


class Inverted(NamedTuple):
    """One candidate trigger for each of c classes.

    mask: (c, 1, h, w) in 0–1, how much of the pattern shows. pattern: (c, *shape). size: (c,), sum of the mask.
    success: (c,), share of inputs led to the class. anomaly: (c,), robust deviations by which the logarithm of a size
    is below the median's. Wang et al. 2019, §V-B, take the sizes themselves: those of clean classes differ by factors,
    and a trigger a tenth of their size is then hardly two deviations away.
    """

    mask: Tensor
    pattern: Tensor
    size: Tensor
    success: Tensor
    anomaly: Tensor

    @property
    def relative(self) -> Tensor:
        """Each size over the median size: (c,)."""
        return self.size / self.size.median()

    def suspects(self, threshold: float, smallest: float) -> list[int]:
        """Return the classes above the anomaly index whose trigger is at most `smallest` of the median size.

        Both are asked for: where clean classes are of nearly one size the index alone is easily large, and where they
        differ much it is small even for a trigger of a tenth.
        """
        odd = (self.anomaly > threshold) & (self.relative <= smallest)
        return [int(label) for label in odd.nonzero().flatten()]


def invert(
    module: nn.Module,
    x: Tensor,
    classes: int,
    bounds: tuple[float, float],
    rng: torch.Generator,
    steps: int,
    batch: int,
) -> Inverted:
    """Optimise mask and pattern of all classes in one batch: Wang et al. 2019 (Neural Cleanse), §V-A.

    module: inputs in `bounds` → logits, frozen. x: (n, *shape), clean inputs, images or rows. The weight of the mask's
    size is raised while triggers work and lowered while they do not, class by class.
    """
    low, high = bounds
    shape = x.shape[1:]
    flat = (1, *shape[1:]) if len(shape) == 3 else tuple(shape)
    raw_mask = (0.1 * torch.randn(classes, *flat, generator=rng)).requires_grad_()
    raw_pattern = (0.1 * torch.randn(classes, *shape, generator=rng)).requires_grad_()
    optimizer = torch.optim.Adam([raw_mask, raw_pattern], lr=0.1, betas=(0.5, 0.9))
    weight = torch.full((classes,), 1e-3)
    streak = torch.zeros(classes)
    labels = torch.arange(classes).repeat_interleave(batch)
    best = torch.full((classes,), torch.inf)
    kept_mask, kept_pattern = torch.ones(classes, *flat), torch.zeros(classes, *shape)
    reached = torch.zeros(classes)
    for _ in range(steps):
        rows = x[torch.randint(len(x), (batch,), generator=rng)]
        mask, pattern = torch.sigmoid(raw_mask), low + (high - low) * torch.sigmoid(raw_pattern)
        logits = module(_stamped(rows, mask, pattern).flatten(0, 1))
        size = mask.flatten(1).sum(1)
        loss = cross_entropy(logits, labels, reduction="none").view(classes, batch).mean(1)
        optimizer.zero_grad()
        torch.autograd.backward((loss + weight * size).sum())
        optimizer.step()
        success = (logits.detach().argmax(1) == labels).float().view(classes, batch).mean(1)
        better = (success >= 0.95) & (size.detach() < best)
        best = torch.where(better, size.detach(), best)
        pick = better.view(-1, *[1] * (mask.ndim - 1))
        kept_mask, kept_pattern = (
            torch.where(pick, mask.detach(), kept_mask),
            torch.where(pick, pattern.detach(), kept_pattern),
        )
        reached = torch.where(better, success, reached)
        streak = torch.where(success >= 0.95, streak.clamp(min=0) + 1, streak.clamp(max=0) - 1)
        weight = torch.where(
            streak >= _PATIENT, weight * _RAISED, torch.where(streak <= -_PATIENT, weight / _LOWERED, weight)
        )
        streak = torch.where(streak.abs() >= _PATIENT, 0.0, streak)
    most = float(torch.ones(flat).sum())
    sizes = torch.where(best.isfinite(), best, most)
    return Inverted(kept_mask, kept_pattern, sizes, reached, _anomaly(sizes))


def stamped(x: Tensor, found: Inverted, label: int) -> Tensor:
    """Put the trigger found for one class on inputs x (n, *shape)."""
    return _stamped(x, found.mask[label : label + 1], found.pattern[label : label + 1])[0]


def _stamped(x: Tensor, mask: Tensor, pattern: Tensor) -> Tensor:
    """Stamp each of c triggers on each of n inputs: (c, n, *shape)."""
    mask, pattern = mask.unsqueeze(1), pattern.unsqueeze(1)
    return (1 - mask) * x.unsqueeze(0) + mask * pattern


def _anomaly(sizes: Tensor) -> Tensor:
    """Compute how many robust deviations the logarithm of each size lies below the median's: (c,)."""
    size = sizes.clamp(min=1e-6).log()
    middle = size.median()
    spread = (size - middle).abs().median() * _MAD
    return (middle - size) / spread.clamp(min=_LEAST)
