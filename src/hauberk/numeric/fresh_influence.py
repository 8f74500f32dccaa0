"""What new rows say against rows that are trusted: how far each pulls a fit of them, and what its neighbours think."""

from __future__ import annotations

from typing import NamedTuple

import torch

from hauberk.numeric.neighbours import Neighbours, nearest, votes
from hauberk.numeric.removal_paths import Ridge

Tensor = torch.Tensor

_BLOCK = 20_000_000
"""Distances held at once."""


class Weighed(NamedTuple):
    """One figure a row: of the m new ones, and of the n trusted ones as if each had come last.

    pull: mean squared change of the scores of all trusted rows that the row makes. against: the neighbours' weight
    against its label, 0–1. The neighbours are trusted rows alone.
    """

    pull: Tensor
    trusted_pull: Tensor
    against: Tensor
    trusted_against: Tensor


def weighed(trusted: Tensor, labels: Tensor, fresh: Tensor, fresh_labels: Tensor, classes: int, count: int) -> Weighed:
    """Weigh fresh rows (m, d), fresh_labels (m,) against trusted rows (n, d), labels (n,); columns of one scale.

    The fit is a ridge classifier on one-hot labels, for which a row's influence is exact: Cook 1977, Technometrics 19;
    Koh & Liang 2017, arXiv:1703.04730, §2, is its first order for other losses. count: neighbours that vote, < n.
    """
    ridge = Ridge.fit(trusted, labels, classes)
    near = nearest(trusted, count)
    said, trusted_said = (
        votes(among(fresh, trusted, count), labels, classes),
        votes(near, labels, classes),
    )
    return Weighed(
        pulls(ridge, fresh, fresh_labels),
        pulls(ridge, None, labels),
        1 - said.gather(1, fresh_labels[:, None]).squeeze(1),
        1 - trusted_said.gather(1, labels[:, None]).squeeze(1),
    )


def pulls(ridge: Ridge, rows: Tensor | None, labels: Tensor) -> Tensor:
    """Compute by how much each row moves the scores of the fit's own rows: (m,), mean squares over rows and classes.

    rows: (m, d) to be put in one at a time, or None for the fit's own rows, each held against the fit without it.
    """
    own = rows is None
    x = ridge.x if rows is None else torch.cat((rows.double(), torch.ones(len(rows), 1, dtype=torch.float64)), 1)
    wanted = torch.nn.functional.one_hot(labels, ridge.wanted.shape[1]).double()
    rest = (wanted - x @ ridge.weight).square().sum(1)
    turned = x @ ridge.inverse
    lever = (turned * x).sum(1)
    spread = ((turned @ (ridge.x.T @ ridge.x)) * turned).sum(1)
    left = (1 - lever).clamp(min=1e-9) if own else 1 + lever
    return rest * spread / left.square() / len(ridge.x) / ridge.wanted.shape[1]


def among(rows: Tensor, others: Tensor, count: int) -> Neighbours:
    """Find the `count` nearest of `others` (n, d) for each of rows (m, d), by Euclidean distance."""
    which, distance = [], []
    for block in torch.split(rows, max(1, _BLOCK // len(others))):
        found = torch.cdist(block, others).topk(count, largest=False)
        which.append(found.indices)
        distance.append(found.values)
    return Neighbours(torch.cat(which), torch.cat(distance))
