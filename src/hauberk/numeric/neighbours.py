"""Nearest neighbours: exact, in blocks, on as many principal directions as matter."""

from __future__ import annotations

from typing import NamedTuple

import torch

Tensor = torch.Tensor

_BLOCK = 2**24
"""Distances held at once: 64 MiB of float32."""
_TINY = 1e-6


class Neighbours(NamedTuple):
    """The k nearest other rows of each of n rows: which (n, k), nearest first, and how far (n, k)."""

    which: Tensor
    distance: Tensor


def principal(x: Tensor, most: int) -> Tensor:
    """Turn rows x (n, *shape) onto their first principal directions: (n, at most `most`), centred, not scaled."""
    rows = x.flatten(1).double()
    rows = rows - rows.mean(0)
    if rows.shape[1] <= most:
        return rows.float()
    spread = rows.T @ rows if rows.shape[1] <= len(rows) else None
    if spread is None:
        _, _, directions = torch.linalg.svd(rows, full_matrices=False)
        return _turned(rows, directions[:most].T)
    _, vectors = torch.linalg.eigh(spread)  # ascending
    return _turned(rows, vectors[:, -most:])


def _turned(rows: Tensor, directions: Tensor) -> Tensor:
    turned: Tensor = (rows @ directions).float()
    return turned


def nearest(rows: Tensor, count: int) -> Neighbours:
    """Find the `count` nearest other rows of each row (n, d), by Euclidean distance; count < n."""
    which, distance = [], []
    for block in torch.split(torch.arange(len(rows)), max(1, _BLOCK // len(rows))):
        far = torch.cdist(rows[block], rows)
        far[torch.arange(len(block)), block] = torch.inf
        found = far.topk(count, largest=False)
        which.append(found.indices)
        distance.append(found.values)
    return Neighbours(torch.cat(which), torch.cat(distance))


def votes(found: Neighbours, y: Tensor, classes: int) -> Tensor:
    """Estimate the class of each row from its neighbours alone, the nearer the heavier: (n, classes), rows sum to 1.

    y: labels of the rows the neighbours are among.
    """
    weight = 1 / (found.distance.double() + _TINY)
    tally = weight.new_zeros(len(weight), classes).scatter_add_(1, y[found.which], weight)
    return tally / tally.sum(1, keepdim=True)
