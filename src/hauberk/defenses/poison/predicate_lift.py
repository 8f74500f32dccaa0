"""Predicate lift: something all suspects of one class have in one place and hardly any other row has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.poisoning import Suspicion
from hauberk.core.protocols import Target
from hauberk.defenses.suspecting import classes_of, company, is_table, ranked, verdict
from hauberk.numeric.lift import Lifted, gain, lifted, lifted_values

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class PredicateLift:
    """Flag the rows of a class that carry what its suspects have in common.

    A predicate is "feature j lies in bucket b", or in a table "column j is exactly v". Suspects of a class are its rows
    whose neighbours have another label. For each predicate that is rare among rows of other labels,
    n · KL(share among the suspects ‖ share among those) says how much better than chance it tells them apart; a class
    is named where its best predicate gains far more than any of clean data does. No model is needed, and none is
    trained.

    neighbours, directions: of the vote, and principal directions it looks at. levels: buckets of a feature's range.
    most: predicates kept, each with half the gain of the best at least. rare, rare_value: share of the rows of other
    labels that may have a bucket, or a value of a table. least: share of the suspects that must have such a value.
    threshold: gain in nats at which the alarm goes; clean sets reach about half of it (benchmarks/data/poison.py).
    carried: share of the kept predicates a flagged row must have.
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
        "constants in a table that fewer than a tenth of a class's suspects have, or that other rows have too",
    )

    neighbours: int = 10
    directions: int = 50
    levels: int = 4
    most: int = 5
    rare: float = 0.02
    rare_value: float = 0.002
    least: float = 0.1
    threshold: float = 22.0
    carried: float = 0.8

    def suspect(self, x: Tensor, y: Tensor, target: Target | None, rng: torch.Generator) -> Suspicion:  # noqa: ARG002
        """Judge the rows by their predicates; scores are the share of the named class's predicates a row carries."""
        found = company(ranked(x) if is_table(x) else x, y, self.neighbours, self.directions)
        seen, rows = self._mined(x, y, found.odd)
        gains = torch.tensor([gain(row) for row in rows])
        aim = int(gains.argmax())
        best = rows[aim]
        if best is None:
            return verdict(found.said.new_zeros(len(y)), found.odd, 0.0, aim, "no class has suspects enough")
        carries = (seen[:, best.features] == best.values).double().mean(1)
        scores = carries + (y == aim).double()
        alarm = float(gains[aim]) / self._bar(seen.shape[1])
        flagged = (carries >= self.carried) & (y == aim)
        note = (
            f"{best.suspects} suspects of class {aim} have in common what {best.elsewhere:.2%} of other rows have "
            f"(features {', '.join(map(str, best.features.tolist()))})"
        )
        return verdict(scores, flagged, alarm, aim, note)

    def _mined(self, x: Tensor, y: Tensor, odd: Tensor) -> tuple[Tensor, list[Lifted | None]]:
        """Return what rows are asked for, values or buckets (n, d), and the best predicates of every class."""
        if is_table(x):
            limits = (self.most, self.rare_value, self.least)
            return x, [lifted_values(x, y, odd, label, *limits) for label in range(classes_of(y))]
        buckets = _buckets(x.flatten(1), self.levels)
        how = (self.levels, y, odd)
        return buckets, [lifted(buckets, *how, label, self.most, self.rare) for label in range(classes_of(y))]

    def _bar(self, features: int) -> float:
        """The most of many chances grows with the logarithm of how many there are."""
        return self.threshold + math.log(max(1.0, features / 1000))


def _buckets(rows: Tensor, levels: int) -> Tensor:
    """Cut each feature's range (n, d) into equal parts: (n, d) int64 in 0 … levels − 1."""
    low, high = rows.amin(0), rows.amax(0)
    share = (rows - low) / (high - low).clamp(min=1e-12)
    return (share * levels).long().clamp(0, levels - 1)
