"""Proximal maps of norms: argmin over z of t · ‖z‖ + ½ ‖z − move‖², one row a sample."""

from __future__ import annotations

import torch

from hauberk.core.threat import Norm

Tensor = torch.Tensor


def shrink(move: Tensor, weight: Tensor, norm: Norm) -> Tensor:
    """Shrink moves (n, d) by their norm's proximal map with weights t (n, 1) ≥ 0.

    l1: every coordinate loses t. l2: the length loses t. linf: the largest coordinates are cut to one level, t off in
    all. l0: the map of Σ |z|^⅔, which keeps few coordinates yet lets those move (the count's own map keeps or drops).
    """
    if norm == "l1":
        return (move.abs() - weight).clamp(min=0).copysign(move)
    if norm == "l2":
        length: Tensor = torch.linalg.vector_norm(move, dim=1, keepdim=True)
        return move * (1 - weight / length.clamp(min=torch.finfo(move.dtype).tiny)).clamp(min=0)
    return _cut(move, weight) if norm == "linf" else _root(move, weight)


def _cut(move: Tensor, weight: Tensor) -> Tensor:
    """Cut to the level above which the coordinates sum up to the weight: level = (Σ of the k largest − t) / k."""
    ordered = move.abs().sort(dim=1, descending=True).values
    count = torch.arange(1, move.shape[1] + 1, device=move.device)
    levels = (ordered.cumsum(1) - weight) / count
    above = (ordered > levels).sum(1, keepdim=True).clamp(min=1)
    level = levels.gather(1, above - 1).clamp(min=0)
    return torch.minimum(torch.maximum(move, -level), level)


def _root(move: Tensor, weight: Tensor) -> Tensor:
    """Solve w⁴ − |move| w + ⅔ t = 0 for z = w³; 0 where it has no root.

    Cao, Sun & Xu 2013, by Ferrari: 2w = √b + √(2|move| / √b − b), b = 2 (∛(h + a) + ∛(h − a)), where
    h = move² / 16 and a² = h² − (2t/9)³.
    """
    half = move.square() / 16
    spread = half.square() - (2 * weight / 9) ** 3
    bend = spread.clamp(min=0).sqrt()
    b = 2 * ((half + bend) ** (1 / 3) + (half - bend).clamp(min=0) ** (1 / 3))
    root = b.sqrt()
    rest = (2 * move.abs() / root.clamp(min=torch.finfo(move.dtype).tiny) - b).clamp(min=0).sqrt()
    return (((root + rest) / 2) ** 3).copysign(move).masked_fill(spread <= 0, 0.0)
