"""Nearest points: Euclidean projections onto a ball around 0 cut by a box that holds 0, one row a sample."""

from __future__ import annotations

import torch

Tensor = torch.Tensor

# The sums of the sorted breakpoints run over thousands of terms: they are kept in float64.
_WIDE = torch.float64
_ROUNDS = 64


def onto_l2(move: Tensor, low: Tensor, high: Tensor, radius: float) -> Tensor:
    """Project moves (n, d) onto {z : ‖z‖₂ ≤ radius, low ≤ z ≤ high}, where low ≤ 0 ≤ high.

    By the optimality conditions z = clip(t · move, low, high) for one t in [0, 1] per row. With the clipped
    coordinates held, ‖z‖ = radius gives t in closed form; starting from t = radius / ‖move‖ (nothing clipped) the
    clipped set only grows, so the rounds are finite and each stays inside the ball.
    """
    boxed = torch.minimum(torch.maximum(move, low), high)
    outside = torch.linalg.vector_norm(boxed, dim=1) > radius
    if not bool(outside.any()):
        return boxed
    rows = outside.nonzero().squeeze(1)
    boxed[rows] = _shrink_l2(move[rows], low[rows], high[rows], radius)
    return boxed


def _shrink_l2(move: Tensor, low: Tensor, high: Tensor, radius: float) -> Tensor:
    share = (radius / torch.linalg.vector_norm(move, dim=1, keepdim=True)).clamp(max=1.0)
    held = torch.zeros((), dtype=torch.long, device=move.device)
    for _ in range(_ROUNDS):
        scaled = move * share
        point = torch.minimum(torch.maximum(scaled, low), high)
        clipped = point != scaled
        count = clipped.sum()
        if bool(count == held):
            break
        held = count
        fixed = point.masked_fill(~clipped, 0).square().sum(1, keepdim=True, dtype=_WIDE)
        free = move.masked_fill(clipped, 0).square().sum(1, keepdim=True, dtype=_WIDE)
        grown = ((radius * radius - fixed).clamp(min=0) / free.clamp(min=torch.finfo(_WIDE).tiny)).sqrt()
        share = torch.maximum(share, grown.clamp(max=1.0).to(share.dtype))
    return point


def onto_l1(move: Tensor, low: Tensor, high: Tensor, radius: float) -> Tensor:
    """Project moves (n, d) onto {z : ‖z‖₁ ≤ radius, low ≤ z ≤ high}, where low ≤ 0 ≤ high.

    Source: Croce & Hein 2021, arXiv:2103.01208, Proposition 2.1: |z| = clip(|move| − λ, 0, room). The total of |z| is
    piecewise linear in λ; its slope changes where a coordinate starts to move (λ = |move|) and where it meets the box
    (λ = |move| − room), so sorting those breakpoints finds λ exactly, in O(d log d).
    """
    boxed = torch.minimum(torch.maximum(move, low), high)
    outside = boxed.abs().sum(1) > radius
    if not bool(outside.any()):
        return boxed
    rows = outside.nonzero().squeeze(1)
    size = move[rows].abs()
    room = torch.where(move[rows] > 0, high[rows], -low[rows])
    level = _l1_level(size, room, radius)
    kept = torch.minimum((size - level).clamp(min=0), room)
    boxed[rows] = kept * move[rows].sign()
    return boxed


def _l1_level(size: Tensor, room: Tensor, radius: float) -> Tensor:
    """Find λ (n, 1) ≥ 0 with Σ clip(size − λ, 0, room) = radius."""
    breaks = torch.cat((size, size - room), dim=1).to(_WIDE)
    ordered, order = breaks.sort(dim=1, descending=True)
    turn = torch.where(order < size.shape[1], 1.0, -1.0).to(_WIDE)
    slope = turn.cumsum(1)
    gaps = ordered[:, :-1] - ordered[:, 1:]
    total = torch.cat((torch.zeros_like(ordered[:, :1]), (slope[:, :-1] * gaps).cumsum(1)), dim=1)
    reach = torch.full_like(total[:, :1], radius)
    last = (torch.searchsorted(total.contiguous(), reach) - 1).clamp(min=0, max=total.shape[1] - 1)
    start, here, steep = ordered.gather(1, last), total.gather(1, last), slope.gather(1, last)
    return (start - (reach - here) / steep.clamp(min=1.0)).clamp(min=0).to(size.dtype)


def onto_l0(move: Tensor, low: Tensor, high: Tensor, count: int) -> Tensor:
    """Project moves (n, d) onto {z : at most `count` coordinates differ from 0, low ≤ z ≤ high}.

    A coordinate that moves saves move² − (move − z)² of the squared distance: the largest savings stay.
    """
    boxed = torch.minimum(torch.maximum(move, low), high)
    if count >= move.shape[1]:
        return boxed
    saved = boxed * (2 * move - boxed)
    keep = saved.topk(count, dim=1).indices
    return torch.zeros_like(boxed).scatter(1, keep, boxed.gather(1, keep))
