"""NES: steps with momentum along gradients estimated by natural evolution strategies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.searching import Asked, Plan, Turn, around, ball_of, pairs, search, slope, unit_scale
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import steepest
from hauberk.numeric.draws import normal

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Drift:
    """Where NES stands: x (n, *shape), and momentum (n, *shape), the mean of the slopes seen."""

    x: Tensor
    momentum: Tensor


@dataclass(frozen=True, slots=True)
class NES:
    """Natural evolution strategies.

    queries: per sample, the first look at the clean input included; a threat's own budget goes before it.
    probes: pairs of opposite points asked for a step. reach: their standard deviation in each value, as a share of
    the radius (in l2 of what each value would have of it). pace: length of a step as a share of the radius.
    memory: share of the old momentum that stays at each step, 0–1.
    """

    card: ClassVar[Card] = Card(
        title="NES",
        summary="Sign steps on gradients estimated from Gaussian probes: a classic; Square needs fewer queries.",
        paper="Ilyas et al. 2018, arXiv:1804.08598",
        needs=("scores",),
        norms=("linf", "l2"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 5000
    probes: int = 10
    reach: float = 0.1
    pace: float = 0.1
    memory: float = 0.9

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return the points of highest margin found, of x's shape; raises UsageError without an linf or l2 ball."""
        ball_of(threat, self.card.norms, "evasion.nes")
        plan = Plan(self.queries, width=1 + 2 * self.probes, inside=False)
        return search(self, plan, target, x, y, threat, rng)

    def start(self, turn: Turn) -> Drift:
        """Begin at the clean input."""
        return Drift(turn.x, torch.zeros_like(turn.x))

    def propose(self, state: Drift, turn: Turn) -> Tensor:
        """Ask for the point itself and for antithetic Gaussian pairs around it (§2.1)."""
        shape = (len(state.x), pairs(self.probes, turn), *state.x.shape[1:])
        return around(state.x, self.reach * unit_scale(turn.region) * normal(shape, state.x, turn.rng), turn.region)

    def accept(self, state: Drift, asked: Asked, turn: Turn) -> Drift:
        """Step along the sign, in l2 along the direction, of the momentum (§2.2)."""
        momentum = self.memory * state.momentum + (1 - self.memory) * slope(asked)
        way = steepest(momentum, turn.region.norm)
        return Drift(turn.region.project(state.x + self.pace * turn.region.radius * way), momentum)
