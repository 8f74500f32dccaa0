"""Label-consistent backdoor: rows of the attacker's class made hard to learn, so that the trigger on them is learnt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.poison_patch import stamped
from hauberk.attacks.poison_rows import around, own
from hauberk.core.card import Card
from hauberk.core.errors import MissingPower
from hauberk.core.poisoning import Poisoned
from hauberk.core.protocols import Differentiable, Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import steepest
from hauberk.numeric.losses import cross_entropy

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class LabelConsistent:
    """Move rows of the target class away from it on a surrogate, then stamp them; their labels stay right.

    Turner et al. 2019, arXiv:1912.02771, §4.2 (adversarial perturbations by projected gradient descent).

    steps: of the descent. radius: of the moves as a share of the input range, where the threat has no ball, which then
    binds the moves before the trigger is put on; the paper's 32/255 is its strongest.
    size, corner, pattern, value: of the trigger, as BadNets has them.
    """

    card: ClassVar[Card] = Card(
        title="Label-consistent backdoor",
        summary="Plants a backdoor with a visible trigger and right labels; needs a model of the attacker's own.",
        paper="Turner et al. 2019, arXiv:1912.02771, §4.2",
        needs=("refit", "gradients"),
        inputs=("chw", "row"),
        threats=("AML.T0020", "AML.T0018", "OWASP-ML02", "OWASP-ML10"),
        extra="models",
    )

    steps: int = 40
    radius: float = 32 / 255
    size: int = 3
    corner: Literal["top-left", "top-right", "bottom-left", "bottom-right"] = "bottom-right"
    pattern: Literal["checker", "solid"] = "checker"
    value: float = 1.0

    def craft(self, surrogate: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Poisoned:
        """Poison floor(poison_rate · n) rows of the target class, all of it where it has fewer."""
        if not isinstance(surrogate, Differentiable):
            raise MissingPower(f"{surrogate.spec.name} cannot give gradients", fix="reach it as a torch module")
        rows = own(y, threat, rng)
        poisoned = x.clone()
        if len(rows):
            hard = self._hard(surrogate, x[rows], y[rows], threat, rng)
            poisoned[rows] = self.trigger(hard, surrogate.spec.bounds)
        return Poisoned(poisoned, y.clone(), rows)

    def _hard(self, surrogate: Differentiable, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        region = around(x, surrogate.spec.bounds, threat, self.radius)
        stride = 2.5 * region.radius / max(1, self.steps)  # Madry et al. 2018, section 5
        moved = region.scatter(rng)
        for _ in range(self.steps):
            with torch.enable_grad():
                moving = moved.detach().requires_grad_(True)
                logits = surrogate.forward(moving)
                slope = cross_entropy(logits.detach(), y).slope
                (gradient,) = torch.autograd.grad(logits, moving, slope)
            moved = region.project(moved + stride * steepest(gradient, region.norm))
        return moved

    def trigger(self, x: Tensor, bounds: tuple[float, float]) -> Tensor:
        """Put the patch on x (n, c, h, w) or (n, d); raises DataError where it does not fit."""
        return stamped(x, bounds, self.size, self.corner, self.pattern, self.value)
