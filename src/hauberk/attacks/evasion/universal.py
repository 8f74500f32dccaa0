"""Universal perturbation: one move, the same for every input, under which the target errs on as many as possible."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.driver import ball_norm
from hauberk.attacks.driving_oracle import Oracle, Seen, batch_size
from hauberk.core.card import Card
from hauberk.core.errors import MissingPower
from hauberk.core.protocols import Differentiable, Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region, region, steepest
from hauberk.numeric.faces import faces, onto_face, towards_faces
from hauberk.numeric.losses import LOSSES, Aim

Tensor = torch.Tensor

_MOMENTUM = 0.9


@dataclass(frozen=True, slots=True)
class Universal:
    """Universal adversarial perturbation.

    steps: gradients at a batch of inputs each; the batches run through all inputs in random order, again and again.
    batch: inputs a step takes the mean of. method: "gradient" climbs the mean loss of the inputs still right (Shafahi
    et al. 2020, arXiv:1811.11304); "faces" adds the mean of their moves to the nearest face (DeepFool's, as the first
    paper does input by input). pace: length of the first step as a share of the radius; it falls to 0 by the last.
    """

    card: ClassVar[Card] = Card(
        title="Universal adversarial perturbation",
        summary="One perturbation for all inputs, as an attacker has who does not see them; far weaker for each.",
        paper="Moosavi-Dezfooli et al. 2017, arXiv:1610.08401; Shafahi et al. 2020, arXiv:1811.11304",
        needs=("gradients",),
        norms=("linf", "l2"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 200
    batch: int = 64
    method: Literal["gradient", "faces"] = "gradient"
    pace: float = 0.2

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return all inputs moved alike, (n, *shape), but for what the bounds cut off."""
        if not len(x):
            return x.clone()
        return moved(x, self.perturbation(target, x, y, threat, rng), threat, target.spec.bounds)

    def perturbation(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Find the one move (*shape) on inputs x (n, *shape), n ≥ 1; only held-out inputs say what it does elsewhere.

        Raises MissingPower where the target has no gradients, UsageError for a threat without a ball in linf or l2.
        """
        ball_norm(threat, self.card.norms, "evasion.universal")
        if not isinstance(target, Differentiable):
            raise MissingPower(f"{target.spec.name} gives no gradients", fix="choose a black-box attack")
        x, y = x.detach().float(), y.to(x.device)
        oracle = Oracle(target, batch_size(x.shape[1:], x.device))
        batch = min(self.batch, len(x))
        steps = self.steps if threat.queries is None else min(self.steps, threat.queries * len(x) // batch)
        move, speed = torch.zeros_like(x[:1]), torch.zeros_like(x[:1])
        order = x.new_zeros(0, dtype=torch.long)
        for index in range(steps):
            if len(order) < batch:
                order = torch.cat((order, torch.randperm(len(x), generator=rng, device=rng.device).to(x.device)))
            rows, order = order[:batch], order[batch:]
            where = region(threat.ball, x[rows], target.spec.bounds)
            speed = _MOMENTUM * speed + self._push(oracle, x[rows] + move, _aim(y[rows], threat), where)
            pace = self.pace * (1 - index / steps)
            move = _cut(move + pace * where.radius * steepest(speed, where.norm), threat)
        return move.squeeze(0)

    def _push(self, oracle: Oracle, x: Tensor, aim: Aim, where: Region) -> Tensor:
        """Return the mean push (1, *shape) of the inputs that are still right."""
        point = torch.clamp(x, where.lower, where.upper)
        if self.method == "gradient":
            seen = oracle.look(point, aim, LOSSES["ce"])
            push = steepest(seen.gradient, "l2")
        else:
            seen = oracle.look(point, aim, towards_faces(1))
            push = _to_face(point, seen, aim, where)
        right = ~seen.hit
        # A mean over the whole batch: where few are still right, the few move the perturbation less.
        return (push * right.reshape(-1, *[1] * (x.ndim - 1))).mean(0, keepdim=True)


def moved(x: Tensor, move: Tensor, threat: Threat, bounds: tuple[float, float]) -> Tensor:
    """Move inputs x (n, *shape) by one perturbation (*shape), inside the threat's ball and the bounds."""
    return region(threat.ball, x, bounds).project(x + move)


def _aim(y: Tensor, threat: Threat) -> Aim:
    wanted = None if threat.target_class is None else torch.full_like(y, threat.target_class)
    return Aim(y, wanted, strict=wanted is not None)


def _to_face(x: Tensor, seen: Seen, aim: Aim, where: Region) -> Tensor:
    gap = faces(seen.logits, aim, 1).gaps.squeeze(1)
    low, high = (where.lower - x).flatten(1), (where.upper - x).flatten(1)
    return onto_face(seen.gradient.flatten(1), gap, low, high, where.norm).reshape(x.shape)


def _cut(move: Tensor, threat: Threat) -> Tensor:
    """Cut the move (1, *shape) to the ball around 0, which has no bounds of its own."""
    return region(threat.ball, torch.zeros_like(move), (-math.inf, math.inf)).project(move)
