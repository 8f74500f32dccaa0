"""Held-out agreement: a model that never saw a row gives it its label, and the row's neighbours do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.errors import MissingPower
from hauberk.core.poisoning import Suspicion
from hauberk.core.protocols import Target, Trainable
from hauberk.defenses.suspecting import classes_of, company, verdict

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class HeldOutAgreement:
    """Score rows by p(y | model trained without them) · (1 − p(y | neighbours)).

    A label that is merely wrong is refused by both; a hard honest row is hard for both. What a model without the row
    still gives the planted label has learnt the trigger from other rows, whatever the trigger looks like. The target is
    trained anew once for each fold.

    folds: models trained. threshold: how many times the median class's share of such rows the worst class has before
    the alarm goes. sure: score above which a row counts.
    """

    card: ClassVar[Card] = Card(
        title="Held-out agreement",
        summary="Finds relabelled rows with any trigger that a model learns, warps included; trains one model a fold.",
        needs=("refit",),
        threats=("AML.T0020", "AML.T0018", "OWASP-ML02"),
        extra="models",
    )
    blind: ClassVar[tuple[str, ...]] = (
        "poison that keeps its own label",
        "triggers that so few rows bear that a model without a part of them does not learn them",
        "rows changed without a trigger (label flips, feature collisions)",
    )

    folds: int = 3
    neighbours: int = 10
    directions: int = 50
    sure: float = 0.5
    threshold: float = 4.0

    def suspect(self, x: Tensor, y: Tensor, target: Target | None, rng: torch.Generator) -> Suspicion:
        """Judge the rows; scores lie in 0–1."""
        if not isinstance(target, Trainable):
            raise MissingPower("held-out agreement needs a model that can be trained anew", fix="name a torch model")
        found = company(x, y, self.neighbours, self.directions)
        told = self._told(x, y, target, rng)
        scores = told * (1 - found.said.gather(1, y[:, None]).squeeze(1))
        counts = scores > self.sure
        share = torch.tensor([float(counts[y == label].double().mean()) for label in range(classes_of(y))]).nan_to_num()
        aim = int(share.argmax())
        usual = float(share.median()) + 1 / len(y)
        note = (
            f"{share[aim]:.1%} of the rows of class {aim} have their label from a model that did not see them and from "
            f"no neighbour; {usual:.1%} of the median class"
        )
        return verdict(scores, counts & (y == aim), float(share[aim]) / usual / self.threshold, aim, note)

    def _told(self, x: Tensor, y: Tensor, target: Trainable, rng: torch.Generator) -> Tensor:
        """Ask for each row a model trained without it how likely its label is: (n,)."""
        told = torch.zeros(len(y), dtype=torch.float64)
        for rows in torch.randperm(len(y), generator=rng).tensor_split(self.folds):
            rest = torch.ones(len(y), dtype=torch.bool).index_fill(0, rows, False)
            model = target.refit(x[rest], y[rest], rng)
            answer = torch.cat([model.predict(part) for part in torch.split(x[rows], 512)]).double()
            shares = answer if model.spec.answers != "logits" else answer.softmax(1)
            told[rows] = shares.gather(1, y[rows, None]).squeeze(1)
        return told
