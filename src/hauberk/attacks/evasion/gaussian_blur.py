"""Gaussian blur: smooth the image more and more until the model errs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.boundary_search import Hunt
from hauberk.attacks.corrupting import worsen
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.waves import cosines

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class GaussianBlur:
    """Blur.

    widest: the widest kernel's standard deviation, as a share of the image's longer side. steps: widths tried, from
    narrow to the widest inside the ball. queries: per sample at most; a threat's own budget goes before it.
    """

    card: ClassVar[Card] = Card(
        title="Gaussian blur",
        summary="A baseline that knows nothing of the model: how much blur it stands, for images alone.",
        paper="Rauber et al. 2017, arXiv:1707.04131 (Foolbox)",
        norms=("linf", "l2", "l1"),
        inputs=("chw",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    widest: float = 0.5
    steps: int = 50
    queries: int = 500

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:  # noqa: ARG002
        """Return the least blurred images that err, of x's shape (n, c, h, w); one without comes back as it was.

        Raises UsageError for a threat without an linf, l2 or l1 ball.
        """
        hunt = Hunt(target, x, y, threat, self.queries, name="evasion.gaussian_blur", norms=self.card.norms)
        width = self.widest * max(x.shape[2:])
        low, high = hunt.bounds

        def path(rows: Tensor, share: Tensor) -> Tensor:
            return blurred(x[rows], share * width).clamp(low, high)

        worsen(hunt, hunt.open(), path, self.steps)
        return hunt.found()


def blurred(images: Tensor, widths: Tensor) -> Tensor:
    """Blur images (n, c, h, w), each by a Gaussian of its own standard deviation (n,) in pixels; edges are mirrored.

    Convolution with a mirrored edge only scales the image's cosine waves, the k-th of a side of length h by
    exp(−(π k σ / h)² / 2).
    """
    h, w = images.shape[2:]
    down, along = (cosines(side, side).to(images) for side in (h, w))
    fall = [
        torch.exp(-0.5 * (math.pi / side * torch.arange(side, device=images.device) * widths.unsqueeze(1)) ** 2)
        for side in (h, w)
    ]
    waves = down.T @ images @ along * fall[0][:, None, :, None] * fall[1][:, None, None, :]
    # Where nothing is blurred the image stays to the bit.
    return torch.where(widths.reshape(-1, 1, 1, 1) > 0, down @ waves @ along.T, images)
