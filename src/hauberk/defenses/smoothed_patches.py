"""A target that answers by the vote of an image's bands, and certifies its answers against stickers."""

from __future__ import annotations

import msgspec
import torch

from hauberk.core.defending import Proof
from hauberk.core.protocols import Differentiable, Target, TargetSpec
from hauberk.core.threat import Threat
from hauberk.numeric.patch_smoothing import bands, safe, touched, votes

Tensor = torch.Tensor

_TIE = 1e-4
"""What a class of the next index is put behind in a tie: all of them together are less than a vote."""
_SHARP = 20.0
"""Steepness of the smooth threshold whose gradient an attacker climbs, in 1 / probability."""


class BandVote:
    """A target asked for every band alone (Levine & Feizi 2020, arXiv:2002.10733); it draws nothing at random.

    width: of a band in columns. threshold: probability a class needs for a band's vote. Scores are shares of bands.
    """

    def __init__(self, target: Differentiable, width: int, threshold: float) -> None:
        self._target, self._width, self._threshold = target, width, threshold

    @property
    def spec(self) -> TargetSpec:
        """What it is: the target's own but for its name; its scores are numbers of votes."""
        own = self._target.spec
        return msgspec.structs.replace(own, name=f"{own.name} + band votes", answers="logits")

    @property
    def draws(self) -> int:
        """One look is enough."""
        return 1

    def predict(self, x: Tensor) -> Tensor:
        """Vote over x (n, c, h, w) → numbers of bands (n, classes); ties go to the lower class."""
        # The certificate gives ties to the lower class: what is subtracted says so to whoever takes the highest score.
        return self.counted(x) - _TIE * torch.arange(self.spec.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Compute soft votes (n, classes) under autograd: how far each band's probability is above the threshold."""
        return (_SHARP * (self._chances(x) - self._threshold)).sigmoid().sum(1)

    def counted(self, x: Tensor) -> Tensor:
        """Count each class's bands (n, classes)."""
        with torch.no_grad():
            parts = [votes(self._chances(part), self._threshold) for part in torch.split(x, 16)]
        return torch.cat(parts) if parts else torch.zeros(0, self.spec.classes, dtype=torch.long)

    def _chances(self, x: Tensor) -> Tensor:
        shown = bands(x, self._width, self._target.spec.bounds[0])
        logits = self._target.forward(shown.flatten(0, 1))
        return logits.softmax(1).reshape(len(x), shown.shape[1], -1)

    def bare(self) -> Target:
        """Return the target that is asked, which sees whole images otherwise."""
        return self._target

    def adaptive(self) -> Target:
        """Return this target: its gradient is that of soft votes already."""
        return self

    def certifies(self, threat: Threat) -> bool:
        """Tell whether the threat is a sticker."""
        return threat.kind == "patch"

    def certify(self, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Proof:  # noqa: ARG002
        """Prove of x (n, c, h, w) that the vote for y (n,) stands wherever the sticker lies and whatever it shows."""
        assert threat.patch is not None
        _, wide = threat.patch.sides(x.shape[2], x.shape[3])
        counted = self.counted(x)
        reach = touched(wide, self._width, x.shape[3])
        stands = safe(counted, reach) & (counted.argmax(1) == y)
        how = f"of {x.shape[3]} bands of {self._width} columns a sticker reaches {reach}, too few to turn the vote"
        return Proof(stands, 0.0, how)
