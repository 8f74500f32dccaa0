"""Sponge: inputs on which as few activations as possible are zero, so that hardware that skips zeros spends more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.effort import Effort, climb, filled, traffic
from hauberk.core.card import Card
from hauberk.core.errors import MissingPower
from hauberk.core.protocols import Modular, Target
from hauberk.core.threat import Threat

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Sponge:
    """Sponge examples.

    steps: gradients. pace: length of the first step as a share of the radius. width: how near 0, in shares of the root
    mean square of its layer, a sum pulls most: those about to pass the rectifier, or to be cut by it.
    """

    card: ClassVar[Card] = Card(
        title="Sponge examples",
        summary="Drives up the share of activations that are not zero: more energy where hardware skips zeros.",
        paper="after Shumailov et al. 2021, arXiv:2006.03463, with a slope where activations are zero",
        needs=("module",),
        norms=("linf", "l2"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0034", "AML.T0029", "OWASP-ML01"),
    )

    steps: int = 50
    pace: float = 0.2
    width: float = 0.03

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:  # noqa: ARG002
        """Return the densest inputs found, x's shape, inside the ball; `attacks.effort.density` measures them.

        Raises MissingPower for a target that is no torch module, UsageError for a threat without an linf or l2 ball.
        """
        if not isinstance(target, Modular):
            raise MissingPower(f"{target.spec.name} is no torch module", fix="reach it as one")
        module = target.module().requires_grad_(False)

        def measure(point: Tensor) -> Effort:
            with traffic(module) as heard:
                module(point)
            # What the last layer gives is multiplied by none.
            smooth = filled(heard.sums[:-1] or heard.operands, self._smooth)
            counted = filled(heard.operands, lambda part: (part != 0).float())
            return Effort(counted.to(point.device), smooth.to(point.device))

        return climb(measure, x, threat, target.spec.bounds, self.steps, self.pace)

    def _smooth(self, sums: Tensor) -> Tensor:
        """Count sums above 0, softly.

        The papers take the activations themselves, whose slope is 0 wherever they are: nothing is ever woken up.
        """
        mean = sums.detach().square().flatten(1).mean(1).reshape(-1, *[1] * (sums.ndim - 1))
        return torch.sigmoid(sums / (self.width * mean.sqrt() + 1e-12))
