"""Sparse-RS: random search over which few pixels change, each to a corner of the colour cube."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.searching import Asked, Plan, Turn, ball_of, beside, image, search
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.draws import signs, uniform

Tensor = torch.Tensor

SHRINKS = ((50, 2), (200, 4), (500, 5), (1000, 6), (2000, 8), (4000, 10), (6000, 12), (8000, 15), (10_000, 20))
"""Up to which of 10,000 iterations the changed share is divided by what; a shorter search scales them (appendix A)."""


@dataclass(frozen=True, slots=True)
class Scattered:
    """Where Sparse-RS stands: x (n, *shape), which differs in as many pixels as may be, and lead (n,) there."""

    x: Tensor
    lead: Tensor


@dataclass(frozen=True, slots=True)
class SparseRS:
    """Sparse-RS in an l0 ball.

    queries: per sample, the first look at the clean input included; a threat's own budget goes before it.
    share: of the changed pixels that are exchanged at once in the beginning, 0–1. pixels: change all channels of a
    pixel together, each of them counting for the radius; False: single values. Where the radius holds no whole pixel,
    single values change.
    """

    card: ClassVar[Card] = Card(
        title="Sparse-RS",
        summary="Random search for few pixels to change: the strongest black box in l0, and no gradients to mask.",
        paper="Croce et al. 2022, arXiv:2006.12834",
        needs=("scores",),
        norms=("l0",),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 1000
    share: float = 0.3
    pixels: bool = True

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return the points of highest margin found, of x's shape; raises UsageError without an l0 ball.

        A radius below 1 leaves nothing to change: the inputs come back.
        """
        _, radius = ball_of(threat, self.card.norms, "evasion.sparse_rs")
        return search(self, Plan(self.queries), target, x, y, threat, rng) if radius >= 1 else x.clone()

    def start(self, turn: Turn) -> Scattered:
        """Begin before the first point: the first proposal draws all pixels, and counts whatever it leads by."""
        return Scattered(turn.x, torch.full_like(turn.lead, -torch.inf))

    def propose(self, state: Scattered, turn: Turn) -> Tensor:
        """Give some changed pixels back and change others instead (§3.1, algorithm 1)."""
        where = turn.region
        clean, x, low, high = (
            self._dots(part, where.radius) for part in (where.center, state.x, where.lower, where.upper)
        )
        n, c, dots = clean.shape
        budget = min(int(where.radius) // c, dots)
        draw = uniform((n, dots), clean, turn.rng)
        if turn.spent == 1:
            point, into = x, draw.topk(budget, 1).indices
        else:
            count = max(1, int(self._portion(turn) * budget))
            count = min(count, dots - budget) if budget < dots else count
            moved = (x != clean).any(1).to(draw)
            back = _all(c, (draw + moved).topk(count, 1).indices)
            point = x.scatter(2, back, clean.gather(2, back)) if budget < dots else x
            # Drawn among those that did not change; where all may change, some get another colour.
            into = (draw - moved).topk(count, 1).indices
        place = _all(c, into)
        old, least, most = (part.gather(2, place) for part in (clean, low, high))
        colour = _corners(old, least, most, turn.rng)
        return point.scatter(2, place, colour).reshape(turn.x.shape).unsqueeze(1)

    def accept(self, state: Scattered, asked: Asked, turn: Turn) -> Scattered:  # noqa: ARG002
        """Keep what leads more."""
        lead, point = asked.lead.squeeze(1), asked.points.squeeze(1)
        gained = lead > state.lead
        return Scattered(torch.where(beside(gained, point), point, state.x), torch.where(gained, lead, state.lead))

    def _dots(self, x: Tensor, radius: float) -> Tensor:
        """See inputs as dots that change as one (n, values, dots): the channels of a pixel, or single values."""
        picture = image(x)
        whole = self.pixels and radius >= picture.shape[1]
        return picture.flatten(2) if whole else picture.reshape(len(x), 1, -1)

    def _portion(self, turn: Turn) -> float:
        """Return the share of the changed pixels to exchange, by how much of the budget is spent."""
        at = turn.spent / turn.queries * 10_000
        return self.share / next(divisor for end, divisor in SHRINKS if at <= end)


def _all(channels: int, dots: Tensor) -> Tensor:
    """Name the values of the dots (n, k) in every channel (n, channels, k)."""
    return dots.unsqueeze(1).expand(-1, channels, -1)


def _corners(clean: Tensor, low: Tensor, high: Tensor, rng: torch.Generator) -> Tensor:
    """Draw a corner of the colour cube for each of k dots → (n, c, k), given their clean, least and greatest colours.

    A corner that is the clean colour would waste a pixel: there the opposite one is taken. The paper draws it all the
    same, and so, on black, changes every second grey pixel to what it was.
    """
    up = signs(tuple(clean.shape), clean, rng) > 0
    same = (torch.where(up, high, low) == clean).all(1, keepdim=True)
    return torch.where(up ^ same, high, low)
