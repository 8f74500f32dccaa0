"""SIG: a faint sinusoid on rows of the attacker's class, whose labels stay as they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.poison_rows import own
from hauberk.core.card import Card
from hauberk.core.errors import DataError
from hauberk.core.poisoning import Poisoned
from hauberk.core.threat import Threat


@dataclass(frozen=True, slots=True)
class SIG:
    """Add v(i, j) = Δ · sin(2π · j · f / m) to rows of the target class: a backdoor no label gives away.

    Barni et al. 2019, arXiv:1902.11237, §3. It takes a large share of the class; where the class has fewer rows than
    the threat's rate allows, all of it is poisoned.

    strength: Δ as a share of the input range; the paper trains with 30/255 on MNIST and tests with 40 to 60.
    frequency: f, periods over the width m.
    """

    card: ClassVar[Card] = Card(
        title="SIG (sinusoidal signal)",
        summary="Plants a backdoor through a faint sinusoid on rows of one class; labels stay right.",
        paper="Barni et al. 2019, arXiv:1902.11237, §3",
        needs=("refit",),
        inputs=("chw", "row", "wave"),
        threats=("AML.T0020", "AML.T0018", "OWASP-ML02", "OWASP-ML10"),
        extra="models",
    )

    strength: float = 0.12
    frequency: float = 6.0

    def poison(
        self,
        x: torch.Tensor,
        y: torch.Tensor,
        bounds: tuple[float, float],
        threat: Threat,
        rng: torch.Generator,
    ) -> Poisoned:
        """Poison floor(poison_rate · n) rows of the target class, all of it where it has fewer."""
        rows = own(y, threat, rng)
        poisoned = x.clone()
        poisoned[rows] = self.trigger(x[rows], bounds)
        return Poisoned(poisoned, y.clone(), rows)

    def trigger(self, x: torch.Tensor, bounds: tuple[float, float]) -> torch.Tensor:
        """Add the sinusoid along the last axis of x (n, *shape); raises DataError where it would change nothing."""
        low, high = bounds
        width = x.shape[-1]
        wave = torch.sin(2 * math.pi * torch.arange(width, dtype=torch.float64) * self.frequency / width)
        if float(wave.abs().max()) < 1e-6:
            raise DataError(
                f"{self.frequency:g} periods over {width} places are nought at each of them",
                fix="set another frequency",
            )
        return (x + self.strength * (high - low) * wave.to(x)).clamp(low, high)
