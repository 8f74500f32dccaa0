"""NewtonFool: Newton steps on the probability of the label, each no longer than a share of the input allows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Plan, Round, Turn, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.attacks.nearest import free_norm, wide
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region, size, steepest
from hauberk.numeric.losses import Aim, Climb

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Trail:
    """Where NewtonFool stands: x (n, *shape)."""

    x: Tensor


@dataclass(frozen=True, slots=True)
class NewtonFool:
    """NewtonFool.

    steps: gradients at most. pace: longest step, as a share of the clean input's own norm times the slope (η).
    driving: how the driver runs it (batch, float type); the first error ends it always: no later one is nearer.
    """

    card: ClassVar[Card] = Card(
        title="NewtonFool",
        summary="Newton steps on the label's probability: stalls where the model is sure; here to compare with.",
        paper="Jang et al. 2017, doi:10.1145/3134600.3134635",
        needs=("gradients",),
        norms=("l2",),
        inputs=("chw", "row", "wave", "frames"),
        nearest=True,
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 100
    pace: float = 0.01
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return the first errors found, (n, *shape), cut to the threat's ball where it has one."""
        norm = free_norm(threat, "l2", self.card.norms, "evasion.newtonfool")
        plan = Plan(rounds=(Round(doubt, self.steps),), keep="nearest", free=True, norm=norm)
        return drive(self, plan, target, x, y, threat, rng, replace(self.driving, early_stop=True))

    def start(self, region: Region, rng: torch.Generator) -> Trail:  # noqa: ARG002
        """Begin at the clean input."""
        return Trail(region.center)

    def step(self, state: Trail, seen: Seen, turn: Turn) -> Trail:
        """Take the probability down to 1 / classes by a Newton step of length min(η‖x‖‖∇‖, p − 1/C) / ‖∇‖ (section 4).

        For a wanted class the probability still missing is taken up in the same way.
        """
        where = turn.region
        missing = 1.0 if turn.aim.strict else 1 - 1 / seen.logits.shape[1]
        slope = size(seen.gradient, "l2")
        far = (missing - seen.loss).clamp(min=0) / slope.clamp(min=torch.finfo(slope.dtype).tiny)
        length = torch.minimum(far, self.pace * size(where.center, "l2"))
        return Trail(where.project(state.x + wide(length, state.x) * steepest(seen.gradient, "l2")))


def doubt(logits: Tensor, aim: Aim) -> Climb:
    """Probability (n,) of other classes than the label; or of the wanted class."""
    chances = torch.softmax(logits, dim=1)
    column = (aim.labels if aim.wanted is None else aim.wanted).unsqueeze(1)
    own = chances.gather(1, column)
    others = chances.scatter(1, column, 0.0)
    # dp/dz_j = p([j = y] − p_j); Σ of the others stands for 1 − p, which cancels where the model is sure.
    rest = others.sum(1, keepdim=True)
    slope = (-own * others).scatter(1, column, own * rest)
    return Climb(own.squeeze(1), slope) if aim.wanted is not None else Climb(rest.squeeze(1), -slope)
