"""STRIP: an input whose class survives every overlay carries a trigger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.protocols import Differentiable, EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat

Tensor = torch.Tensor

_ASKED = 64
"""Inputs overlaid at once."""


@dataclass(frozen=True, slots=True)
class Strip:
    """Overlay each input with clean ones; low entropy of the answers means that something in it decides alone.

    Gao et al. 2019, arXiv:1902.06531, §III: entropy over classes, mean over overlays; the sum of both images is cut to
    the bounds, since half a blend weakens the trigger too. For backdoored models: against ordinary adversarial inputs,
    or an attacker who makes his trigger fade in overlays, it is no defense.

    overlays: clean inputs laid over each. temper: softness of the entropy an adaptive attacker descends.
    """

    card: ClassVar[Card] = Card(
        title="STRIP",
        summary="Tells triggered inputs of a backdoored model at run time by answers that no overlay changes.",
        paper="Gao et al. 2019, arXiv:1902.06531, §III",
        needs=("gradients", "scores"),
        inputs=("chw",),
        threats=("AML.T0018", "AML.T0043", "OWASP-ML10"),
        extra="models",
    )

    overlays: int = 32
    temper: float = 1.0

    def fit(
        self,
        target: Target,
        data: Split,
        threat: Threat,  # noqa: ARG002
        rng: torch.Generator,
        *,
        attack: EvasionAttack,  # noqa: ARG002
        progress: Progress,  # noqa: ARG002
    ) -> Overlaid:
        """Choose the overlays; raises MissingPower, or UsageError for too few clean rows."""
        if not isinstance(target, Differentiable):
            raise MissingPower(f"{target.spec.name} gives no gradient", fix="load it as a torch model")
        if len(data.y) < self.overlays:
            raise UsageError(f"{len(data.y)} clean rows; {self.overlays} are laid over each input")
        rows = torch.randperm(len(data.y), generator=rng)[: self.overlays]
        return Overlaid(target, torch.from_numpy(data.x)[rows].clone(), self.temper)


class Overlaid:
    """A fitted STRIP: which clean inputs (k, *shape) are laid over what it is asked about."""

    def __init__(self, target: Differentiable, clean: Tensor, temper: float) -> None:
        self._target, self._clean, self._temper = target, clean, temper

    def score(self, x: Tensor) -> Tensor:
        """Return minus the mean entropy of the answers under overlays: (n,), higher is more suspicious."""
        with torch.no_grad():
            return torch.cat([self._entropy(part) for part in torch.split(x, _ASKED)]).neg()

    def suspicion(self, x: Tensor) -> Tensor:
        """Return the same under autograd."""
        return -self._entropy(x)

    def _entropy(self, x: Tensor) -> Tensor:
        low, high = self._target.spec.bounds
        both = (x.unsqueeze(1) + self._clean.unsqueeze(0) - low).clamp(low, high)
        logits = self._target.forward(both.flatten(0, 1)) / self._temper
        chance = logits.log_softmax(1)
        entropy: Tensor = -(chance.exp() * chance).sum(1)
        return entropy.view(len(x), -1).mean(1)
