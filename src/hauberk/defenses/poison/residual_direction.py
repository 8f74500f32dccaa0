"""Residual direction: what suspects of one class have on top of their neighbours points one way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.poisoning import Suspicion
from hauberk.core.protocols import Target
from hauberk.defenses.suspecting import classes_of, company, nothing, verdict
from hauberk.numeric.lift import FEW
from hauberk.numeric.two_parts import beyond

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class ResidualDirection:
    """Flag the rows of a class whose difference from their neighbours correlates with that of its suspects.

    A row's residual is the row less the mean of its nearest neighbours. A faint pattern blended into many rows is
    invisible in each, but the mean residual of n suspects holds it with noise 1/√n: a matched filter of that mean,
    weighted by the inverse variance of other rows' residuals, finds all rows that hold it. The sign of an alarm is the
    mean square, over features, of the suspects' mean residual in units of its standard error: 1 where nothing is
    planted. No model is needed.

    threshold: of that mean square; clean sets stay below two thirds of it (benchmarks/data/poison.py). floor: least
    standard deviation of a feature's residuals, as a share of the whole range.
    """

    card: ClassVar[Card] = Card(
        title="Residual direction",
        summary="Finds faint patterns blended over whole inputs, and patches at a fixed place, by a matched filter; "
        "needs no model.",
        inputs=("chw", "row", "wave"),
        threats=("AML.T0020", "OWASP-ML02"),
        extra="models",
    )
    blind: ClassVar[tuple[str, ...]] = (
        "triggers at a different place in each row",
        "warped images, for the most part",
        "rows changed without a trigger (label flips, feature collisions)",
        "so many planted rows that they are each other's neighbours",
        "triggers on rows that keep their own label",
    )

    neighbours: int = 10
    directions: int = 50
    threshold: float = 6.0
    floor: float = 0.02

    def suspect(self, x: Tensor, y: Tensor, target: Target | None, rng: torch.Generator) -> Suspicion:  # noqa: ARG002
        """Judge the rows by the matched filter of the named class; scores are its correlation."""
        found = company(x, y, self.neighbours, self.directions)
        rows = x.flatten(1).double()
        rows = rows / (rows.max() - rows.min()).clamp(min=1e-12)
        residual = rows - rows[found.which].mean(1)
        classes = classes_of(y)
        signs = [self._sign(residual, found.odd & (y == label), found.odd) for label in range(classes)]
        alarms = torch.tensor([sign for sign, _ in signs])
        aim = int(alarms.argmax())
        if not float(alarms[aim]):
            return nothing(residual.new_zeros(len(y)), 0.0, "no class has suspects enough")
        filtered = residual @ signs[aim][1]
        own = y == aim
        flagged = torch.zeros_like(own)
        flagged[own] = beyond(filtered[own], filtered[~own])
        spread = float(filtered[~own].std().clamp(min=1e-12))
        scores = torch.where(own, filtered / spread, (filtered / spread).min())
        note = (
            f"the suspects of class {aim} differ from their neighbours all the same way: mean square "
            f"{float(alarms[aim]):.1f} standard errors, where 1 is chance"
        )
        return verdict(scores, flagged, float(alarms[aim]) / self.threshold, aim, note)

    def _sign(self, residual: Tensor, suspects: Tensor, odd: Tensor) -> tuple[float, Tensor]:
        """Return the mean square deviation of a class's suspects, and their matched filter (d,) of unit length."""
        count = int(suspects.sum())
        if count < FEW:
            return 0.0, residual.new_zeros(residual.shape[1])
        mean = residual[suspects].mean(0)
        spread = residual[~odd].std(0) + self.floor
        filtered = mean / spread.square()
        return float(count * (mean / spread).square().mean()), filtered / filtered.norm().clamp(min=1e-12)
