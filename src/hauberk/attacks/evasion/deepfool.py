"""DeepFool: step again and again to the nearest face of the linearised decision region: small perturbations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Plan, Round, Turn, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region
from hauberk.numeric.losses import Aim, Climb

Tensor = torch.Tensor

_FARTHEST = 1e6
"""Length of a move where the gradient all but vanishes: across any input's bounds, and still a number."""


@dataclass(frozen=True, slots=True)
class Trail:
    """Where DeepFool stands: x (n, *shape)."""

    x: Tensor


@dataclass(frozen=True, slots=True)
class DeepFool:
    """DeepFool.

    steps: linearisations at most. candidates: likeliest other classes whose faces are looked at, a gradient each.
    overshoot: share by which each move is lengthened to get across. norm: "l2" or "linf", used where the threat has no
    ball; else its own.
    driving: how the driver runs it (early stop, batch, float type).
    """

    card: ClassVar[Card] = Card(
        title="DeepFool",
        summary="The nearest face of the linearised decision region, step by step: a small perturbation, cheaply.",
        paper="Moosavi-Dezfooli et al. 2016, arXiv:1511.04599",
        needs=("gradients",),
        norms=("linf", "l2"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 50
    candidates: int = 9
    overshoot: float = 0.02
    norm: Literal["l2", "linf"] = "l2"
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return the small perturbations found, (n, *shape), cut to the threat's ball where it has one."""
        if threat.ball is not None and threat.ball.norm not in self.card.norms:
            raise UsageError(f"evasion.deepfool works in linf, l2; threat {threat.name} has {threat.ball.norm}")
        rounds = (Round(self._faces, self.steps),)
        plan = Plan(rounds=rounds, keep="nearest", free=True, norm=self.norm, width=self.candidates)
        return drive(self, plan, target, x, y, threat, rng, self.driving)

    def start(self, region: Region, rng: torch.Generator) -> Trail:  # noqa: ARG002
        """Begin at the clean input."""
        return Trail(region.center)

    def step(self, state: Trail, seen: Seen, turn: Turn) -> Trail:
        """Go to the nearest face (section 3, algorithm 2): |f_k| / ‖w_k‖ in the dual norm says how far each is.

        A coordinate at its bound that the move would push out has no part in it; the paper moves it and cuts it off,
        so that on images with black borders each step closes a part of the gap only and may never get across.
        """
        gaps = faces(seen.logits, turn.aim, self.candidates).gaps
        slopes = _free(seen.gradient, state.x, turn.region)
        sizes: Tensor = torch.linalg.vector_norm(slopes, 1 if turn.region.norm == "linf" else 2, dim=2)
        far = (gaps / torch.where(sizes > 0, sizes, 1.0)).masked_fill(sizes == 0, torch.inf)
        nearest = far.argmin(1)
        rows = torch.arange(len(nearest), device=nearest.device)
        move = _move(slopes[rows, nearest], sizes[rows, nearest], gaps[rows, nearest], turn.region.norm)
        return Trail(turn.region.project(state.x + (1 + self.overshoot) * move.reshape(state.x.shape)))

    def _faces(self, logits: Tensor, aim: Aim) -> Climb:
        found = faces(logits, aim, self.candidates)
        return Climb(-found.gaps.amin(1), found.slope)


@dataclass(frozen=True, slots=True)
class Faces:
    """gaps: (n, m) ≥ 0, label's logit − class's. slope: (n, m, classes), derivative of class − label by the logits."""

    gaps: Tensor
    slope: Tensor


def faces(logits: Tensor, aim: Aim, candidates: int) -> Faces:
    """Choose the m likeliest other classes; where a class is wanted, the one face that parts it from the likeliest."""
    labels, count = (aim.labels, candidates) if aim.wanted is None else (aim.wanted, 1)
    column = labels.unsqueeze(1)
    others = logits.scatter(1, column, -torch.inf)
    top, which = others.topk(min(count, logits.shape[1] - 1), dim=1)
    hot = torch.zeros((*which.shape, logits.shape[1]), dtype=logits.dtype, device=logits.device)
    hot.scatter_(2, which.unsqueeze(2), 1.0)
    own = torch.zeros_like(logits).scatter(1, column, 1.0).unsqueeze(1)
    gaps = logits.gather(1, column) - top
    if aim.wanted is None:
        return Faces(gaps.abs(), hot - own)
    return Faces(gaps.abs(), own - hot)


def _free(gradient: Tensor, x: Tensor, region: Region) -> Tensor:
    """Flatten gradients (n, m, *shape) → (n, m, d), with 0 where x is at the bound they point to."""
    up, down = (x >= region.upper).flatten(1).unsqueeze(1), (x <= region.lower).flatten(1).unsqueeze(1)
    flat = gradient.flatten(2)
    return flat.masked_fill((up & (flat > 0)) | (down & (flat < 0)), 0.0)


def _move(slope: Tensor, length: Tensor, gap: Tensor, norm: str) -> Tensor:
    """Return the smallest move (n, d) that closes `gap`: gap · w / ‖w‖₂², in linf gap · sign(w) / ‖w‖₁."""
    safe = torch.where(length > 0, length, 1.0)
    far = (gap / safe).clamp(max=_FARTHEST).unsqueeze(1)
    return far * (slope.sign() if norm == "linf" else slope / safe.unsqueeze(1))
