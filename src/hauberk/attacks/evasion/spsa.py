"""SPSA: Adam on gradients estimated from pairs of random sign vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.searching import Asked, Plan, Turn, around, ball_of, beside, pairs, search, slope, unit_scale
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import size
from hauberk.numeric.draws import signs
from hauberk.numeric.moments import Moments, untouched

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Climber:
    """Where SPSA stands: x (n, *shape), and Adam's memory of the slopes."""

    x: Tensor
    memory: Moments


@dataclass(frozen=True, slots=True)
class SPSA:
    """Simultaneous perturbation stochastic approximation.

    queries: per sample, the first look at the clean input included; a threat's own budget goes before it.
    probes: pairs of opposite points asked for a step. reach: how far they lie from the point, as a share of the
    radius in each value (in l2 of what each value would have of it). pace: length of a step, as such a share.
    """

    card: ClassVar[Card] = Card(
        title="SPSA",
        summary="Estimates gradients from random sign vectors: unmoved by masked gradients, dearer than Square.",
        paper="Uesato et al. 2018, arXiv:1802.05666",
        needs=("scores",),
        norms=("linf", "l2"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 5000
    probes: int = 16
    reach: float = 0.1
    pace: float = 0.2

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return the points of highest margin found, of x's shape; raises UsageError without an linf or l2 ball."""
        ball_of(threat, self.card.norms, "evasion.spsa")
        plan = Plan(self.queries, width=1 + 2 * self.probes, inside=False)
        return search(self, plan, target, x, y, threat, rng)

    def start(self, turn: Turn) -> Climber:
        """Begin at the clean input."""
        return Climber(turn.x, untouched(turn.x))

    def propose(self, state: Climber, turn: Turn) -> Tensor:
        """Ask for the point itself and for pairs on both sides of it (§4.2, algorithm 1)."""
        shape = (len(state.x), pairs(self.probes, turn), *state.x.shape[1:])
        return around(state.x, self.reach * unit_scale(turn.region) * signs(shape, state.x, turn.rng), turn.region)

    def accept(self, state: Climber, asked: Asked, turn: Turn) -> Climber:
        """Take one step of Adam up the estimated slope."""
        rise = slope(asked)
        # Only the slope's direction is known; scaled by its largest entry, Adam's floor means the same for every model.
        rise = rise / size(rise, "linf").clamp(min=1e-30).reshape(-1, *[1] * (rise.ndim - 1))
        memory = state.memory.after(rise)
        length = memory.size()
        if turn.region.norm == "l2":
            # Each value by its own length is the sign: right for linf. In l2 steep values must go farther.
            length = beside(size(length, "l2") / math.sqrt(state.x[0].numel()), rise)
        way = memory.steady() / (length + 1e-8)
        x = turn.region.project(state.x + self.pace * unit_scale(turn.region) * way)
        return Climber(x, memory)
