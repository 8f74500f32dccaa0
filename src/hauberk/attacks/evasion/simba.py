"""SimBA: add or subtract one direction of an orthonormal basis after the other, and keep what helps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.searching import Asked, Plan, Turn, ball_of, beside, image, search
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.draws import shuffles, signs

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Trial:
    """Where SimBA stands.

    order: (n, m) directions, each sample's own. place: (n,) which is tried. sign: (n,) ±1, the way it is tried first.
    back: (n,) bool, the first way failed and the other is tried now.
    """

    order: Tensor
    place: Tensor
    sign: Tensor
    back: Tensor


@dataclass(frozen=True, slots=True)
class SimBA:
    """Simple black-box attack.

    queries: per sample, the first look at the clean input included; a threat's own budget goes before it.
    basis: "dct", waves over the image, or "pixel", single values; rows of a table are always tried value by value.
    step: length of one change as a share of the radius, in the threat's norm.
    frequencies: share of the waves along each axis that are tried, 0–1, the lowest; low ones move a model most.
    """

    card: ClassVar[Card] = Card(
        title="SimBA",
        summary="One basis direction at a time, kept where it helps: good in l2, weaker than Square in linf.",
        paper="Guo et al. 2019, arXiv:1905.07121",
        needs=("scores",),
        norms=("linf", "l2"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 1000
    basis: Literal["dct", "pixel"] = "dct"
    step: float = 0.1
    frequencies: float = 0.5

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return the points of highest margin found, of x's shape; raises UsageError without an linf or l2 ball."""
        ball_of(threat, self.card.norms, "evasion.simba")
        return search(self, Plan(self.queries), target, x, y, threat, rng)

    def start(self, turn: Turn) -> Trial:
        """Shuffle the directions of each sample (§3, algorithm 1: without replacement; all tried, they come again)."""
        n, (c, h, w) = len(turn.x), image(turn.x).shape[1:]
        high, wide = self._waves(h, w)
        order = shuffles(n, c * high * wide, turn.x, turn.rng)
        place = torch.zeros(n, dtype=torch.long, device=turn.x.device)
        return Trial(order, place, signs((n,), turn.x, turn.rng), place > 0)

    def propose(self, state: Trial, turn: Turn) -> Tensor:
        """Move the strongest point along the direction tried."""
        rows = torch.arange(len(turn.x), device=turn.x.device)
        way = self._way(state.order[rows, state.place % state.order.shape[1]], image(turn.x))
        length = self.step * turn.region.radius * torch.where(state.back, -state.sign, state.sign)
        if turn.region.norm == "linf":
            way = way / way.flatten(1).abs().amax(1).reshape(-1, 1, 1, 1)
        point = turn.x + beside(length, turn.x) * way.reshape(turn.x.shape)
        return turn.region.project(point).unsqueeze(1)

    def accept(self, state: Trial, asked: Asked, turn: Turn) -> Trial:
        """Go on to the next direction where one way helped or both failed; else turn round."""
        on = (asked.lead.squeeze(1) > turn.lead) | state.back
        return Trial(state.order, state.place + on.long(), state.sign, ~on)

    def _waves(self, h: int, w: int) -> tuple[int, int]:
        """Return how many directions there are along each axis."""
        if self.basis == "pixel" or h == 1:
            return h, w
        return max(1, round(self.frequencies * h)), max(1, round(self.frequencies * w))

    def _way(self, index: Tensor, like: Tensor) -> Tensor:
        """Make the basis directions of these indices (n,) → (n, c, h, w), each of length 1."""
        n, _, h, w = like.shape
        high, wide = self._waves(h, w)
        way = torch.zeros_like(like)
        if self.basis == "pixel" or h == 1:
            return way.flatten(1).scatter(1, index.unsqueeze(1), 1.0).reshape(like.shape)
        channel, down, along = index // (high * wide), index // wide % high, index % wide
        wave = _wave(down, h, like).unsqueeze(2) * _wave(along, w, like).unsqueeze(1)
        way[torch.arange(n, device=like.device), channel] = wave
        return way


def _wave(frequency: Tensor, length: int, like: Tensor) -> Tensor:
    """Sample the cosines of these frequencies (n,) at `length` places → (n, length), rows of the orthonormal DCT-II."""
    place = torch.arange(length, device=like.device, dtype=like.dtype) + 0.5
    wave = torch.cos(math.pi / length * place * frequency.unsqueeze(1))
    return wave * torch.where(frequency == 0, math.sqrt(1 / length), math.sqrt(2 / length)).unsqueeze(1)
