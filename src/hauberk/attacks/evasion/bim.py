"""BIM: FGSM in small steps from the clean input, each cut back to the ball; without any randomness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Plan, Round, Turn, ball_norm, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region, steepest
from hauberk.numeric.losses import LOSSES, LossName


@dataclass(frozen=True, slots=True)
class Path:
    """Where BIM stands: x (n, *shape)."""

    x: torch.Tensor


@dataclass(frozen=True, slots=True)
class BIM:
    """Basic iterative method, also known as iterative FGSM.

    steps: gradients. pace: length of a step as a share of the radius; None for 1 / steps, as published, with which the
    last step just reaches the border. loss: "ce", "margin", "dlr" or "probability-margin".
    sparsity: share of coordinates an l1 step moves, 0–1.
    driving: how the driver runs it (early stop, batch, float type, draws for a model that answers at random).
    """

    card: ClassVar[Card] = Card(
        title="Basic iterative method",
        summary="FGSM in small steps from the clean input: weaker than PGD; here because people compare with it.",
        paper="Kurakin et al. 2017, arXiv:1607.02533",
        needs=("gradients",),
        norms=("linf", "l2", "l1"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 10
    pace: float | None = None
    loss: LossName = "ce"
    sparsity: float = 0.01
    driving: Driving = DEFAULT

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return points of x's shape (n, *shape) inside the ball; a sample already wrong stays where it is."""
        ball_norm(threat, self.card.norms, "evasion.bim")
        plan = Plan(rounds=(Round(LOSSES[self.loss], self.steps),))
        return drive(self, plan, target, x, y, threat, rng, self.driving)

    def start(self, region: Region, rng: torch.Generator) -> Path:  # noqa: ARG002
        """Begin at the clean input."""
        return Path(region.center)

    def step(self, state: Path, seen: Seen, turn: Turn) -> Path:
        """Go one pace up the loss and back into the ball."""
        where, pace = turn.region, 1 / turn.steps if self.pace is None else self.pace
        return Path(
            where.project(state.x.add(steepest(seen.gradient, where.norm, self.sparsity), alpha=pace * where.radius))
        )
