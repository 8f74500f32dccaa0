"""Neighbour disagreement: rows whose nearest neighbours have another label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.poisoning import Suspicion
from hauberk.core.protocols import Target
from hauberk.defenses.suspecting import classes_of, company, verdict
from hauberk.numeric.intervals import wilson

Tensor = torch.Tensor

_HARD = 0.01
"""Share of honest rows that are hard anyway."""


@dataclass(frozen=True, slots=True)
class NeighbourDisagreement:
    """Flag every row whose neighbours have another label, if one class has more of them than chance gives.

    A list for people to go through rather than one to throw away: it holds nearly all relabelled rows, and honest ones
    that are hard. Alone it raises an alarm only where a class is mostly odd, since honest classes differ by a factor of
    ten; its ranking is what it is for. Peri et al. 2020, arXiv:1909.13374, §3, in the space of inputs instead of
    features.

    threshold: how many times the median class's share of odd rows, and 1 % more, the worst class has at least (Wilson's
    lower bound) before the alarm goes.
    """

    card: ClassVar[Card] = Card(
        title="Neighbour disagreement",
        summary="Lists rows whose nearest neighbours have another label, by flips or by relabelling attacks; needs no "
        "model.",
        paper="Peri et al. 2020, arXiv:1909.13374, §3",
        inputs=("chw", "row", "tokens", "wave"),
        threats=("AML.T0020", "OWASP-ML02"),
        extra="models",
    )
    blind: ClassVar[tuple[str, ...]] = (
        "poison that keeps its own label",
        "so many planted rows that they are each other's neighbours",
    )

    neighbours: int = 10
    directions: int = 50
    threshold: float = 12.0

    def suspect(self, x: Tensor, y: Tensor, target: Target | None, rng: torch.Generator) -> Suspicion:  # noqa: ARG002
        """Judge the rows; scores are the neighbours' weight against the row's label, 0–1."""
        found = company(x, y, self.neighbours, self.directions)
        against = 1 - found.said.gather(1, y[:, None]).squeeze(1)
        shares = torch.tensor([_share(found.odd, y == label) for label in range(classes_of(y))])
        aim = int(shares.argmax())
        usual = float(shares.median())
        own = int((y == aim).sum())
        surely = wilson(round(float(shares[aim]) * own), own).low
        note = f"{shares[aim]:.1%} of the rows of class {aim} disagree with their neighbours, {usual:.1%} of the median"
        return verdict(against, found.odd, surely / (usual + _HARD) / self.threshold, aim, note)


def _share(odd: Tensor, own: Tensor) -> float:
    return float(odd[own].double().mean()) if bool(own.any()) else 0.0
