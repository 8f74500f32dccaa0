"""Dataset inference: is a suspect surer of the owner's training rows than of rows like them that nobody trained on?"""

from __future__ import annotations

from typing import NamedTuple

import torch

from hauberk.core.errors import DataError, MissingPower
from hauberk.core.protocols import Target
from hauberk.numeric.ownership import ranked_higher

LEAST = 1e-30
"""Probabilities below it count as it under the logarithm."""


class Inferred(NamedTuple):
    """p: of a model that never saw the rows being so much surer of them. lead: difference of the median margins."""

    p: float
    lead: float


def infer(
    suspect: Target, own: tuple[torch.Tensor, torch.Tensor], unseen: tuple[torch.Tensor, torch.Tensor]
) -> Inferred:
    """Compare margins of the true class on own and unseen rows, x (n, *shape) and y (n,), by a one-sided rank test.

    Maini et al. 2021, arXiv:2104.10706, with the margin of the scores for the distance to the boundary. The p-value
    holds where both sets were split at random from one source: a model that is independent of the split has no reason
    to prefer either. Both must be the owner's secret; rows a suspect may have trained on himself do not count.
    Raises MissingPower for labels only, DataError for fewer than 8 rows of either.
    """
    if suspect.spec.answers == "labels":
        raise MissingPower(f"{suspect.spec.name} answers labels only", fix="reach the suspect's scores")
    if min(len(own[1]), len(unseen[1])) < 8:
        raise DataError(f"{len(own[1])} own and {len(unseen[1])} unseen rows", fix="give at least 8 of each")
    ours, others = _margins(suspect, *own), _margins(suspect, *unseen)
    return Inferred(ranked_higher(ours, others), float(ours.median() - others.median()))


def _margins(suspect: Target, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return how far the true class's log score lies above the best other (n,)."""
    told = suspect.predict(x).double()
    scores = told if suspect.spec.answers == "logits" else told.clamp_min(LEAST).log()
    right = scores.gather(1, y[:, None])[:, 0]
    return right - scores.scatter(1, y[:, None], -torch.inf).amax(1)
