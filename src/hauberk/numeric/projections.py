"""Nearest points: Euclidean projections onto a ball around 0 cut by a box that holds 0, one row a sample."""

from __future__ import annotations

import torch

Tensor = torch.Tensor

# Sums over thousands of coordinates are kept in float64.
_WIDE = torch.float64
_ROUNDS = 64
_EXACT = 1e-6
# Rounding a share to float32 lengthens a move by up to 2⁻²⁴ of itself.
_ABOVE = 2e-7
_LONGEST = 1e12
_SPHERE_ROUNDS = 4


def onto_l2(move: Tensor, low: Tensor, high: Tensor, radius: float | Tensor) -> Tensor:
    """Project moves (n, d) onto {z : ‖z‖₂ ≤ radius, low ≤ z ≤ high}, where low ≤ 0 ≤ high; a radius for all or (n, 1).

    By the optimality conditions z = clip(t · move, low, high) for one t in [0, 1] per row. As a function of t², ‖z‖² is
    linear between the points where a coordinate meets the box, and concave: Newton's method, from t = radius / ‖move‖
    (nothing clipped) on, only grows and never passes the radius, so the rounds are finite.
    """
    return _scaled(move, low, high, radius, longest=1.0)


def onto_sphere(move: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> Tensor:
    """Shorten or lengthen moves (n, d) to ‖clip(t · move, low, high)‖₂ = radius (n, 1), as far as the box lets them.

    A few rounds only: the norm is never above the radius, and short of it by a few per mille where much is clipped.
    """
    return _scaled(move, low, high, radius, longest=_LONGEST, rounds=_SPHERE_ROUNDS)


def _scaled(
    move: Tensor, low: Tensor, high: Tensor, radius: float | Tensor, longest: float, rounds: int = _ROUNDS
) -> Tensor:
    """Return clip(t · move, low, high) of norm `radius`, t ≤ longest; the search begins where nothing is clipped."""
    # Where a search begins and how far a round goes may err by rounding; how long the point is may not.
    length = torch.linalg.vector_norm(move, dim=1, keepdim=True)
    share = (radius / length.clamp(min=torch.finfo(move.dtype).tiny)).clamp(max=longest)
    for _ in range(rounds):
        scaled = move * share
        point = torch.clamp(scaled, low, high)
        length = torch.linalg.vector_norm(point, dim=1, keepdim=True, dtype=_WIDE)
        met = (length >= radius * (1 - _EXACT)) & (length <= radius * (1 + _ABOVE))
        if bool((met | (share >= longest)).all()):
            break
        # 1 where the box clips and 0 elsewhere, by arithmetic: masks cost several times as much on a CPU.
        clipped = scaled.sub_(point).sign_().square_()
        free = torch.linalg.vector_norm(torch.addcmul(move, move, clipped, value=-1), dim=1, keepdim=True)
        room = (radius * radius - length.square()) / free.to(_WIDE).square().clamp(min=torch.finfo(_WIDE).tiny)
        grown = (share.to(_WIDE).square() + room).clamp(min=0).sqrt().clamp(max=longest)
        share = torch.where(met, share, grown.to(share.dtype))
    return point


def onto_l1(move: Tensor, low: Tensor, high: Tensor, radius: float | Tensor) -> Tensor:
    """Project moves (n, d) onto {z : ‖z‖₁ ≤ radius, low ≤ z ≤ high}, where low ≤ 0 ≤ high; a radius for all or (n, 1).

    Source: Croce & Hein 2021, arXiv:2103.01208, Proposition 2.1: |z| = clip(|move| − λ, 0, room), where room is how far
    the box lets each coordinate go.
    """
    boxed = torch.clamp(move, low, high)
    room = boxed.abs()
    if bool((room.sum(1, keepdim=True) <= radius).all()):
        return boxed
    size = move.abs()
    level = _l1_level(size, room, radius)
    return torch.minimum((size - level).clamp_(min=0), room).copysign(move)


def _l1_level(size: Tensor, room: Tensor, radius: float | Tensor) -> Tensor:
    """Find λ (n, 1) ≥ 0 with Σ clip(size − λ, 0, room) = radius; 0 where the sum is no larger even there.

    The sum falls with λ and is linear between breakpoints, so a Newton step from the right piece is exact; a step that
    leaves the bracket is halved instead. It takes a few passes and no sort.
    """
    low, high = torch.zeros_like(size[:, :1], dtype=_WIDE), size.amax(1, keepdim=True).to(_WIDE)
    level = low
    for _ in range(_ROUNDS):
        left = size - level.to(size.dtype)
        moved = torch.minimum(left.clamp(min=0), room)
        excess = moved.sum(1, keepdim=True, dtype=_WIDE) - radius
        inside = (level == 0) & (excess <= 0)
        if bool(((excess.abs() <= _EXACT * radius) | inside).all()):
            break
        low, high = torch.where(excess > 0, level, low), torch.where(excess > 0, high, level)
        pieces = ((left > 0) & (left <= room)).sum(1, keepdim=True)
        step = level + excess / pieces.clamp(min=1)
        newton = (step > low) & (step < high) & (pieces > 0)
        level = torch.where(inside, 0.0, torch.where(newton, step, (low + high) / 2))
    return level.to(size.dtype)


def onto_l0(move: Tensor, low: Tensor, high: Tensor, count: int | Tensor) -> Tensor:
    """Project moves (n, d) onto {z : at most `count` coordinates differ from 0, low ≤ z ≤ high}; one for all or (n, 1).

    A coordinate that moves saves move² − (move − z)² of the squared distance: the largest savings stay.
    """
    boxed = torch.clamp(move, low, high)
    most = count if isinstance(count, int) else int(count.amax()) if len(move) else 0
    if isinstance(count, int) and most >= move.shape[1]:
        return boxed
    saved = boxed * (2 * move - boxed)
    keep = saved.topk(min(most, move.shape[1]), dim=1).indices
    kept = boxed.gather(1, keep)
    if not isinstance(count, int):
        kept = kept.masked_fill(torch.arange(keep.shape[1], device=move.device) >= count, 0.0)
    return torch.zeros_like(boxed).scatter(1, keep, kept)
