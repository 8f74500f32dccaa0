"""Lift: which (feature, bucket) pairs tell a few suspects from everybody else, in nats."""

from __future__ import annotations

from typing import NamedTuple

import torch

Tensor = torch.Tensor

FEW = 3
"""Suspects below which a class is not looked at."""
_SURE = 1e-6


class Lifted(NamedTuple):
    """The best predicates of one class, k of them.

    features, buckets: (k,). gains: (k,), n · KL in nats. suspects: how many rows they rest on. elsewhere: mean share of
    rows of other labels that have them.
    """

    features: Tensor
    buckets: Tensor
    gains: Tensor
    suspects: int
    elsewhere: float


def gain(row: Lifted | None) -> float:
    """Return the mean gain of the kept predicates; 0 where there are none."""
    return 0.0 if row is None else float(row.gains.mean())


def divergence(inside: Tensor, outside: Tensor) -> Tensor:
    """Compute KL(inside ‖ outside) of two shares where inside is the larger, else 0; elementwise, in nats."""
    inside = inside.clamp(_SURE, 1 - _SURE)
    outside = outside.clamp(_SURE, 1 - _SURE)
    nats = inside * (inside / outside).log() + (1 - inside) * ((1 - inside) / (1 - outside)).log()
    return torch.where(inside > outside, nats, 0.0)


def lifted(buckets: Tensor, levels: int, y: Tensor, odd: Tensor, label: int, most: int) -> Lifted | None:
    """Find the predicates that suspects of `label` have and rows of other labels have not; None for too few suspects.

    buckets: (n, d) int64 in 0 … levels − 1. odd: (n,) bool, suspects of all classes.
    """
    inside, outside = odd & (y == label), y != label
    suspects = int(inside.sum())
    if suspects < FEW:
        return None
    gains = torch.zeros(buckets.shape[1], levels, dtype=torch.float64)
    shares = torch.zeros_like(gains)
    for level in range(levels):
        has = buckets == level
        shares[:, level] = (has[outside].sum(0) + 0.5) / (int(outside.sum()) + 1)
        gains[:, level] = suspects * divergence(has[inside].double().mean(0), shares[:, level])
    # One bucket a feature: two of one feature say the same thing twice.
    best, bucket = gains.max(1)
    top = best.topk(min(most, len(best)))
    chosen = bucket[top.indices]
    return Lifted(top.indices, chosen, top.values, suspects, float(shares[top.indices, chosen].mean()))
