"""RayS: search the signs of the perturbation block by block, by whether the present radius still errs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from hauberk.attacks.boundary_search import Hunt, Walkers, beside
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.active import take
from hauberk.numeric.balls import size

Tensor = torch.Tensor

FINE = 1e-3
"""Share of the input's range down to which a radius is bisected (§3.3)."""


@dataclass(frozen=True, slots=True)
class Rays:
    """n samples and their rays.

    walkers: their nearest errors. signs, trial: (n, d) ±1, the best signs, and those a block is flipped in. low, high:
    (n,), between them the radius at which the best signs begin to err; high is infinite while none is known.
    level, place: (n,) int64, the block to flip next: a range of 2^-level of the input, and which.
    """

    walkers: Walkers
    signs: Tensor
    low: Tensor
    high: Tensor
    level: Tensor
    place: Tensor


@dataclass(frozen=True, slots=True)
class RayS:
    """RayS, all samples side by side; no start and no step length, and nothing random.

    queries: per sample; a threat's own budget goes before it. early_stop: leave a sample once its error lies inside
    the ball.
    """

    card: ClassVar[Card] = Card(
        title="RayS",
        summary="Flips blocks of signs, one question each: the decision-based attack to choose in linf.",
        paper="Chen & Gu 2020, arXiv:2006.12792",
        norms=("linf",),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 2000
    early_stop: bool = True

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:  # noqa: ARG002
        """Return the nearest errors found, of x's shape, put into the ball where they lie outside.

        A sample that is wrong already, or for which no error is found, comes back as it was.
        Raises UsageError for a threat without an linf ball.
        """
        name = "evasion.rays"
        hunt = Hunt(target, x, y, threat, self.queries, name=name, norms=self.card.norms, early=self.early_stop)
        rows = hunt.open()
        zero, none = torch.zeros(len(rows), device=x.device), torch.zeros_like(rows)
        walkers = replace(hunt.walkers(rows, x[rows]), distance=zero + torch.inf)
        rays = Rays(walkers, torch.ones_like(x[rows].flatten(1)), zero, zero + torch.inf, none, none)
        while len(stay := hunt.keep(rays.walkers)):
            rays = rays if len(stay) == len(rays.low) else take(rays, stay)
            rays = _asked(hunt, rays)
        return hunt.found()


def _asked(hunt: Hunt, rays: Rays) -> Rays:
    """Ask one question a sample: does a smaller radius err, or, where that is known well, does a flipped block?"""
    wide = hunt.bounds[1] - hunt.bounds[0]
    halving = rays.high.isfinite() & (rays.high - rays.low > FINE * wide)
    trial = torch.where(halving.unsqueeze(1), rays.signs, _flipped(rays))
    reach = torch.where(halving, (rays.low + rays.high) / 2, rays.high.clamp(max=wide))
    walkers = rays.walkers
    point = (walkers.clean + (trial * reach.unsqueeze(1)).reshape(walkers.clean.shape)).clamp(*hunt.bounds)
    hit = hunt.errs(point, walkers.rows)
    low = torch.where(halving, torch.where(hit, rays.low, reach), torch.where(hit, 0.0, rays.low))
    signs = torch.where(hit.unsqueeze(1), trial, rays.signs)
    distance = torch.where(hit, size(point - walkers.clean, "linf"), walkers.distance)
    x = torch.where(beside(hit, point), point, walkers.x)
    high = torch.where(hit, reach, rays.high)
    level, place = _next(rays, signs.shape[1])
    level, place = torch.where(halving, rays.level, level), torch.where(halving, rays.place, place)
    return Rays(replace(walkers, x=x, distance=distance), signs, low, high, level, place)


def _flipped(rays: Rays) -> Tensor:
    """Flip the next block of each sample's signs (n, d)."""
    d = rays.signs.shape[1]
    length = torch.ceil(d / 2.0**rays.level).long().unsqueeze(1)
    start = rays.place.unsqueeze(1) * length
    column = torch.arange(d, device=rays.signs.device)
    return torch.where((column >= start) & (column < start + length), -rays.signs, rays.signs)


def _next(rays: Rays, d: int) -> tuple[Tensor, Tensor]:
    """Return the level and place (n,) of the blocks that follow; after the single values all begins again (§3.2)."""
    length = torch.ceil(d / 2.0**rays.level)
    over = (rays.place + 1) * length >= d
    level = torch.where(over, rays.level + 1, rays.level)
    level = torch.where(level > math.ceil(math.log2(d)), 0, level)
    return level, torch.where(over, 0, rays.place + 1)
