"""What detectors share: a fitted one as its function, probabilities of a target, inputs under attack to learn from."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hauberk.core.errors import MissingPower, TargetOutput, UsageError
from hauberk.core.protocols import Differentiable, EvasionAttack, Target
from hauberk.core.threat import Threat
from hauberk.numeric.bpda import Step

Tensor = torch.Tensor
BATCH = 256
FEWEST = 32
"""Broken training samples below which nothing can be learned of how an attack looks."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted detector. function: inputs (n, *shape) → scores (n,), under autograd where the target is.

    smooth: another such function with a useful gradient, whose values fall where those of `function` fall.
    """

    function: Step
    smooth: Step | None = None

    def score(self, x: Tensor) -> Tensor:
        """Score x in batches without gradient; raises TargetOutput for what is no number."""
        with torch.no_grad():
            parts = [self.function(part.detach().float()) for part in torch.split(x, BATCH)] if len(x) else []
        scores = torch.cat(parts) if parts else x.new_zeros(0)
        if bool(scores.isnan().any()):
            raise TargetOutput("the detector gave NaN", fix="look for constant features or inputs out of bounds")
        return scores

    def suspicion(self, x: Tensor) -> Tensor:
        """Compute scores (n,) under autograd."""
        return (self.smooth or self.function)(x)


def chances(target: Target, x: Tensor, temperature: float = 1.0) -> Tensor:
    """Return the target's probabilities (n, classes), under autograd where it has gradients; raises MissingPower."""
    if isinstance(target, Differentiable):
        return (target.forward(x) / temperature).softmax(1)
    if target.spec.answers == "labels":
        raise MissingPower(f"{target.spec.name} answers with labels only", fix="choose a detector that needs no scores")
    scores = target.predict(x)
    logits = scores if target.spec.answers == "logits" else scores.clamp_min(1e-30).log()
    return (logits / temperature).softmax(1)


def broken(
    target: Target, attack: EvasionAttack, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Attack training samples → inputs (m, *shape) that became errors, and the clean ones (k, *shape) answered right.

    Raises UsageError where the attack breaks too few to learn from.
    """
    parts = [
        attack.run(target, part, labels, threat, rng)
        for part, labels in zip(torch.split(x, BATCH), torch.split(y, BATCH), strict=True)
    ]
    found = torch.cat(parts)
    right = _asked(target, x) == y
    wrong = right & (_asked(target, found) != y)
    if int(wrong.sum()) < FEWEST:
        raise UsageError(
            f"the attack broke {int(wrong.sum())} of {int(right.sum())} training samples, too few to learn from",
            fix=f"give a stronger attack, a larger radius or more data: {FEWEST} are needed",
        )
    return found[wrong], x[right]


def _asked(target: Target, x: Tensor) -> Tensor:
    return torch.cat([target.predict(part).argmax(1) for part in torch.split(x, BATCH)])
