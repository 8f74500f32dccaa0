"""Pixel and threshold attack: differential evolution of few pixels, or of the whole change, by scores alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.searching import Asked, Plan, Turn, ball_of, boxed, image, search
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region
from hauberk.numeric.draws import uniform

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Brood:
    """Where evolution stands: p members a sample, each with g genes in 0–1.

    genes: (n, p, g). lead: (n, p), by how much the error leads there; -inf where not asked yet. child: (n, p, g), what
    is asked next.
    """

    genes: Tensor
    lead: Tensor
    child: Tensor


@dataclass(frozen=True, slots=True)
class Pixel:
    """Pixel attack in l0, threshold attack in linf.

    queries: per sample, the first look at the clean input included; a threat's own budget goes before it.
    population: members that evolve for each sample, each asked once a generation.
    weight: of the difference of two members that is added to the best one, above 0. crossing: share of a member's
    genes its child takes from there, 0–1. Su et al. add to a random member and take all genes: it needs more queries.
    """

    card: ClassVar[Card] = Card(
        title="Pixel and threshold attack",
        summary="Differential evolution; weaker than Sparse-RS and Square, here because people compare with it.",
        paper="Su et al. 2019, arXiv:1710.08864; Kotyan & Vargas 2019, arXiv:1906.06026",
        needs=("scores",),
        norms=("l0", "linf"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 2000
    population: int = 20
    weight: float = 0.5
    crossing: float = 0.3

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return the points of highest margin found, of x's shape; raises UsageError without an l0 or linf ball.

        An l0 radius below 1 leaves nothing to change: the inputs come back.
        """
        norm, radius = ball_of(threat, self.card.norms, "evasion.pixel")
        if norm == "l0" and radius < 1:
            return x.clone()
        return search(self, Plan(self.queries, width=2 * self.population), target, x, y, threat, rng)

    def start(self, turn: Turn) -> Brood:
        """Draw the first generation; where the budget is smaller than it, as many as can be asked."""
        c, h, w = image(turn.x).shape[1:]
        chosen, colours = _counts(turn.region)
        genes = c * h * w if turn.region.norm == "linf" else chosen * (2 + colours)
        shape = (len(turn.x), min(self.population, turn.left), genes)
        child = uniform(shape, turn.x, turn.rng)
        return Brood(child, torch.full(shape[:2], -torch.inf, device=turn.x.device), child)

    def propose(self, state: Brood, turn: Turn) -> Tensor:
        """Ask for what the children's genes say (section III of the pixel attack)."""
        return _expressed(state.child[:, : turn.left], turn.region)

    def accept(self, state: Brood, asked: Asked, turn: Turn) -> Brood:
        """Let each child that leads more take its parent's place, and breed the next."""
        count = asked.lead.shape[1]
        gained = asked.lead > state.lead[:, :count]
        genes, lead = state.genes.clone(), state.lead.clone()
        genes[:, :count] = torch.where(gained.unsqueeze(2), state.child[:, :count], genes[:, :count])
        lead[:, :count] = torch.where(gained, asked.lead, lead[:, :count])
        return Brood(genes, lead, self._bred(genes, lead, turn.rng))

    def _bred(self, genes: Tensor, lead: Tensor, rng: torch.Generator) -> Tensor:
        """Make a child of each member (n, p, g): some genes become best + weight · (b − c), b and c at random."""
        n, p, g = genes.shape
        best = genes.gather(1, lead.argmax(1).reshape(n, 1, 1).expand(n, 1, g))
        b, c = (
            genes.gather(1, (uniform((n, p), genes, rng) * p).long().unsqueeze(2).expand(n, p, g)) for _ in range(2)
        )
        moved = best + self.weight * (b - c)
        moved = torch.where((moved < 0) | (moved >= 1), uniform((n, p, g), genes, rng), moved)
        return torch.where(uniform((n, p, g), genes, rng) < self.crossing, moved, genes)


def _counts(region: Region) -> tuple[int, int]:
    """Return how many pixels may change, and the values of each: all channels, or one for a small radius."""
    c, h, w = image(region.center).shape[1:]
    colours = c if region.radius >= c else 1
    return min(int(region.radius) // colours, c * h * w // colours), colours


def _expressed(genes: Tensor, region: Region) -> Tensor:
    """Make the inputs (n, p, *shape) that genes (n, p, g) stand for.

    linf: one gene a value, from the least to the most it may be. l0: of each pixel line, column and colours.
    """
    low, high = region.lower.unsqueeze(1), region.upper.unsqueeze(1)
    n, p, _ = genes.shape
    if region.norm == "linf":
        shape = (n, p, *low.shape[2:])
        # A lerp's last bit may lie beyond its end.
        return boxed(torch.lerp(low.expand(shape), high.expand(shape), genes.reshape(shape)), region)
    _, h, w = image(region.center).shape[1:]
    chosen, colours = _counts(region)
    # Where single values change, the channels stand below each other as lines of one tall picture.
    tall = h * (image(region.center).shape[1] // colours)
    shape = (n, 1, colours, tall * w)
    clean, least, most = (part.reshape(shape) for part in (region.center, region.lower, region.upper))
    dots = genes.reshape(n, p, chosen, 2 + colours)
    place = (dots[..., 0] * tall).long() * w + (dots[..., 1] * w).long()
    point = clean.expand(n, p, colours, tall * w).clone()
    for dot in range(chosen):
        index = place[:, :, dot].reshape(n, p, 1, 1).expand(n, p, colours, 1)
        low, high = (part.expand_as(point).gather(3, index) for part in (least, most))
        point.scatter_(3, index, torch.lerp(low, high, dots[:, :, dot, 2:].unsqueeze(3)))
    return boxed(point.reshape(n, p, *region.center.shape[1:]), region)
