"""HopSkipJump's walk along the decision boundary: estimate by labels where it falls back, jump, come back to it."""

from __future__ import annotations

import math

import torch

from hauberk.attacks.boundary_search import Hunt, Start, Walkers, beside, going, precise, unit
from hauberk.numeric.draws import normal, uniform

Tensor = torch.Tensor

FIRST_PROBE = 0.1
"""Length of the first probes as a share of the input's range: nothing is known of the boundary yet (§3.4)."""
HALVINGS = 12
"""A step still too long after so many halvings is not taken: without an end a flat label would loop for ever."""


def walk(hunt: Hunt, start: Start, tries: int, probes: int, rng: torch.Generator) -> None:
    """Walk until the queries are used up; `hunt` then knows the nearest errors (Chen et al. 2020, arXiv:1904.02144).

    start, tries: of the first error. probes: random directions of the first estimate; the t-th takes √t times as many.
    """
    walkers, step = hunt.begin(start, tries, rng), 0
    while len(walkers.rows):
        walkers, step = going(hunt.keep(walkers), walkers), step + 1
        # What brings the next point onto the boundary is put aside before the probes are paid.
        spare = hunt.left[walkers.rows] - precise(hunt.norm, hunt.dimension) - HALVINGS
        counts = spare.clamp(max=round(probes * math.sqrt(step)))
        able = (counts >= 2).nonzero().squeeze(1)
        if not len(able):
            break
        walkers, counts = going(able, walkers), counts[able]
        way = _way(hunt, walkers, counts, step, rng)
        walkers = hunt.onto_boundary(_jump(hunt, walkers, way, step))


def _way(hunt: Hunt, walkers: Walkers, counts: Tensor, step: int, rng: torch.Generator) -> Tensor:
    """Estimate where the boundary falls back fastest (n, *shape), of unit length in the norm (§3.2, equation 12)."""
    draw = normal if hunt.norm == "l2" else _balanced

    def probe(own: Walkers, count: int) -> Tensor:
        way = draw((len(own.x) * count, *own.x.shape[1:]), own.x, rng)
        return own.x.unsqueeze(1) + _length(hunt, own, step) * unit(way).reshape(len(own.x), count, *own.x.shape[1:])

    way = hunt.slope(walkers, counts, probe)
    return way.sign() if hunt.norm == "linf" else way


def _balanced(shape: tuple[int, ...], like: Tensor, rng: torch.Generator) -> Tensor:
    return uniform(shape, like, rng) * 2 - 1


def _length(hunt: Hunt, walkers: Walkers, step: int) -> Tensor:
    """Return how long probes are (n, 1, …): a d-th of the distance, so that they straddle the boundary (§3.4)."""
    length = walkers.distance / hunt.dimension
    if step == 1:
        length = torch.full_like(length, FIRST_PROBE * (hunt.bounds[1] - hunt.bounds[0]))
    return beside(length, walkers.x.unsqueeze(1))


def _jump(hunt: Hunt, walkers: Walkers, way: Tensor, step: int) -> Walkers:
    """Step away from the boundary, as far as the answer stays an error: distance / √t, halved where it does not."""
    reach, x = walkers.distance / math.sqrt(step), walkers.x.clone()
    waiting = torch.arange(len(x), device=x.device)
    for _ in range(HALVINGS):
        if not len(waiting):
            break
        point = (walkers.x[waiting] + way[waiting] * beside(reach, way)).clamp(*hunt.bounds)
        hit = hunt.errs(point, walkers.rows[waiting])
        x[waiting[hit]] = point[hit]
        waiting, reach = waiting[~hit], reach[~hit] / 2
    return hunt.at(walkers, x)
