"""Brendel–Bethge: from an error far away onto the boundary, then along it, ever nearer to the clean input."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Round, Turn, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.attacks.nearest import free_norm, nearest, part_way
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Norm, Threat
from hauberk.numeric.balls import Region
from hauberk.numeric.losses import LOSSES
from hauberk.numeric.trust_region import along_boundary

Tensor = torch.Tensor

_NEARER, _TINY = 0.65, 1e-12
"""How near the next start is looked for, as a share of the last one's distance; and the least distance to divide by."""

_CLEAR = 1e-6
"""How far beyond the boundary a step aims at least, as a share of the box's diagonal: what lies on the boundary to the
last bit may be no error when asked again, and the walk would never leave it."""

_HALVINGS = 10
"""Blind looks between the first error and the clean input (section 3.1)."""


@dataclass(frozen=True, slots=True)
class Edge:
    """Where the attack stands; n samples.

    x: (n, *shape), looked at next. far: (n, *shape), an error to start from, found (n,) bool or not yet. low, high:
    (n,), shares of the way to it, known to be right and wrong. slope: (n, *shape), average of the boundary's normals.
    pool: the clean inputs of the whole block, from which first errors are drawn; a tuple, so that it does not shrink.
    """

    x: Tensor
    far: Tensor
    found: Tensor
    low: Tensor
    high: Tensor
    slope: Tensor
    pool: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class BrendelBethge:
    """Brendel–Bethge attack.

    steps: gradients. starts: blind looks for a first error, at noise and at other clean inputs of the batch in turn,
    and then for nearer ones, as the first decides which boundary is walked; without one a sample stays.
    pace: the trust region's first radius, as a share of the box's diagonal. decays: how often it is halved over all
    steps. momentum: share of the earlier normals in the average. overshoot: how far beyond the boundary a step aims
    from the right side of it, 1 is the boundary itself. norm: "l2", "linf", "l1" or "l0", used where the threat has no
    ball.
    driving: how the driver runs it (early stop, batch, float type).
    """

    card: ClassVar[Card] = Card(
        title="Brendel–Bethge attack",
        summary="Along the boundary inwards from a far error, in any norm: for where gradients elsewhere are masked.",
        paper="Brendel et al. 2019, arXiv:1907.01003",
        needs=("gradients",),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row", "wave", "frames"),
        nearest=True,
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 100
    starts: int = 50
    pace: float = 0.3
    decays: int = 10
    momentum: float = 0.8
    overshoot: float = 1.1
    norm: Norm = "l2"
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return the nearest errors found, (n, *shape), cut to the threat's ball where it has one."""
        norm = free_norm(threat, self.norm, self.card.norms, "evasion.brendel_bethge")
        turn = Round(LOSSES["margin"], self._blind + self.steps, blind=lambda index: index < self._blind)
        return drive(self, nearest((turn,), norm), target, x, y, threat, rng, self.driving)

    @property
    def _blind(self) -> int:
        return 1 + self.starts + _HALVINGS

    def start(self, region: Region, rng: torch.Generator) -> Edge:  # noqa: ARG002
        """Begin at the clean input: where that errs, nothing is left to do."""
        x = region.center
        low, high = x.new_zeros(len(x)), x.new_ones(len(x))
        return Edge(x, x, torch.zeros_like(low, dtype=torch.bool), low, high, torch.zeros_like(x), (x,))

    def step(self, state: Edge, seen: Seen, turn: Turn) -> Edge:
        """Look for a first error, halve the way back to the boundary, then walk along it."""
        if turn.index <= self.starts:
            return self._sought(state, seen, turn)
        if turn.index < self._blind:
            middle = (state.low + state.high) / 2
            low, high = torch.where(seen.hit, state.low, middle), torch.where(seen.hit, middle, state.high)
            last = turn.index == self._blind - 1
            share = high if last else (low + high) / 2
            return replace(state, low=low, high=high, x=part_way(share, state.far, turn.region))
        return self._walked(state, seen, turn)

    def _sought(self, state: Edge, seen: Seen, turn: Turn) -> Edge:
        """Keep an error; draw another point: uniform noise, or a clean input of the block.

        Once there is an error, a point is drawn nearer than that: which face the walk ends on is settled here.
        """
        far, found = _choose(seen.hit, state.x, state.far), state.found | seen.hit
        if turn.index == self.starts:
            return replace(state, far=far, found=found, x=part_way((state.low + state.high) / 2, far, turn.region))
        drawn = _noise(turn) if turn.index % 2 == 0 else _other(state.pool[0], len(far), turn.rng)
        share = _NEARER * turn.region.distance(far) / turn.region.distance(drawn).clamp(min=_TINY)
        nearer = part_way(torch.where(found, share, 1.0).clamp(max=1.0), drawn, turn.region)
        return replace(state, far=far, found=found, x=nearer)

    def _walked(self, state: Edge, seen: Seen, turn: Turn) -> Edge:
        """Solve equation 2; from the right side of the boundary aim beyond it, from the wrong side short of it."""
        where, done = turn.region, turn.index - self._blind
        slope = seen.gradient if not done else state.slope.lerp(seen.gradient, 1 - self.momentum)
        flat, low, high, home = (
            part.flatten(1) for part in (slope, where.lower - state.x, where.upper - state.x, where.center - state.x)
        )
        diagonal = torch.linalg.vector_norm((where.upper - where.lower).flatten(1), dim=1)
        clear = _CLEAR * diagonal * torch.linalg.vector_norm(flat, dim=1)
        gain = -seen.loss * torch.where(seen.loss < 0, self.overshoot, 2 - self.overshoot)
        gain = torch.maximum(gain, clear - seen.loss)
        radius = self.pace * 0.5 ** math.floor(self.decays * done / max(1, self.steps)) * diagonal
        move = along_boundary(where.norm, home, flat, gain, low, high, radius).reshape(state.x.shape)
        # What goes all the way home is the clean value itself, to the bit: l0 counts it.
        point = torch.where(move == home.reshape(move.shape), where.center, state.x + move)
        point = torch.clamp(point, where.lower, where.upper)
        return replace(state, x=_choose(state.found, point, state.x), slope=slope)


def _noise(turn: Turn) -> Tensor:
    where = turn.region
    share = torch.rand(where.center.shape, generator=turn.rng, device=turn.rng.device).to(where.center)
    return torch.clamp(where.lower + share * (where.upper - where.lower), where.lower, where.upper)


def _other(pool: Tensor, count: int, rng: torch.Generator) -> Tensor:
    rows = torch.randint(len(pool), (count,), generator=rng, device=rng.device)
    return pool[rows.to(pool.device)]


def _choose(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Choose between (n, …) by sample."""
    return torch.where(mask.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)
