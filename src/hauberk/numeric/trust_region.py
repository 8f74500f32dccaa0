"""The best step along a boundary: nearest to home, on a plane, within a trust region and the box, one row a sample."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hauberk.core.threat import Norm
from hauberk.numeric.faces import onto_face

Tensor = torch.Tensor

_HALVINGS = 6
"""The step uses the trust region up to 1/64 of its range."""
_NEWTON = 16
_FLAT = 1e-6
_EXACT, _ROUNDING = 0.02, 1e-6
"""Shares of the gain and of the trust region's radius by which a step may miss the plane: whoever aims a tenth beyond
the boundary is to land beyond it, however wide the region."""


@dataclass(frozen=True, slots=True)
class Sphere:
    """What a step must keep to, for n samples with d values.

    home: (n, d), the move to the clean input, inside the box. slope: (n, d), of unit length or 0. gain: (n, 1), what
    slope · move must be, but for `miss` (n, 1). low ≤ 0 ≤ high: (n, d), the box. radius: (n, 1), of the trust region,
    in l2.
    """

    home: Tensor
    slope: Tensor
    gain: Tensor
    miss: Tensor
    low: Tensor
    high: Tensor
    radius: Tensor


def along_boundary(
    norm: Norm, home: Tensor, slope: Tensor, gain: Tensor, low: Tensor, high: Tensor, radius: Tensor
) -> Tensor:
    """Minimise ‖home − z‖ in `norm` over slope · z = gain, ‖z‖₂ ≤ radius, low ≤ z ≤ high → z (n, d).

    home, slope, low, high: (n, d); gain, radius: (n,). Where the plane is out of reach, z goes towards it as far as
    box and trust region let it. Source: Brendel et al. 2019, arXiv:1907.01003, equation 2, whose dual is solved here:
    one number bends the step to the plane, another keeps it in the trust region, both by one-dimensional searches for
    all samples at once.
    """
    length: Tensor = torch.linalg.vector_norm(slope, dim=1, keepdim=True).clamp(min=torch.finfo(slope.dtype).tiny)
    unit, wanted = slope / length, gain / length.squeeze(1)
    short = onto_face(unit, wanted, low, high, "l2")
    far: Tensor = torch.linalg.vector_norm(short, dim=1, keepdim=True)
    reach = radius.unsqueeze(1)
    best = short * (reach / far.clamp(min=torch.finfo(far.dtype).tiny)).clamp(max=1.0)
    gap = wanted.unsqueeze(1)
    miss = torch.maximum(_EXACT * gap.abs(), _ROUNDING * reach)
    able = (far <= reach) & ((unit * short).sum(1, keepdim=True) - gap).abs().le(miss)
    rows = able.squeeze(1).nonzero().squeeze(1)
    if not len(rows):
        return best
    where = Sphere(home[rows], unit[rows], gap[rows], miss[rows], low[rows], high[rows], reach[rows])
    return best.index_copy(0, rows, _nearest_home(norm, where, best[rows]))


def _nearest_home(norm: Norm, where: Sphere, best: Tensor) -> Tensor:
    """Lean towards home as far as the trust region allows; `best`: (n, d), the shortest step to the plane."""
    least, most = torch.zeros_like(where.gain), torch.ones_like(where.gain)
    bend = torch.zeros_like(where.gain)
    lean = most
    for _ in range(_HALVINGS):
        tried, bent = _on_plane(norm, where, lean, bend)
        short = (where.slope * tried).sum(1, keepdim=True) < where.gain - where.miss
        good = ~short & (torch.linalg.vector_norm(tried, dim=1, keepdim=True) <= where.radius)
        best, bend = torch.where(good, tried, best), torch.where(good, bent, bend)
        least, most = torch.where(good, lean, least), torch.where(good, most, lean)
        if bool((least >= 1).all()):
            break
        lean = (least + most) / 2
    return best


def _on_plane(norm: Norm, where: Sphere, lean: Tensor, bend: Tensor) -> tuple[Tensor, Tensor]:
    """Find the bend t (n, 1) at which slope · z(t) = gain, and that z: Newton steps, kept between both sides.

    slope · z(t) never falls as t grows; it is linear between the t where values reach their ends.
    """
    low, high = torch.full_like(bend, -torch.inf), torch.full_like(bend, torch.inf)
    # A value crosses a range of 1 in this much bend, on average: longer steps come from a slope that is nearly flat.
    longest = 4 * where.slope.shape[1] ** 0.5 * (where.high - where.low).amax(1, keepdim=True)
    for _ in range(_NEWTON):
        point, ends = _bent(norm, where, lean, bend)
        left = where.gain - (where.slope * point).sum(1, keepdim=True)
        open_ = left.abs() > where.miss / 2
        if not bool(open_.any()):
            return point, bend
        low, high = torch.where(left > 0, bend, low), torch.where(left < 0, bend, high)
        rate = where.slope.square().masked_fill(ends, 0.0).sum(1, keepdim=True)
        step = bend + (left / rate.clamp(min=_FLAT)).clamp(-longest, longest)
        both = low.isfinite() & high.isfinite()
        middle = torch.where(both, (low + high) / 2, step)
        inside = (step > low) & (step < high)
        bend = torch.where(open_, torch.where(inside, step, middle), bend)
    # Where z(t) leaps over the gain, as in l0, the side beyond the boundary is taken.
    bend = torch.where(open_ & high.isfinite(), high, bend)
    return _bent(norm, where, lean, bend)[0], bend


def _bent(norm: Norm, where: Sphere, lean: Tensor, bend: Tensor) -> tuple[Tensor, Tensor]:
    """Return the step (n, d) for multipliers lean 0–1 and bend (n, 1), and which of its values are held fast.

    Each value minimises its own share of the Lagrangian. With b the slope and a the way home: l2: lean · a + bend · b.
    linf: bend · b, at most (1 − lean) of the farthest way from home. l1: home if bend · b is within a level of it, else
    to that level. l0: home, unless bend · b beats it by more than the level.
    """
    home, pull = where.home, bend * where.slope
    if norm == "l2":
        free = pull.add_(lean * home)
        return _held(free, where.low, where.high)
    most = home.abs().amax(1, keepdim=True)
    if norm == "linf":
        far = (1 - lean) * most
        return _held(pull, torch.maximum(where.low, home - far), torch.minimum(where.high, home + far))
    level = most * lean / (1 - lean + 1e-3)
    if norm == "l1":
        free = torch.clamp(home, pull - level, pull + level)
        point, held = _held(free, where.low, where.high)
        return point, held | (free == home)
    point, held = _held(pull, where.low, where.high)
    stay = (home - pull).square() - (point - pull).square() <= level.square()
    return torch.where(stay, home, point), held | stay


def _held(free: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    point = torch.clamp(free, low, high)
    return point, (free <= low) | (free >= high)
