"""Virtual adversarial perturbation: the direction in which the whole answer changes most, found by power iteration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.driver import ball_norm
from hauberk.attacks.driving_oracle import Oracle, batch_size
from hauberk.core.card import Card
from hauberk.core.errors import MissingPower
from hauberk.core.protocols import Differentiable, Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region, region, steepest
from hauberk.numeric.losses import Aim, Climb, Loss

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class VirtualAdversarial:
    """Virtual adversarial method.

    steps: power iterations, a gradient each. probe: how far from the clean input the divergence's gradient is taken, as
    a share of the radius.
    """

    card: ClassVar[Card] = Card(
        title="Virtual adversarial method",
        summary="One step along the answer's most sensitive direction; weaker than PGD, here to compare with.",
        paper="Miyato et al. 2018, arXiv:1704.03976",
        needs=("gradients",),
        norms=("l2", "linf"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 5
    probe: float = 0.1

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return points at the end of the most sensitive direction, (n, *shape), inside the ball.

        Raises MissingPower where the target has no gradients, UsageError for a threat without a ball in l2 or linf.
        """
        ball_norm(threat, self.card.norms, "evasion.virtual_adversarial")
        if not isinstance(target, Differentiable):
            raise MissingPower(f"{target.spec.name} gives no gradients", fix="choose a black-box attack")
        x, y = x.detach().float(), y.to(x.device)
        size = batch_size(x.shape[1:], x.device)
        # A clean look, the iterations, and a look at either end.
        steps = self.steps if threat.queries is None else min(self.steps, threat.queries - 3)
        if steps < 1:
            return x.clone()
        parts = [
            self._ends(Oracle(target, size), part, _aim(labels, threat), threat, steps, rng)
            for part, labels in zip(torch.split(x, size), torch.split(y, size), strict=True)
        ]
        return torch.cat(parts) if parts else x.clone()

    def _ends(self, oracle: Oracle, x: Tensor, aim: Aim, threat: Threat, steps: int, rng: torch.Generator) -> Tensor:
        """Iterate (equation 12) on a piece of one forward; of the two ends of a direction the worse one is taken.

        To second order, which is all the iteration knows, the divergence is the same at both.
        """
        where = region(threat.ball, x, oracle.target.spec.bounds)
        clean = oracle.glance(x, aim)
        loss = divergence_from(torch.softmax(clean.logits, 1))
        way = torch.randn(x.shape, generator=rng, device=rng.device).to(x)
        for _ in range(steps):
            point = x + self.probe * where.radius * steepest(way, where.norm)
            slope = oracle.look(torch.clamp(point, *oracle.target.spec.bounds), aim, loss).gradient
            flat = slope.flatten(1).abs().amax(1) == 0
            way = torch.where(flat.reshape(-1, *[1] * (x.ndim - 1)), way, slope)
        ends = [where.project(x + side * where.radius * steepest(way, where.norm)) for side in (1.0, -1.0)]
        return _worse(oracle, x, ends, aim, where)


def divergence_from(chances: Tensor) -> Loss:
    """Return the loss KL(p‖softmax(logits)) of fixed probabilities p (n, classes); its slope is softmax − p."""

    def loss(logits: Tensor, aim: Aim) -> Climb:  # noqa: ARG001
        logs = torch.log_softmax(logits, dim=1)
        own = torch.xlogy(chances, chances).sum(1)
        return Climb(own - (chances * logs).sum(1), logs.exp() - chances)

    return loss


def _worse(oracle: Oracle, x: Tensor, ends: list[Tensor], aim: Aim, where: Region) -> Tensor:
    first, second = (oracle.glance(end, aim).lead for end in ends)
    chosen = (first >= second).reshape(-1, *[1] * (x.ndim - 1))
    return where.project(torch.where(chosen, ends[0], ends[1]))


def _aim(y: Tensor, threat: Threat) -> Aim:
    wanted = None if threat.target_class is None else torch.full_like(y, threat.target_class)
    return Aim(y, wanted, strict=wanted is not None)
