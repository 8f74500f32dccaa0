"""Random resizing and padding: the image is shrunk and placed anew for every answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn import functional

from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.transforming import Transformation, transformed
from hauberk.defenses.transforming_images import demand_images

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class RandomResizing:
    """Shrink each batch to a random size and pad it back at a random place.

    Falls to: the gradient's mean over draws (EoT; Athalye et al. 2018, §5.3.2: 0 % accuracy on ImageNet).
    smallest: size as a share of the image's, 0–1; what is left is filled with the lowest value.
    draws: that an adaptive attacker takes the mean of.
    """

    card: ClassVar[Card] = Card(
        title="Random resizing and padding",
        summary="Answers another view of the image each time; falls to the mean gradient over a few draws.",
        paper="Xie et al. 2018, arXiv:1711.01991",
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    smallest: float = 0.8
    draws: int = 10

    def apply(
        self,
        target: Target,
        data: Split,
        threat: Threat,  # noqa: ARG002
        rng: torch.Generator,
        *,
        attack: EvasionAttack,  # noqa: ARG002
        progress: Progress,  # noqa: ARG002
    ) -> Target:
        """Return the target behind the random view.

        Raises MissingPower where inputs are no images, UsageError for a bad size.
        """
        demand_images(target, torch.from_numpy(data.x[:1]) if len(data.x) else None, "random resizing")
        if not 0 < self.smallest < 1:
            raise UsageError(f"the smallest size is {self.smallest:g}", fix="choose a share between 0 and 1")
        smallest, low = self.smallest, target.spec.bounds[0]
        how = Transformation(lambda x, draw: _placed(x, smallest, low, draw), draws=self.draws)
        return transformed(target, "random resizing", how, rng)


def _placed(images: Tensor, smallest: float, low: float, rng: torch.Generator) -> Tensor:
    """Shrink images (n, c, h, w) to one random size and lay them somewhere on a ground of `low`."""
    high, wide = images.shape[2:]
    share = smallest + (1 - smallest) * float(torch.rand((), generator=rng))
    size = (max(1, round(high * share)), max(1, round(wide * share)))
    down, right = (
        int(torch.randint(0, whole - part + 1, (), generator=rng))
        for whole, part in zip((high, wide), size, strict=True)
    )
    small = functional.interpolate(images, size=size, mode="bilinear", align_corners=False)
    return functional.pad(small, (right, wide - size[1] - right, down, high - size[0] - down), value=low)
