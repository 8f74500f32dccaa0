"""Feature collision (Poison Frogs): rows of the attacker's class that have the features of one chosen input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.poison_features import Extractor, network_of
from hauberk.attacks.poison_rows import around, own
from hauberk.core.card import Card
from hauberk.core.poisoning import Poisoned
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class FeatureCollision:
    """Move rows of the target class towards the chosen input in feature space while they look as they did.

    Shafahi et al. 2018, arXiv:1804.00792, algorithm 1: a gradient step on ‖f(p) − f(t)‖², then a proximal step on
    β · ‖p − b‖². Here each row's step length adapts, and both terms are taken in shares of what they begin with, so
    that one `faithful` serves every network.

    steps: of the descent. faithful: weight of staying like the row it was. opacity: share of the chosen input mixed in
    at the start (the paper's watermark, §4.1, has 0.3); in the row's ball where the threat has one.
    retrains: what the victim trains on the rows: its "last" layer, the paper's transfer setting, or "all" of it.
    """

    card: ClassVar[Card] = Card(
        title="Feature collision (Poison Frogs)",
        summary="Has one chosen input misread after the last layer is retrained on rows whose labels are all right.",
        paper="Shafahi et al. 2018, arXiv:1804.00792, §2.2",
        needs=("refit", "module"),
        norms=("linf", "l2", "l1"),
        inputs=("chw", "row", "wave"),
        threats=("AML.T0020", "AML.T0018", "OWASP-ML02"),
        extra="models",
    )

    steps: int = 100
    faithful: float = 0.05
    opacity: float = 0.3
    retrains: Literal["last", "all"] = "last"

    def aim(
        self, surrogate: Target, x: Tensor, y: Tensor, chosen: Tensor, threat: Threat, rng: torch.Generator
    ) -> Poisoned:
        """Poison floor(poison_rate · n) rows of the target class, fewer where it has fewer."""
        rows = own(y, threat, rng)
        poisoned = x.clone()
        if len(rows):
            features = Extractor(network_of(surrogate), x)
            poisoned[rows] = self._collided(features, x[rows], chosen, surrogate.spec.bounds, threat)
        return Poisoned(poisoned, y.clone(), rows)

    def _collided(
        self, features: Extractor, base: Tensor, chosen: Tensor, bounds: tuple[float, float], threat: Threat
    ) -> Tensor:
        region = around(base, bounds, threat, 1.0)
        wanted = features.still(chosen).mean(0)
        apart = (features.still(base) - wanted).square().sum(1).clamp(min=1e-12)
        away = (base - chosen.mean(0)).flatten(1).square().sum(1).clamp(min=1e-12)
        weight = self.faithful / away
        x = region.project(base + self.opacity * (chosen.mean(0) - base))
        rate = 0.5 * away  # a step that would halve the distance to the chosen input were features pixels
        best, least = x, self._height(features, x, base, wanted, apart, weight)
        for _ in range(self.steps):
            slope = _slope(features, best, wanted, apart)
            by, pull = (part.reshape(-1, *[1] * (x.ndim - 1)) for part in (rate, 2 * rate * weight))
            x = region.project((best - by * slope + pull * base) / (1 + pull))
            height = self._height(features, x, base, wanted, apart, weight)
            better = height < least
            rate = torch.where(better, rate * 1.2, rate * 0.5)
            best = torch.where(better.reshape(by.shape), x, best)
            least = torch.where(better, height, least)
        return best

    def _height(
        self, features: Extractor, x: Tensor, base: Tensor, wanted: Tensor, apart: Tensor, weight: Tensor
    ) -> Tensor:
        near = (features.still(x) - wanted).square().sum(1) / apart
        return near + weight * (x - base).flatten(1).square().sum(1)


def _slope(features: Extractor, x: Tensor, wanted: Tensor, apart: Tensor) -> Tensor:
    with torch.enable_grad():
        moving = x.detach().requires_grad_(True)
        loss = ((features(moving) - wanted).square().sum(1) / apart).sum()
        (slope,) = torch.autograd.grad(loss, moving)
    return slope
