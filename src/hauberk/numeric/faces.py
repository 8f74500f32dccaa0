"""Faces of a classifier's linearised decision region: which there are, and the nearest point of one inside a box."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hauberk.core.threat import Norm
from hauberk.numeric.losses import Aim, Climb, Loss

Tensor = torch.Tensor

_ACROSS = 4e-6
"""Share of the largest logit a face is put farther away: more than float32 loses of a logit, and than a hit needs."""

_ROUNDS = 32
_EXACT = 1e-6
_DUAL: dict[Norm, float] = {"linf": 1, "l2": 2, "l1": torch.inf}


@dataclass(frozen=True, slots=True)
class Faces:
    """Faces of n samples, m each.

    gaps: (n, m) ≥ 0, logits between the point and the face. slope: (n, m, classes), derivative of class − label by the
    logits. behind: (n, m) bool, the point lies behind the face already.
    """

    gaps: Tensor
    slope: Tensor
    behind: Tensor


def faces(logits: Tensor, aim: Aim, candidates: int) -> Faces:
    """Choose the m likeliest other classes; where a class is wanted, the one face that parts it from the likeliest.

    A gap ends a little behind the face: a point on the face itself is on neither side in float32.
    """
    labels, count = (aim.labels, candidates) if aim.wanted is None else (aim.wanted, 1)
    column = labels.unsqueeze(1)
    others = logits.scatter(1, column, -torch.inf)
    top, which = others.topk(min(count, logits.shape[1] - 1), dim=1)
    hot = torch.zeros((*which.shape, logits.shape[1]), dtype=logits.dtype, device=logits.device)
    hot.scatter_(2, which.unsqueeze(2), 1.0)
    own = torch.zeros_like(logits).scatter(1, column, 1.0).unsqueeze(1)
    ahead = logits.gather(1, column) - top
    gaps = ahead.abs() + _ACROSS * logits.abs().amax(1, keepdim=True)
    if aim.wanted is None:
        return Faces(gaps, hot - own, ahead < 0)
    return Faces(gaps, own - hot, ahead > 0)


def towards_faces(candidates: int) -> Loss:
    """Return a loss that asks for the gradients of m faces; its value is minus the smallest gap."""

    def loss(logits: Tensor, aim: Aim) -> Climb:
        found = faces(logits, aim, candidates)
        return Climb(-found.gaps.amin(1), found.slope)

    return loss


def far(slope: Tensor, gaps: Tensor, norm: Norm) -> Tensor:
    """Measure how far faces are, the box aside: gap / ‖slope‖ in the dual norm; infinite where there is no slope.

    slope: (n, m, d). gaps: (n, m), in logits, of either sign. norm: "linf", "l2" or "l1". Returns (n, m) ≥ 0.
    """
    length: Tensor = torch.linalg.vector_norm(slope, _DUAL[norm], dim=2)
    return (gaps.abs() / torch.where(length > 0, length, 1.0)).masked_fill(length == 0, torch.inf)


def onto_face(slope: Tensor, gap: Tensor, low: Tensor, high: Tensor, norm: Norm) -> Tensor:
    """Return the smallest move z (n, d), in `norm`, with slope · z = gap and low ≤ z ≤ high, where low ≤ 0 ≤ high.

    slope: (n, d). gap: (n,), below 0 for a face that lies behind. Where the box ends before the face, z goes as far
    towards it as the box lets it. In l1 the steepest coordinates go to their bounds one after the other; else
    |z| = min(t · v, room), v = |slope| in l2 and 1 in linf, for the one t that closes the gap.
    Source: Croce & Hein 2020, arXiv:1907.02044, section 2.2.
    """
    way = slope * torch.where(gap < 0, -1.0, 1.0).unsqueeze(1)
    steep, room = way.abs(), torch.where(way > 0, high, -low).masked_fill(way == 0, 0.0)
    if norm == "l1":
        return _fill(steep, room, gap.abs()).copysign(way)
    return _level(steep, steep if norm == "l2" else (way != 0).to(way.dtype), room, gap.abs()).copysign(way)


def _level(steep: Tensor, pace: Tensor, room: Tensor, gap: Tensor) -> Tensor:
    """Find min(t · pace, room) whose scalar product with `steep` is the gap.

    The product grows with t, ever more slowly, and is linear between the t where coordinates reach their room: Newton
    steps from the left never pass the t sought, and end on the right piece.
    """
    goal = gap.unsqueeze(1).double()
    rate = steep * pace
    level = torch.zeros_like(goal)
    for _ in range(_ROUNDS):
        free = level * pace < room
        left = goal - (steep * torch.minimum(level * pace, room)).sum(1, keepdim=True, dtype=torch.float64)
        slope = rate.masked_fill(~free, 0.0).sum(1, keepdim=True, dtype=torch.float64)
        open_ = (left > _EXACT * goal) & (slope > 0)
        if not bool(open_.any()):
            break
        level = torch.where(open_, level + left / torch.where(slope > 0, slope, 1.0), level)
    return torch.minimum((level * pace).to(room.dtype), room)


def _fill(steep: Tensor, room: Tensor, gap: Tensor) -> Tensor:
    """Use up the room of the steepest coordinates until their part in the product with `steep` is the gap."""
    order = steep.argsort(dim=1, descending=True)
    sharp, wide = steep.gather(1, order), room.gather(1, order)
    share = sharp * wide
    before = share.double().cumsum(1) - share
    needed = ((gap.unsqueeze(1) - before) / torch.where(sharp > 0, sharp, 1.0)).to(room.dtype)
    return torch.zeros_like(room).scatter(1, order, torch.minimum(needed.clamp(min=0), wide))
