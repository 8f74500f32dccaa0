"""LiRA: is the target's signal likelier for models with the record or for models without it?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.references import Moments, moments, outsiders, sided, signals, table
from hauberk.attacks.views import Augmentation, views
from hauberk.core.card import Card
from hauberk.core.protocols import References, Target

Tensor = torch.Tensor

LEAST_VARIANCE = 1e-6
"""Of log odds: reference models that agree to the last digit must not make a likelihood infinite."""
PRIOR = 4.0
"""Models the pooled variance is worth beside a record's own (variance = "shrunk")."""


@dataclass(frozen=True, slots=True)
class LiRA:
    """Score each record by the log likelihood ratio of its log odds, normal among models with and without it.

    Carlini et al. 2022, arXiv:2112.03570, §V. mode: "offline" looks at models without the record only (equation 4),
    "online" at both; "auto" is online where every record has two of each. variance: "global" is one for all records
    (§VI.C, better below 64 models), "record" each record's own, "shrunk" between the two, its posterior mean under an
    inverse-gamma prior. augment: ask about more views of each image, whose ratios are averaged.
    """

    card: ClassVar[Card] = Card(
        title="LiRA (likelihood ratio attack)",
        summary="Compares normal distributions of the log odds, with and without the record; the field's yardstick.",
        paper="Carlini et al. 2022, arXiv:2112.03570, §V",
        inputs=("chw", "row", "wave", "frames", "tokens"),
        threats=("AML.T0024.000", "OWASP-ML04"),
        extra="models",
    )
    uses: ClassVar[Literal["models", "population"]] = "models"

    mode: Literal["auto", "online", "offline"] = "auto"
    variance: Literal["global", "record", "shrunk"] = "global"
    augment: Augmentation = "none"

    def compare(
        self,
        target: Target,
        x: Tensor,
        y: Tensor,
        references: References,
        rng: torch.Generator,  # noqa: ARG002
    ) -> Tensor:
        """Return log likelihood ratios, or offline the number of standard deviations (n,) float64.

        Raises MissingPower where some record lacks the reference models that the mode needs.
        """
        outsiders(references)
        online = self.mode == "online" or (self.mode == "auto" and sided(references, 2))
        if online:
            outsiders(references._replace(member=~references.member))
        shown = views(x, self.augment)
        return torch.stack([self._ratio(target, view, y, references, online) for view in shown]).mean(0)

    def _ratio(self, target: Target, x: Tensor, y: Tensor, references: References, online: bool) -> Tensor:
        own, others = signals(target, x, y, "log-odds"), table(references, x, y, "log-odds")
        out = moments(others, ~references.member)
        if not online:
            return (own - out.mean) / self._spread(out).sqrt()
        inside = moments(others, references.member)
        return _density(own, inside.mean, self._spread(inside)) - _density(own, out.mean, self._spread(out))

    def _spread(self, side: Moments) -> Tensor:
        """Return each record's variance (n,)."""
        freedom = (side.models - 1).clamp_min(0)
        pooled = side.squares.sum() / freedom.sum().clamp_min(1)
        if int(freedom.sum()) == 0:
            pooled = torch.ones_like(pooled)  # one model a record shows no variance: the ratio is a plain distance
        own = side.squares / freedom.clamp_min(1)
        if self.variance == "global":
            own = pooled.expand_as(own)
        elif self.variance == "shrunk":
            own = (PRIOR * pooled + side.squares) / (PRIOR + freedom)
        else:
            own = torch.where(freedom > 0, own, pooled)
        return own.clamp_min(LEAST_VARIANCE)


def _density(value: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Log of the normal density but for a constant."""
    return -(value - mean).square() / (2 * variance) - variance.log() / 2
