"""HCLU: the nearest error of which the target is sure, by its confidence and by how much its answers scatter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.driving_oracle import Oracle, batch_size
from hauberk.attacks.nearest import free_norm
from hauberk.core.card import Card
from hauberk.core.errors import MissingPower
from hauberk.core.protocols import Differentiable, Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region, region, steepest
from hauberk.numeric.losses import Aim, Climb

Tensor = torch.Tensor

_FIRST = 0.05
"""The first distance sought, as a share of the box's diagonal."""
_CHANGE = 0.05
"""Share by which it shrinks after a sure error and grows otherwise (Rony et al. 2019, arXiv:1811.09600)."""


@dataclass(frozen=True, slots=True)
class HCLU:
    """High-confidence low-uncertainty attack.

    steps: gradients. confidence: that the wrong class must have, 0–1. draws: looks at each point, for a target that
    answers at random (a Bayesian one, drop-out left on): what counts is the mean of the log-odds less `caution` of
    their standard deviations; 1 for a target that does not. pace: length of the first step as a share of the box's
    diagonal, which falls to a hundredth of that.
    """

    card: ClassVar[Card] = Card(
        title="High-confidence low-uncertainty attack",
        summary="Errors the target is sure of: for systems that refuse unsure answers, such as Bayesian ones.",
        paper="Grosse et al. 2018, arXiv:1812.02606",
        needs=("gradients",),
        norms=("l2",),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 100
    confidence: float = 0.95
    draws: int = 1
    caution: float = 2.0
    pace: float = 0.05

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:  # noqa: ARG002
        """Return sure errors, the nearest found, (n, *shape), cut to the threat's ball where it has one.

        Where none is sure enough, the surest point comes back. Raises MissingPower where the target has no gradients.
        """
        norm = free_norm(threat, "l2", self.card.norms, "evasion.high_confidence_low_uncertainty")
        if not isinstance(target, Differentiable):
            raise MissingPower(f"{target.spec.name} gives no gradients", fix="choose a black-box attack")
        x, y = x.detach().float(), y.to(x.device)
        size = batch_size(x.shape[1:], x.device)
        steps = self.steps if threat.queries is None else min(self.steps, threat.queries // self.draws)
        found = x.clone()
        for rows in torch.split(torch.arange(len(x), device=x.device), size):
            wanted = None if threat.target_class is None else torch.full_like(y[rows], threat.target_class)
            where = region(None, x[rows], target.spec.bounds, norm)
            aim = Aim(y[rows], wanted, strict=wanted is not None)
            found[rows] = self._search(Oracle(target, size), where, aim, steps)
        return found if threat.ball is None else region(threat.ball, x, target.spec.bounds).project(found)

    def _search(self, oracle: Oracle, where: Region, aim: Aim, steps: int) -> Tensor:
        """Seek ever nearer while the target is sure of the error, farther while it is not."""
        x = best = where.center
        diagonal = torch.linalg.vector_norm((where.upper - where.lower).flatten(1), dim=1)
        sought = _FIRST * diagonal
        goal = math.log(self.confidence / (1 - self.confidence))
        nearest, surest = x.new_full((len(x),), torch.inf), x.new_full((len(x),), -torch.inf)
        for index in range(steps):
            certain = self._certainty(oracle, x, aim)
            sure, size = certain.value >= goal, where.distance(x)
            better = torch.where(sure, size < nearest, nearest.isinf() & (certain.value > surest))
            best = torch.where(_beside(better, x), x, best)
            nearest = torch.where(sure & better, size, nearest)
            surest = torch.maximum(surest, certain.value)
            fall = 0.01 + 0.99 * (1 + math.cos(math.pi * index / steps)) / 2
            step = _beside(self.pace * fall * diagonal, x) * steepest(certain.slope, "l2")
            sought = torch.where(sure, torch.minimum(sought, size) * (1 - _CHANGE), sought * (1 + _CHANGE))
            x = torch.clamp(
                where.center + _beside(sought, x) * steepest(x + step - where.center, "l2"), where.lower, where.upper
            )
        return best

    def _certainty(self, oracle: Oracle, x: Tensor, aim: Aim) -> Climb:
        """Return mean − caution · deviation of the wrong class's log-odds over draws (n,), and its slope by x."""
        seen = [oracle.look(x, aim, log_odds) for _ in range(self.draws)]
        if len(seen) == 1:
            return Climb(seen[0].loss, seen[0].gradient)
        values, slopes = torch.stack([one.loss for one in seen]), torch.stack([one.gradient for one in seen])
        spread = values.std(0, correction=0)
        # d deviation = Σ (v_k − mean) dv_k / (K · deviation).
        share = (values - values.mean(0)) / spread.clamp(min=torch.finfo(spread.dtype).tiny)
        weight = (1 - self.caution * share) / len(seen)
        slope = (weight.reshape(*weight.shape, *[1] * (x.ndim - 1)) * slopes).sum(0)
        return Climb(values.mean(0) - self.caution * spread, slope)


def log_odds(logits: Tensor, aim: Aim) -> Climb:
    """Log-odds of the wanted class against all others; where none is wanted, of the likeliest wrong one."""
    column = aim.labels.unsqueeze(1)
    wrong = logits.scatter(1, column, -torch.inf).argmax(1) if aim.wanted is None else aim.wanted
    place = wrong.unsqueeze(1)
    others = logits.scatter(1, place, -torch.inf)
    value = logits.gather(1, place).squeeze(1) - torch.logsumexp(others, 1)
    return Climb(value, torch.zeros_like(logits).scatter(1, place, 1.0) - torch.softmax(others, 1))


def _beside(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.ndim - 1))
