"""ZOO: Adam on single values whose slopes are measured by differences of two queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.searching import (
    Asked,
    Plan,
    Turn,
    around,
    ball_of,
    beside,
    moves,
    pairs,
    rises,
    search,
    unit_scale,
)
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.draws import shuffles
from hauberk.numeric.moments import Moments

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Where ZOO stands.

    x: (n, *shape). mean, square, count, reach: (n, d), of each value Adam's memory, how often it was looked at, and
    how far its probes lie from x.
    """

    x: Tensor
    mean: Tensor
    square: Tensor
    count: Tensor
    reach: Tensor


@dataclass(frozen=True, slots=True)
class ZOO:
    """Zeroth-order optimisation, by Adam.

    queries: per sample, the first look at the clean input included; a threat's own budget goes before it.
    coordinates: values measured in one step, two queries each. pace: length of a value's move as a share of the radius
    (in l2 of what each value would have of it). reach: of the first probes, as a share of the radius; a value whose
    probes do not change the answer at all, as on trees, is probed four times as far the next time.
    """

    card: ClassVar[Card] = Card(
        title="ZOO",
        summary="Measures the slope value by value: exact but dear; also for rows, where there are few values.",
        paper="Chen et al. 2017, arXiv:1708.03999",
        needs=("scores",),
        norms=("linf", "l2"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 5000
    coordinates: int = 8
    pace: float = 1.0
    reach: float = 0.5

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return the points of highest margin found, of x's shape; raises UsageError without an linf or l2 ball."""
        ball_of(threat, self.card.norms, "evasion.zoo")
        plan = Plan(self.queries, width=1 + 2 * self.coordinates, inside=False)
        return search(self, plan, target, x, y, threat, rng)

    def start(self, turn: Turn) -> Coordinates:
        """Begin at the clean input."""
        zero = torch.zeros_like(turn.x.flatten(1))
        return Coordinates(turn.x, zero, zero, zero, torch.full_like(zero, self.reach * turn.region.radius))

    def propose(self, state: Coordinates, turn: Turn) -> Tensor:
        """Ask for the point itself and for both sides of it along values drawn at random (§3.3)."""
        n, d = state.mean.shape
        chosen = shuffles(n, d, state.x, turn.rng)[:, : pairs(min(self.coordinates, d), turn)]
        ways = torch.zeros(n, chosen.shape[1], d, dtype=state.x.dtype, device=state.x.device)
        ways.scatter_(2, chosen.unsqueeze(2), state.reach.gather(1, chosen).unsqueeze(2))
        return around(state.x, ways.reshape(*chosen.shape, *state.x.shape[1:]), turn.region)

    def accept(self, state: Coordinates, asked: Asked, turn: Turn) -> Coordinates:
        """Take a step of Adam (§3.3, algorithm 2) in each value measured.

        It begins at the strongest point where the last step led down.
        """
        move = moves(asked)
        gap, chosen = move.abs().max(2)
        signed = move.gather(2, chosen.unsqueeze(2)).squeeze(2)
        rise = torch.where(gap > 0, rises(asked) / torch.where(gap > 0, signed, 1.0), 0.0)
        mean, square, count = (part.gather(1, chosen) for part in (state.mean, state.square, state.count))
        memory = Moments(mean, square, count).after(rise)
        size = memory.size()
        if turn.region.norm == "l2":
            # Each value by its own size is the sign: right for linf. In l2 steep values must go farther.
            size = size.square().mean(1, keepdim=True).sqrt()
        way = memory.steady() / size.clamp(min=1e-30)
        base = torch.where(beside(turn.lead > asked.lead[:, 0], state.x), turn.x, state.x)
        moved = base.flatten(1).scatter_add(1, chosen, self.pace * unit_scale(turn.region) * way)
        reach = state.reach.gather(1, chosen)
        reach = torch.where(rise == 0, (4 * reach).clamp(max=turn.region.radius), reach)
        return Coordinates(
            turn.region.project(moved.reshape(base.shape)),
            state.mean.scatter(1, chosen, memory.mean),
            state.square.scatter(1, chosen, memory.square),
            state.count.scatter(1, chosen, count + 1),
            state.reach.scatter(1, chosen, reach),
        )
