"""Predicate lift: something all suspects of one class have in one place and hardly any other row has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.poisoning import Suspicion
from hauberk.core.protocols import Target
from hauberk.defenses.suspecting import classes_of, company, verdict
from hauberk.numeric.lift import gain, lifted

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class PredicateLift:
    """Flag the rows of a class that carry what its suspects have in common.

    A predicate is "feature j lies in bucket b". Suspects of a class are its rows whose neighbours have another label.
    For each predicate, n · KL(share among the suspects ‖ share among rows of other labels) says how much better than
    chance it tells them apart; a class is named where its best predicates gain far more than those of clean data do.
    No model is needed, and none is trained.

    neighbours, directions: of the vote, and principal directions it looks at. levels: buckets of a feature's range.
    most: predicates kept. threshold: mean gain in nats at which the alarm goes; clean sets reach a third of it
    (benchmarks/data/poison.py). carried: share of the kept predicates a flagged row must have.
    """

    card: ClassVar[Card] = Card(
        title="Predicate lift",
        summary="Finds triggers at a fixed place, constants in tables and tokens by what suspects alone share; needs "
        "no model.",
        inputs=("chw", "row", "tokens", "wave"),
        threats=("AML.T0020", "OWASP-ML02"),
        extra="models",
    )
    blind: ClassVar[tuple[str, ...]] = (
        "triggers at a different place in each row",
        "faint patterns blended over the whole input",
        "rows changed without a trigger (label flips, feature collisions)",
        "so many planted rows that they are each other's neighbours",
        "triggers on rows that keep their own label, where few of them stand out from their class",
    )

    neighbours: int = 10
    directions: int = 50
    levels: int = 4
    most: int = 5
    threshold: float = 30.0
    carried: float = 0.8

    def suspect(self, x: Tensor, y: Tensor, target: Target | None, rng: torch.Generator) -> Suspicion:  # noqa: ARG002
        """Judge the rows by their predicates; scores are the share of the named class's predicates a row carries."""
        found = company(x, y, self.neighbours, self.directions)
        buckets = _buckets(x.flatten(1), self.levels)
        rows = [lifted(buckets, self.levels, y, found.odd, label, self.most) for label in range(classes_of(y))]
        gains = torch.tensor([gain(row) for row in rows])
        aim = int(gains.argmax())
        best = rows[aim]
        if best is None:
            return verdict(found.said.new_zeros(len(y)), found.odd, 0.0, aim, "no class has suspects enough")
        carries = (buckets[:, best.features] == best.buckets).double().mean(1)
        scores = carries + (y == aim).double()
        alarm = float(gains[aim]) / self._bar(buckets.shape[1])
        flagged = (carries >= self.carried) & (y == aim)
        note = (
            f"{best.suspects} suspects of class {aim} share {self.most} values that {best.elsewhere:.2%} of other rows "
            f"have (features {', '.join(map(str, best.features.tolist()))})"
        )
        return verdict(scores, flagged, alarm, aim, note)

    def _bar(self, features: int) -> float:
        """The most of many chances grows with the logarithm of how many there are."""
        return self.threshold + math.log(max(1.0, features / 1000))


def _buckets(rows: Tensor, levels: int) -> Tensor:
    """Cut each feature's range (n, d) into equal parts: (n, d) int64 in 0 … levels − 1."""
    low, high = rows.amin(0), rows.amax(0)
    share = (rows - low) / (high - low).clamp(min=1e-12)
    return (share * levels).long().clamp(0, levels - 1)
