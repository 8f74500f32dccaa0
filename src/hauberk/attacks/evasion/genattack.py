"""GenAttack: a genetic algorithm on changes of the whole input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.searching import Asked, Plan, Turn, ball_of, beside, boxed, search
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.draws import uniform

Tensor = torch.Tensor

FIRST, LEAST, DECAY = (0.5, 0.4), (0.1, 0.15), 0.9
"""Mutation rate and range (as a share of the radius's reach): at first, at least, and how they fall where the search
stands still (§4.3)."""
PATIENCE = 100
"""Generations without a better elite that count as a standstill (§4.3)."""


@dataclass(frozen=True, slots=True)
class People:
    """A population a sample: x (n, p, *shape) and lead (n, p); stuck: (n,) generations since the elite got better."""

    x: Tensor
    lead: Tensor
    stuck: Tensor


@dataclass(frozen=True, slots=True)
class GenAttack:
    """GenAttack.

    queries: per sample, the first look at the clean input included; a threat's own budget goes before it.
    population: of each sample; all but the elite are new in each generation. warmth: above 0; the higher, the less it
    counts for a parent to be strong.
    """

    card: ClassVar[Card] = Card(
        title="GenAttack",
        summary="A genetic algorithm; weaker than Square, here because people compare with it.",
        paper="Alzantot et al. 2019, arXiv:1805.11090",
        needs=("scores",),
        norms=("linf",),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 5000
    population: int = 6
    warmth: float = 0.3

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return the points of highest margin found, of x's shape; raises UsageError without an linf ball."""
        ball_of(threat, self.card.norms, "evasion.genattack")
        return search(self, Plan(self.queries, width=2 * self.population), target, x, y, threat, rng)

    def start(self, turn: Turn) -> People:
        """Begin with the clean input alone."""
        return People(turn.x.unsqueeze(1), turn.lead.unsqueeze(1), torch.zeros_like(turn.lead))

    def propose(self, state: People, turn: Turn) -> Tensor:
        """Draw a first generation from the ball, or breed the next one (§4.2, algorithm 1)."""
        where, count = turn.region, min(self.population - 1, turn.left)
        shape = (len(turn.x), count, *turn.x.shape[1:])
        if state.x.shape[1] == 1:
            low, high = where.lower.unsqueeze(1), where.upper.unsqueeze(1)
            return boxed(low + (high - low) * uniform(shape, turn.x, turn.rng), where)
        child = self._crossed(state, count, turn.rng)
        fade = DECAY ** (state.stuck // PATIENCE)
        rate, reach = (torch.clamp(first * fade, min=least) for first, least in zip(FIRST, LEAST, strict=True))
        hit = uniform(shape, child, turn.rng) < beside(rate, child)
        noise = (2 * uniform(shape, child, turn.rng) - 1) * beside(reach, child) * 2 * where.radius
        return boxed(torch.where(hit, child + noise, child), where)

    def accept(self, state: People, asked: Asked, turn: Turn) -> People:  # noqa: ARG002
        """Keep the elite and its children."""
        better = asked.lead.amax(1) > state.lead.amax(1)
        elite = state.lead.argmax(1)
        rows = torch.arange(len(elite), device=elite.device)
        x = torch.cat((state.x[rows, elite].unsqueeze(1), asked.points), 1)
        lead = torch.cat((state.lead[rows, elite].unsqueeze(1), asked.lead), 1)
        return People(x, lead, torch.where(better, 0.0, state.stuck + 1))

    def _crossed(self, state: People, count: int, rng: torch.Generator) -> Tensor:
        """Take each value of a child from one of two parents, the stronger one likelier (n, count, *shape)."""
        n, p = state.lead.shape
        # Leads have any scale; measured in their own spread the strongest is always preferred alike.
        score = (state.lead - state.lead.amax(1, keepdim=True)) / state.lead.std(1, keepdim=True).clamp(min=1e-30)
        chance = (score / self.warmth).softmax(1)
        edges = chance.cumsum(1)
        first, second = (torch.searchsorted(edges, uniform((n, count), edges, rng)).clamp(max=p - 1) for _ in range(2))
        rows = torch.arange(n, device=edges.device).unsqueeze(1)
        weight = chance.gather(1, first) / (chance.gather(1, first) + chance.gather(1, second)).clamp(min=1e-30)
        pick = uniform((n, count, *state.x.shape[2:]), state.x, rng) < beside(weight, state.x)
        return torch.where(pick, state.x[rows, first], state.x[rows, second])
