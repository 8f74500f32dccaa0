"""Bullseye polytope: rows of the attacker's class whose features have the chosen input in their middle."""

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
from hauberk.numeric.adam import Adam

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class BullseyePolytope:
    """Move rows of the target class until the mean of their features is that of the chosen input.

    Aghakhani et al. 2021, arXiv:2005.00191, §4 (equation 2, one surrogate; several chosen inputs are aimed at through
    the mean of their features, §4.3).

    steps: of Adam; the paper has up to 4000. rate: of Adam, as a share of the input range.
    radius: how far a value may be moved as a share of the input range, where the threat has no ball; the paper's 0.1.
    retrains: what the victim trains on the rows: its "last" layer, the paper's transfer setting, or "all" of it.
    """

    card: ClassVar[Card] = Card(
        title="Bullseye polytope",
        summary="Has a chosen input misread through several nearly unchanged rows; survives more than a collision.",
        paper="Aghakhani et al. 2021, arXiv:2005.00191, §4",
        needs=("refit", "module"),
        norms=("linf", "l2", "l1"),
        inputs=("chw", "row", "wave"),
        threats=("AML.T0020", "AML.T0018", "OWASP-ML02"),
        extra="models",
    )

    steps: int = 200
    rate: float = 0.02
    radius: float = 0.1
    retrains: Literal["last", "all"] = "last"

    def aim(
        self, surrogate: Target, x: Tensor, y: Tensor, chosen: Tensor, threat: Threat, rng: torch.Generator
    ) -> Poisoned:
        """Poison floor(poison_rate · n) rows of the target class, fewer where it has fewer."""
        rows = own(y, threat, rng)
        poisoned = x.clone()
        if len(rows):
            features = Extractor(network_of(surrogate), x)
            poisoned[rows] = self._surrounding(features, x[rows], chosen, surrogate.spec.bounds, threat)
        return Poisoned(poisoned, y.clone(), rows)

    def _surrounding(
        self, features: Extractor, base: Tensor, chosen: Tensor, bounds: tuple[float, float], threat: Threat
    ) -> Tensor:
        region = around(base, bounds, threat, self.radius)
        wanted = features.still(chosen).mean(0)
        scale = wanted.square().sum().clamp(min=1e-12)
        x = base.clone().requires_grad_(True)
        optimizer = Adam([x], self.rate * (bounds[1] - bounds[0]))
        best, least = base, float("inf")
        for step in range(self.steps + 1):
            with torch.enable_grad():
                loss = (features(x).mean(0) - wanted).square().sum() / (2 * scale)
            if float(loss.detach()) < least:
                best, least = x.detach().clone(), float(loss.detach())
            if step < self.steps:
                optimizer.step(loss)
                with torch.no_grad():
                    x.copy_(region.project(x.detach()))
        return best
