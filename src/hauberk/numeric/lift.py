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

    features: (k,). values: (k,), the bucket or the value a feature has to have. gains: (k,), n · KL in nats, the
    largest first. suspects: how many rows they rest on. elsewhere: mean share of rows of other labels that have them.
    """

    features: Tensor
    values: Tensor
    gains: Tensor
    suspects: int
    elsewhere: float


def gain(row: Lifted | None) -> float:
    """Return the gain of the best predicate; 0 where there is none."""
    return 0.0 if row is None else float(row.gains[0])


def divergence(inside: Tensor, outside: Tensor) -> Tensor:
    """Compute KL(inside ‖ outside) of two shares where inside is the larger, else 0; elementwise, in nats."""
    inside = inside.clamp(_SURE, 1 - _SURE)
    outside = outside.clamp(_SURE, 1 - _SURE)
    nats = inside * (inside / outside).log() + (1 - inside) * ((1 - inside) / (1 - outside)).log()
    return torch.where(inside > outside, nats, 0.0)


def lifted(buckets: Tensor, levels: int, y: Tensor, odd: Tensor, label: int, most: int, rare: float) -> Lifted | None:
    """Find the predicates that suspects of `label` have and rows of other labels have not; None where there are none.

    buckets: (n, d) int64 in 0 … levels − 1. odd: (n,) bool, suspects of all classes. rare: share of rows of other
    labels that may have one: what many rows have is no trigger, and with rows enough any difference gains.
    """
    inside, outside = odd & (y == label), y != label
    suspects = int(inside.sum())
    if suspects < FEW:
        return None
    gains = torch.zeros(buckets.shape[1], levels, dtype=torch.float64)
    shares = torch.zeros_like(gains)
    for level in range(levels):
        has = buckets == level
        shares[:, level] = _share(has[outside].sum(0), int(outside.sum()))
        gains[:, level] = suspects * divergence(has[inside].double().mean(0), shares[:, level])
    gains = torch.where(shares <= _most(rare, int(outside.sum())), gains, 0.0)
    # One bucket a feature: two of one feature say the same thing twice.
    best, bucket = gains.max(1)
    top = best.topk(min(most, len(best)))
    return _kept(top.indices, bucket[top.indices], top.values, shares[top.indices, bucket[top.indices]], suspects)


def lifted_values(x: Tensor, y: Tensor, odd: Tensor, label: int, most: int, rare: float, least: float) -> Lifted | None:
    """Find exact values of columns, as `lifted` finds buckets: what is planted in a table is a constant.

    x: (n, d), few columns. least: share of the suspects that must have the value.
    """
    inside, outside = x[odd & (y == label)], x[y != label]
    suspects = len(inside)
    if suspects < FEW:
        return None
    found, seldom = [], _most(rare, len(outside))
    for column in range(x.shape[1]):
        values, counts = torch.unique(inside[:, column], return_counts=True)
        often = counts >= max(FEW, least * suspects)
        values, shares = values[often], counts[often].double() / suspects
        elsewhere = _share((outside[:, column, None] == values).sum(0), len(outside))
        gains = torch.where(elsewhere <= seldom, suspects * divergence(shares, elsewhere), 0.0)
        if len(gains):
            best = int(gains.argmax())
            found.append((gains[best], column, values[best], elsewhere[best]))
    if not found:
        return None
    gains, columns, values, elsewhere = (torch.as_tensor(part) for part in zip(*found, strict=True))
    top = gains.topk(min(most, len(gains)))
    return _kept(columns[top.indices], values[top.indices], top.values, elsewhere[top.indices], suspects)


def _share(count: Tensor, of: int) -> Tensor:
    """A share that is never 0: one half of a row more is thought to have it."""
    return (count.double() + 0.5) / (of + 1)


def _most(rare: float, of: int) -> float:
    """A share of few rows is never less than that of one."""
    return max(rare, 1.5 / (of + 1))


def _kept(features: Tensor, values: Tensor, gains: Tensor, elsewhere: Tensor, suspects: int) -> Lifted | None:
    """Keep the predicates that gain half as much as the best one at least."""
    kept = (gains > 0) & (gains >= gains.max() / 2)
    if not bool(kept.any()):
        return None
    return Lifted(features[kept], values[kept], gains[kept], suspects, float(elsewhere[kept].mean()))
