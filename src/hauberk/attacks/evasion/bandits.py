"""Bandits: a gradient guess that is carried from step to step, corrected by two queries each time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.searching import Asked, Plan, Turn, ball_of, beside, boxed, image, search
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import size, steepest
from hauberk.numeric.draws import normal

Tensor = torch.Tensor

MEMORY = 0.9
"""Share of the old mean rise that stays at each step."""


@dataclass(frozen=True, slots=True)
class Guess:
    """Where the bandit stands.

    x: (n, *shape). prior: (n, c, high, wide), the gradient guessed, tile by tile, in linf within ±1. noise: of the
    prior's shape, the way explored next. typical: (n,) mean size of the rises seen, 0 before the first.
    """

    x: Tensor
    prior: Tensor
    noise: Tensor
    typical: Tensor


@dataclass(frozen=True, slots=True)
class Bandits:
    """Bandits with time- and data-dependent priors (Bandits-TD).

    queries: per sample, the first look at the clean input included; a threat's own budget goes before it.
    tile: side of the squares of an image that share one guess; values of a row each have their own.
    reach: l2 length of the probes as a share of the radius. explore: length of the noise beside the
    guess. learn: how far one answer moves the guess; the paper's rates, made free of the scale of the scores.
    pace: length of a step as a share of the radius.
    """

    card: ClassVar[Card] = Card(
        title="Bandits-TD",
        summary="Carries a coarse gradient guess from step to step: between NES and Square in queries needed.",
        paper="Ilyas et al. 2019, arXiv:1807.07978",
        needs=("scores",),
        norms=("linf", "l2"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 5000
    tile: int = 4
    reach: float = 0.1
    explore: float = 1.0
    learn: float = 0.1
    pace: float = 0.05

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return the points of highest margin found, of x's shape; raises UsageError without an linf or l2 ball."""
        ball_of(threat, self.card.norms, "evasion.bandits")
        return search(self, Plan(self.queries, width=3, inside=False), target, x, y, threat, rng)

    def start(self, turn: Turn) -> Guess:
        """Begin at the clean input without a guess."""
        n, (c, h, w) = len(turn.x), image(turn.x).shape[1:]
        shape = (n, c, h, w) if h == 1 else (n, c, -(-h // self.tile), -(-w // self.tile))
        prior = torch.zeros(shape, dtype=turn.x.dtype, device=turn.x.device)
        return Guess(turn.x, prior, normal(shape, prior, turn.rng), torch.zeros_like(turn.lead))

    def propose(self, state: Guess, turn: Turn) -> Tensor:
        """Look along the guess plus noise and the guess less noise (§3.2, algorithm 3); with one query left, at x."""
        if turn.left == 1:
            return state.x.unsqueeze(1)
        noise = self.explore / math.sqrt(state.noise[0].numel()) * state.noise
        ways = [self._unit(state.prior + side * noise, state.x) for side in (1, -1)]
        return boxed(state.x.unsqueeze(1) + self.reach * turn.region.radius * torch.stack(ways, 1), turn.region)

    def accept(self, state: Guess, asked: Asked, turn: Turn) -> Guess:
        """Correct the guess along the noise by what it changed (§3.3), and step along the guess."""
        if asked.lead.shape[1] == 1:
            return state
        rise = asked.lead[:, 0] - asked.lead[:, 1]
        typical = torch.where(state.typical > 0, MEMORY * state.typical + (1 - MEMORY) * rise.abs(), rise.abs())
        pull = self.learn * beside(rise / typical.clamp(min=1e-30), state.noise) * state.noise
        prior = _weighed(state.prior, pull) if turn.region.norm == "linf" else state.prior + pull
        way = steepest(self._grown(prior, state.x), turn.region.norm)
        x = turn.region.project(state.x + self.pace * turn.region.radius * way)
        return Guess(x, prior, normal(tuple(prior.shape), prior, turn.rng), typical)

    def _grown(self, prior: Tensor, like: Tensor) -> Tensor:
        """Give every value its tile's guess → shape of `like`."""
        h, w = image(like).shape[2:]
        if h > 1:
            prior = prior.repeat_interleave(self.tile, 2)[:, :, :h].repeat_interleave(self.tile, 3)[..., :w]
        return prior.reshape(like.shape)

    def _unit(self, prior: Tensor, like: Tensor) -> Tensor:
        way = self._grown(prior, like)
        return way / beside(size(way, "l2").clamp(min=1e-30), way)


def _weighed(prior: Tensor, pull: Tensor) -> Tensor:
    """Move a guess within ±1 by exponentiated gradients: the odds of + against − are multiplied by e^(2 pull)."""
    up, down = (1 + prior) * pull.exp(), (1 - prior) * (-pull).exp()
    return (up - down) / (up + down).clamp(min=1e-30)
