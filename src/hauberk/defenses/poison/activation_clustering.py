"""Activation clustering: a small, well separated group among a class's activations."""

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
from hauberk.numeric.neighbours import principal

Tensor = torch.Tensor

_ROUNDS, _STARTS = 50, 5
_SILHOUETTE = 1000
"""Rows a silhouette is taken over: its cost grows with the square."""


@dataclass(frozen=True, slots=True)
class ActivationClustering:
    """Flag the smaller of two clusters of a class's activations where it is small and stands apart.

    Chen et al. 2018, arXiv:1811.03728, §5: two means on the first principal directions of the inputs of the last layer.
    A class is condemned only where the clusters' silhouette is above `silhouette` and the smaller one holds less than
    `share` of the class: condemning one cluster of every class, as is often done, flags 40 % of clean data.
    """

    card: ClassVar[Card] = Card(
        title="Activation clustering",
        summary="Looks for a small separate cluster among a class's activations; sees poison of some per cent.",
        paper="Chen et al. 2018, arXiv:1811.03728, §5",
        needs=("module",),
        threats=("AML.T0020", "AML.T0018", "OWASP-ML02"),
        extra="models",
    )
    blind: ClassVar[tuple[str, ...]] = (
        "shares of poison below a few per cent",
        "poison that the model did not learn",
        "poison whose activations lie among the class's own",
    )

    directions: int = 10
    silhouette: float = 0.25
    share: float = 0.35

    def suspect(self, x: Tensor, y: Tensor, target: Target | None, rng: torch.Generator) -> Suspicion:
        """Judge the rows by a model trained on them; scores are the silhouettes of those in a smaller cluster."""
        demand_rows(x, y)
        if target is None:
            raise MissingPower("activation clustering needs the model trained on these rows", fix="name the model")
        rows = Features(target, last=True).rows(x)[0]
        scores = torch.zeros(len(y), dtype=torch.float64)
        best, aim, flagged = 0.0, 0, torch.zeros(len(y), dtype=torch.bool)
        for label in range(classes_of(y)):
            own = (y == label).nonzero().squeeze(1)
            if len(own) < 10:
                continue
            small, apart = _two_means(principal(rows[own], self.directions), rng)
            scores[own[small]] = apart
            if float(small.double().mean()) < self.share and apart > best:
                best, aim = apart, label
                flagged = torch.zeros_like(flagged).index_fill(0, own[small], True)
        note = f"a cluster of {int(flagged.sum())} rows of class {aim} has a silhouette of {best:.2f}"
        return verdict(scores, flagged, best / self.silhouette, aim, note)


def _two_means(rows: Tensor, rng: torch.Generator) -> tuple[Tensor, float]:
    """Cut rows (n, d) into two clusters: which are in the smaller one (n,), and the mean silhouette of that one."""
    best, part = torch.inf, torch.zeros(len(rows), dtype=torch.bool)
    for _ in range(_STARTS):
        centres = rows[torch.randperm(len(rows), generator=rng)[:2]]
        for _ in range(_ROUNDS):
            second = torch.cdist(rows, centres).argmin(1) == 1
            if bool(second.all()) or not bool(second.any()):
                break
            centres = torch.stack([rows[~second].mean(0), rows[second].mean(0)])
        spread = float(torch.cdist(rows, centres).amin(1).square().sum())
        if spread < best:
            best, part = spread, second
    small = part if int(part.sum()) * 2 <= len(part) else ~part
    if not bool(small.any()):
        return small, 0.0
    return small, _silhouette(rows[small][:_SILHOUETTE], rows[~small][:_SILHOUETTE])


def _silhouette(inside: Tensor, outside: Tensor) -> float:
    """Compute the mean silhouette of the rows inside (Rousseeuw 1987)."""
    if len(inside) < 2:
        return 0.0
    own = torch.cdist(inside, inside).sum(1) / (len(inside) - 1)
    other = torch.cdist(inside, outside).mean(1)
    return float(((other - own) / torch.maximum(own, other).clamp(min=1e-12)).mean())
