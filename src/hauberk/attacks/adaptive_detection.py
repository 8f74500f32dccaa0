"""An attack on model and detector at once: err first, then become unsuspicious without losing the error."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from hauberk.core.defending import Detector
from hauberk.core.errors import MissingPower
from hauberk.core.protocols import Differentiable
from hauberk.core.threat import Norm
from hauberk.numeric.balls import Region, steepest
from hauberk.numeric.losses import Aim

Tensor = torch.Tensor

_CLEAR = 1e-4
"""Share of the largest logit by which an error must lead to count as kept."""
_FIRST, _LAST = 0.2, 0.005
"""Length of the first and the last step as shares of the radius; between them they fall evenly on a log scale."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """The least suspicious errors found. x: (n, *shape). suspicion: (n,), infinite where no error was found."""

    x: Tensor
    suspicion: Tensor


def evade(
    target: Differentiable,
    detector: Detector,
    region: Region,
    y: Tensor,
    starts: tuple[Tensor, ...],
    *,
    steps: int = 100,
    batch: int = 128,
) -> Unseen:
    """Search the region from each start (n, *shape) for errors that the detector finds as unsuspicious as can be.

    A step follows the model's loss while the answer is right and the detector's once it errs; from every other start
    the one gradient is freed of what would undo the other (Bryniarski et al. 2021, arXiv:2106.15023, §3: selective and
    orthogonal PGD). What is returned has the detector's own `score`. Raises MissingPower where the suspicion does not
    depend on the input, or nowhere has a slope: an attack that cannot see the detector is not adaptive.
    """
    best = Unseen(region.center, torch.full((len(y),), math.inf))
    for index, start in enumerate(starts):
        for rows in torch.split(torch.arange(len(y)), batch):
            part = _search(
                target, detector, _taken(region, rows), y[rows], start[rows], steps, orthogonal=index % 2 == 0
            )
            better = part.suspicion < best.suspicion[rows]
            kept = rows[better]
            best = Unseen(
                best.x.index_copy(0, kept, part.x[better]),
                best.suspicion.index_copy(0, kept, part.suspicion[better]),
            )
    return best


def _taken(region: Region, rows: Tensor) -> Region:
    return Region(region.norm, region.radius, region.center[rows], region.lower[rows], region.upper[rows])


def _search(
    target: Differentiable,
    detector: Detector,
    region: Region,
    y: Tensor,
    start: Tensor,
    steps: int,
    *,
    orthogonal: bool,
) -> Unseen:
    x, aim = region.project(start), Aim(y)
    best, least = x, torch.full((len(y),), math.inf)
    flat = True
    for pace in _paces(steps):
        point = x.detach().requires_grad_(True)
        with torch.enable_grad():
            logits = target.forward(point)
            lead = aim.lead(logits)
            suspicion = detector.suspicion(point)
            wrong, far = _slopes(lead, suspicion, point)
        flat = flat and not bool((far.flatten(1).abs().amax(1) > 0).any())
        errs = lead.detach() > _CLEAR * logits.detach().abs().amax(1)
        better = errs & (suspicion.detach() < least)
        best = torch.where(_column(better, x), x, best)
        least = torch.where(better, suspicion.detach(), least)
        way = _way(wrong, -far, errs, orthogonal=orthogonal)
        x = region.project(x + pace * region.radius * _unit(way, region.norm))
    if flat:
        raise MissingPower(
            "the detector's score has no slope anywhere", fix="give its `suspicion` a stand-in's gradient"
        )
    with torch.no_grad():
        lasts = detector.suspicion(x)
        errs = aim.lead(target.forward(x)) > 0
    better = errs & (lasts < least)
    return Unseen(torch.where(_column(better, x), x, best), torch.where(better, lasts, least))


def _slopes(lead: Tensor, suspicion: Tensor, point: Tensor) -> tuple[Tensor, Tensor]:
    if not suspicion.requires_grad:
        raise MissingPower("the detector's score does not depend on the input by autograd", fix="give it a stand-in")
    (wrong,) = torch.autograd.grad(lead.sum(), point, retain_graph=True)
    (far,) = torch.autograd.grad(suspicion.sum(), point)
    return wrong.nan_to_num(nan=0.0), far.nan_to_num(nan=0.0)


def _way(wrong: Tensor, unseen: Tensor, errs: Tensor, *, orthogonal: bool) -> Tensor:
    """Choose each sample's direction (n, *shape): to err, or once it errs to be unseen."""
    if orthogonal:
        against = (wrong * unseen).flatten(1).sum(1)
        size = wrong.flatten(1).square().sum(1).clamp(min=1e-20)
        unseen = unseen - _column((against / size).clamp(max=0), wrong) * wrong
    return torch.where(_column(errs, wrong), unseen, wrong)


def _unit(way: Tensor, norm: Norm) -> Tensor:
    """In linf the sign would undo what the projection did: the direction is scaled by its largest part instead."""
    if norm != "linf":
        return steepest(way, norm, sparsity=0.05)
    return way / _column(way.flatten(1).abs().amax(1).clamp(min=1e-20), way) * 2.0


def _paces(steps: int) -> Iterator[float]:
    return (_FIRST * (_LAST / _FIRST) ** (step / max(1, steps - 1)) for step in range(steps))


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.ndim - 1))
