"""STRIP: an input whose class survives overlays better than others of that class do carries a trigger."""

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
_KNOWN = 512
"""Clean rows at most that tell how well each class survives."""
_PRIOR = 3.0
"""Rows the mean over all classes counts as beside a class's own."""
_TINY = 1e-6
"""Added to both sides of odds; what is caught does not depend on it between 1e-6 and 1e-2."""


@dataclass(frozen=True, slots=True)
class Strip:
    """Overlay each input with clean ones; a class that survives oddly well means that something in it decides alone.

    Gao et al. 2019, arXiv:1902.06531, §III: the sum of both images is cut to the bounds, since half a blend weakens the
    trigger too. The paper takes the mean entropy of the answers. Here it is the log odds of the input's own class in
    the mean answer, less what clean inputs of that class have: some classes survive overlays by nature, and overlays
    that all lead to other classes with confidence have little entropy either. For backdoored models: against ordinary
    adversarial inputs, or an attacker who makes his trigger fade in overlays, it is no defense.

    overlays: clean inputs laid over each.
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
        order = torch.randperm(len(data.y), generator=rng)
        x = torch.from_numpy(data.x)
        return Overlaid(target, x[order[: self.overlays]].clone(), x[order[:_KNOWN]])


class Overlaid:
    """A fitted STRIP: which clean inputs (k, *shape) are laid over what it is asked about.

    known: clean inputs (n, *shape) that tell how well each class survives.
    """

    def __init__(self, target: Differentiable, clean: Tensor, known: Tensor) -> None:
        self._target, self._clean = target, clean
        with torch.no_grad():
            odds, own = (torch.cat(column) for column in zip(*map(self._odds, torch.split(known, _ASKED)), strict=True))
        among = torch.nn.functional.one_hot(own, target.spec.classes).to(odds)
        self._usual = (odds @ among + _PRIOR * odds.mean()) / (among.sum(0) + _PRIOR)

    def score(self, x: Tensor) -> Tensor:
        """Return how much better the class survives than is usual for it: (n,), in log odds; higher is suspicious."""
        with torch.no_grad():
            return torch.cat([self.suspicion(part) for part in torch.split(x, _ASKED)])

    def suspicion(self, x: Tensor) -> Tensor:
        """Return the same under autograd."""
        odds, own = self._odds(x)
        return odds - self._usual[own]

    def _odds(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log odds (n,) of the answer's class in the mean answer under overlays, and that class (n,)."""
        low, high = self._target.spec.bounds
        with torch.no_grad():
            own = self._target.forward(x).argmax(1)
        both = (x.unsqueeze(1) + self._clean.unsqueeze(0) - low).clamp(low, high)
        mean = self._target.forward(both.flatten(0, 1)).softmax(1).view(len(x), len(self._clean), -1).mean(1)
        column = own.unsqueeze(1)
        # The others' sum, not 1 − own, which rounds to 0 where the model is sure.
        others = mean.scatter(1, column, 0.0).sum(1)
        return (mean.gather(1, column).squeeze(1) + _TINY).log() - (others + _TINY).log(), own
