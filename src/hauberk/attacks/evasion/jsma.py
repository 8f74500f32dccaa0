"""JSMA: push the pair of values whose change helps the wanted class most and hurts the others most, again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Plan, Round, Turn, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.attacks.nearest import free_norm
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region
from hauberk.numeric.losses import Aim, Climb

Tensor = torch.Tensor

_CANDIDATES = 32
"""Values kept by each of three rankings before pairs are formed: d² pairs would not fit in memory."""


@dataclass(frozen=True, slots=True)
class Marked:
    """Where JSMA stands: x (n, *shape)."""

    x: Tensor


@dataclass(frozen=True, slots=True)
class JSMA:
    """Jacobian-based saliency map attack.

    steps: gradients at most; each changes one value or two. pair: change two values a step, as the paper does.
    change: by how much, as a share of the values' range. way: raise values ("up"), lower them ("down"), or whichever
    is more salient ("both": Wiyatno & Xu 2018, arXiv:1808.07945, whose untargeted goal, the class now nearest, is used
    where the threat names none).
    driving: how the driver runs it (early stop, batch, float type).
    """

    card: ClassVar[Card] = Card(
        title="Jacobian-based saliency map attack",
        summary="The classic in l0: greedy pairs of values; weaker than σ-zero, here to compare with.",
        paper="Papernot et al. 2016, arXiv:1511.07528",
        needs=("gradients",),
        norms=("l0",),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 100
    pair: bool = True
    change: float = 1.0
    way: Literal["up", "down", "both"] = "both"
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return points with few changes, (n, *shape), cut to the threat's ball where it has one."""
        norm = free_norm(threat, "l0", self.card.norms, "evasion.jsma")
        plan = Plan(rounds=(Round(_two_slopes, self.steps),), keep="nearest", free=True, norm=norm, width=2)
        return drive(self, plan, target, x, y, threat, rng, self.driving)

    def start(self, region: Region, rng: torch.Generator) -> Marked:  # noqa: ARG002
        """Begin at the clean input."""
        return Marked(region.center)

    def step(self, state: Marked, seen: Seen, turn: Turn) -> Marked:
        """Push the most salient values, up or down."""
        where = turn.region
        span = where.upper - where.lower
        towards, away = (seen.gradient * span.unsqueeze(1)).flatten(2).unbind(1)
        up = self._salient(towards, away, (state.x < where.upper).flatten(1))
        down = self._salient(-towards, -away, (state.x > where.lower).flatten(1))
        rising = (up.value >= down.value) if self.way == "both" else torch.full_like(up.value, self.way == "up").bool()
        which = torch.where(rising.unsqueeze(1), up.which, down.which)
        push = torch.where(rising, self.change, -self.change).to(state.x).unsqueeze(1).expand(which.shape)
        move = torch.zeros_like(towards).scatter(1, which, push).reshape(state.x.shape) * span
        return Marked(torch.clamp(state.x + move, where.lower, where.upper))

    def _salient(self, towards: Tensor, away: Tensor, free: Tensor) -> Salient:
        """Find the values whose rise helps most, among those `free` (n, d) to rise; there are no pairs of one value."""
        if self.pair and towards.shape[1] > 1:
            return best_pair(towards, away, free)
        value, which = saliency(towards, away, free).max(1)
        return Salient(value, which.unsqueeze(1))


@dataclass(frozen=True, slots=True)
class Salient:
    """value: (n,), how salient. which: (n, 1 or 2), values of the flat input."""

    value: Tensor
    which: Tensor


def saliency(towards: Tensor, away: Tensor, free: Tensor) -> Tensor:
    """Score changes (n, …): α·|β| where the wanted class gains α > 0 and the others lose, β < 0 (equation 8).

    Where none does both, the paper stops; here those that help the wanted class over the others follow, below 0.
    """
    both = (towards > 0) & (away < 0)
    gain = towards - away
    # Any bounded, rising function of the gain serves: it only has to stay below every true saliency.
    score = torch.where(both, towards * away.abs(), -1 / (1 + gain.clamp(min=0)) - (-gain).clamp(min=0))
    return score.masked_fill(~free, -torch.inf)


def best_pair(towards: Tensor, away: Tensor, free: Tensor) -> Salient:
    """Find the most salient pair of distinct values (n, d), formed of those that lead alone.

    (a_p + a_q) · |b_p + b_q| grows with a and falls with b, so the best pair lies on the outer edge of the cloud of
    (a, −b): the first by a, by −b and by both together are paired with one another.
    """
    count = min(_CANDIDATES, towards.shape[1])
    scale_a, scale_b = (part.abs().amax(1, keepdim=True).clamp(min=1e-30) for part in (towards, away))
    rankings = (towards / scale_a, -away / scale_b, towards / scale_a - away / scale_b)
    which = torch.cat([rank.masked_fill(~free, -torch.inf).topk(count, 1).indices for rank in rankings], 1)
    a, b, able = (part.gather(1, which) for part in (towards, away, free))
    pairs = (able.unsqueeze(2) & able.unsqueeze(1)) & (which.unsqueeze(2) != which.unsqueeze(1))
    score = saliency(a.unsqueeze(2) + a.unsqueeze(1), b.unsqueeze(2) + b.unsqueeze(1), pairs).flatten(1)
    value, place = score.max(1)
    members = torch.stack((place // which.shape[1], place % which.shape[1]), 1)
    return Salient(value, which.gather(1, members))


def _two_slopes(logits: Tensor, aim: Aim) -> Climb:
    """Ask for the slope of the wanted class's logit and for that of the sum of all others."""
    column = aim.labels.unsqueeze(1)
    wanted = logits.scatter(1, column, -torch.inf).argmax(1) if aim.wanted is None else aim.wanted
    hot = torch.zeros_like(logits).scatter(1, wanted.unsqueeze(1), 1.0)
    own = logits.gather(1, wanted.unsqueeze(1)).squeeze(1)
    return Climb(2 * own - logits.sum(1), torch.stack((hot, 1 - hot), 1))
