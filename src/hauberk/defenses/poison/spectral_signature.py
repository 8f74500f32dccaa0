"""Spectral signature: planted rows lie far along the first direction of their class's activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.errors import MissingPower
from hauberk.core.poisoning import Suspicion
from hauberk.core.protocols import Target
from hauberk.defenses.detecting_features import Features
from hauberk.defenses.suspecting import classes_of, demand_rows, verdict

Tensor = torch.Tensor

_MAD = 1.4826
"""Median absolute deviation to standard deviation, of a normal distribution."""


@dataclass(frozen=True, slots=True)
class SpectralSignature:
    """Flag rows whose squared place along the top singular direction of their class is an outlier.

    Tran, Li and Madry 2018, arXiv:1811.00636, algorithm 1, on the inputs of the last layer; instead of a fixed share of
    every class, rows beyond `threshold` robust standard deviations are flagged, and only in the class where they are
    most. Evidence of the second rank: below about 1 % of poison, activations move from one training to the next.
    """

    card: ClassVar[Card] = Card(
        title="Spectral signature",
        summary="Looks for a second group along the first direction of a class's activations; unsure at small shares.",
        paper="Tran et al. 2018, arXiv:1811.00636, algorithm 1",
        needs=("module",),
        threats=("AML.T0020", "AML.T0018", "OWASP-ML02"),
        extra="models",
    )
    blind: ClassVar[tuple[str, ...]] = (
        "shares of poison below about 1 %",
        "poison that the model did not learn",
        "poison whose activations lie among the class's own",
    )

    threshold: float = 8.0

    def suspect(self, x: Tensor, y: Tensor, target: Target | None, rng: torch.Generator) -> Suspicion:  # noqa: ARG002
        """Judge the rows by a model trained on them; scores are robust standard deviations."""
        demand_rows(x, y)
        if target is None:
            raise MissingPower("spectral signatures need the model trained on these rows", fix="name the model")
        rows = Features(target, last=True).rows(x)[0].double()
        scores = torch.zeros(len(y), dtype=torch.float64)
        for label in range(classes_of(y)):
            own = y == label
            if int(own.sum()) > 2:
                scores[own] = _outlying(rows[own])
        flagged = scores > self.threshold
        share = torch.tensor(
            [float(flagged[y == label].double().mean()) for label in range(classes_of(y))]
        ).nan_to_num()
        aim = int(share.argmax())
        usual = float(share.median()) + 0.005
        flagged &= y == aim
        note = f"{int(flagged.sum())} rows of class {aim} lie beyond {self.threshold:g} deviations along one direction"
        return verdict(scores, flagged, float(share[aim]) / usual / 2, aim, note)


def _outlying(rows: Tensor) -> Tensor:
    """Return the squared place along the top direction in robust deviations above the median: (n,)."""
    centred = rows - rows.mean(0)
    direction = torch.linalg.svd(centred, full_matrices=False).Vh[0]
    place = (centred @ direction).square()
    middle = place.median()
    scores: Tensor = (place - middle) / ((place - middle).abs().median() * _MAD).clamp(min=1e-12)
    return scores
