"""PGD: walk up the loss in steps of fixed size, each projected back onto the ball; the baseline of every evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Plan, Round, Turn, ball_norm, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region, steepest, unit_mean
from hauberk.numeric.losses import LOSSES, LossName

Tensor = torch.Tensor

# Kingma & Ba 2015, arXiv:1412.6980: decay of the mean and of the mean square, and what keeps a quotient finite.
_MEAN, _SQUARE, _FINITE = 0.9, 0.999, 1e-8


@dataclass(frozen=True, slots=True)
class Walk:
    """Where PGD stands: x (n, *shape); mean and square of the gradients so far, (n, 0) where no rule needs them."""

    x: Tensor
    mean: Tensor
    square: Tensor


@dataclass(frozen=True, slots=True)
class PGD:
    """Projected gradient descent.

    steps: gradients per restart. pace: length of a step as a share of the radius; in l0 a step moves the average
    coordinate by this share of its range and the projection keeps the best few (0.2–0.8 does best).
    restarts: fresh random starts, each on the samples still robust. random_start: begin at a random point of the ball
    instead of the clean input. update: which way a step goes: "steepest" in the ball's norm; "momentum" of past
    gradients (Dong et al. 2018, arXiv:1710.06081), the better one in l0; "adam", each coordinate by the mean of its
    gradients over their size (AdamPGD), which levels what coordinates weigh and so suits linf only.
    decay: what stays of the momentum, 0–1. loss: "ce", "margin", "dlr" or "probability-margin".
    sparsity: share of coordinates an l1 step moves, 0–1 (the steepest ones).
    driving: how the driver runs it (early stop, batch, float type, draws for a model that answers at random).
    """

    card: ClassVar[Card] = Card(
        title="Projected gradient descent",
        summary="Fixed steps along the gradient, projected onto the ball: the baseline every evaluation reports.",
        paper="Madry et al. 2018, arXiv:1706.06083; in l0 Croce & Hein 2019, arXiv:1909.05040",
        needs=("gradients",),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 40
    pace: float = 0.1
    restarts: int = 1
    random_start: bool = True
    update: Literal["steepest", "momentum", "adam"] = "steepest"
    decay: float = 1.0
    loss: LossName = "ce"
    sparsity: float = 0.01
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return points of x's shape (n, *shape) inside the ball, broken where it could."""
        ball_norm(threat, self.card.norms, "evasion.pgd")
        plan = Plan(rounds=(Round(LOSSES[self.loss], self.steps),) * self.restarts)
        return drive(self, plan, target, x, y, threat, rng, self.driving)

    def start(self, region: Region, rng: torch.Generator) -> Walk:
        """Begin at a random point of the ball or at the clean input."""
        x = region.scatter(rng) if self.random_start else region.center
        nothing = x.new_empty(len(x), 0)
        return Walk(
            x,
            nothing if self.update == "steepest" else torch.zeros_like(x),
            torch.zeros_like(x) if self.update == "adam" else nothing,
        )

    def step(self, state: Walk, seen: Seen, turn: Turn) -> Walk:
        """Go one pace up the loss and back into the ball."""
        if self.update == "steepest":
            return Walk(self._ahead(state.x, seen.gradient, turn.region), state.mean, state.square)
        scaled = unit_mean(seen.gradient)
        if self.update == "momentum":
            mean = scaled.add_(state.mean, alpha=self.decay)
            return Walk(self._ahead(state.x, mean, turn.region), mean, state.square)
        mean = torch.lerp(scaled, state.mean, _MEAN)
        square = torch.lerp(scaled.square(), state.square, _SQUARE)
        return Walk(self._adam(state.x, mean, square, turn), mean, square)

    def _ahead(self, x: Tensor, gradient: Tensor, where: Region) -> Tensor:
        """Take the steepest step of the pace's length; in l0 the gradient itself, its mean size the pace."""
        if where.norm == "l0":
            reach = self.pace * (where.upper - where.lower)
            return where.project(x + reach * unit_mean(gradient))
        return where.project(x.add(steepest(gradient, where.norm, self.sparsity), alpha=self.pace * where.radius))

    def _adam(self, x: Tensor, mean: Tensor, square: Tensor, turn: Turn) -> Tensor:
        done = turn.index + 1
        way = (mean / (1 - _MEAN**done)) / ((square / (1 - _SQUARE**done)).sqrt() + _FINITE)
        if turn.region.norm == "linf":
            return turn.region.project(x.add(way, alpha=self.pace * turn.region.radius))
        return self._ahead(x, way, turn.region)
