"""The set an attacker must stay in: a norm ball around each clean input, cut by the bounds, exact in float32."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from hauberk.core.threat import Ball, Norm
from hauberk.numeric.active import take
from hauberk.numeric.projections import onto_l0, onto_l1, onto_l2

Tensor = torch.Tensor

_ROUNDING = 2.0**-23
"""Share of the radius kept clear where a norm is measured on differences rounded to float32."""

_SHRINK = 1e-6
"""A projected L1 or L2 move falls short by this share, doubled until float32 rounding no longer leaves the ball."""


@dataclass(frozen=True, slots=True)
class Region:
    """A ball ∩ box for each of n samples. Every tensor is (n, *shape) float32.

    norm, radius: of the ball (radius may be infinite: then only the box binds). An l0 radius counts coordinates.
    center: the clean inputs. lower, upper: what each value may be; in linf the ball is already in them.
    """

    norm: Norm
    radius: float
    center: Tensor
    lower: Tensor
    upper: Tensor

    def project(self, x: Tensor) -> Tensor:
        """Return the nearest point of the region to x (n, *shape).

        ‖result − center‖ ≤ radius holds in float32 and in float64 arithmetic, and result lies in the box exactly.
        A point that is already inside comes back unchanged, to the bit.
        """
        if self.norm == "linf" or math.isinf(self.radius):
            return x.clamp(self.lower, self.upper)
        return _project_ball(self, x)

    def approach(self, x: Tensor) -> Tensor:
        """Return the nearest point but for rounding: of points on the way, that nobody looks at, at half the cost."""
        if self.norm == "linf" or math.isinf(self.radius):
            return x.clamp(self.lower, self.upper)
        return self.center + _nearest(x - self.center, self)

    def contains(self, x: Tensor) -> Tensor:
        """Tell which samples (n,) of x (n, *shape) lie in ball and box, by float32 and by float64 arithmetic."""
        boxed = ((x >= self.lower) & (x <= self.upper)).flatten(1).all(1)
        return boxed & _within(x, self.center, self.norm, self.radius)

    def distance(self, x: Tensor) -> Tensor:
        """Measure ‖x − center‖ (n,) in the region's norm; in l0 the number of coordinates that differ."""
        return size(x - self.center, self.norm)

    def scatter(self, rng: torch.Generator) -> Tensor:
        """Draw a start for each sample: uniform in the ball, then projected onto the region."""
        if math.isinf(self.radius):
            return self.center
        shape = self.center.shape
        flat = (shape[0], math.prod(shape[1:]))
        move = _DRAW[self.norm](flat, self.radius, rng).to(self.center.device)
        return self.project(self.center + move.reshape(shape))


def region(ball: Ball | None, x: Tensor, bounds: tuple[float, float], norm: Norm = "l2") -> Region:
    """Build the region of `ball` around x (n, *shape) float32, which must lie in `bounds`.

    The radius is rounded down and the bounds to the nearest float32. Without a ball only the bounds bind, and
    `norm` says how distance is measured.
    """
    low, high = (torch.tensor(bound, dtype=torch.float32, device=x.device) for bound in bounds)
    lower, upper = low.expand_as(x).contiguous(), high.expand_as(x).contiguous()
    if ball is None:
        return Region(norm, math.inf, x, lower, upper)
    radius = floor_float32(ball.radius)
    if ball.norm == "linf":
        wide = x.double()
        reach_up, reach_down = (wide + radius).float(), (wide - radius).float()
        upper = torch.minimum(upper, _toward(reach_up, x, reach_up.double() - wide > radius))
        lower = torch.maximum(lower, _toward(reach_down, x, wide - reach_down.double() > radius))
    return Region(ball.norm, radius, x, lower, upper)


def size(move: Tensor, norm: Norm) -> Tensor:
    """Measure moves (n, *shape) → (n,): their norm, in the dtype of `move`."""
    flat = move.flatten(1)
    if norm == "linf":
        return flat.abs().amax(1)
    if norm == "l2":
        return _norm(flat, 2)
    return flat.abs().sum(1) if norm == "l1" else (flat != 0).sum(1).to(move.dtype)


def steepest(gradient: Tensor, norm: Norm, sparsity: float = 0.0) -> Tensor:
    """Return a direction of unit norm along which a linear function with these gradients (n, *shape) grows fast.

    linf: the sign. l2: the gradient itself, scaled. l1, l0: equal parts to the steepest `sparsity` share of the
    coordinates (0–1), at least one; one alone is the fastest, but steps that share it out end nearer to the optimum
    (Tramèr & Boneh 2019, arXiv:1904.13000, section 5.1). A zero gradient gives a zero direction.
    """
    if norm == "linf":
        return gradient.sign()
    flat = gradient.flatten(1)
    if norm == "l2":
        # In float64: squares of gradients below 1e-23 vanish in float32.
        length = _norm(flat, 2, torch.float64).unsqueeze(1).to(flat.dtype)
        return (flat / length.clamp(min=torch.finfo(flat.dtype).tiny)).reshape(gradient.shape)
    count = min(flat.shape[1], max(1, round(sparsity * flat.shape[1])))
    top = flat.abs().topk(count, dim=1).indices
    return torch.zeros_like(flat).scatter(1, top, flat.gather(1, top).sign() / count).reshape(gradient.shape)


def unit_mean(gradient: Tensor) -> Tensor:
    """Divide gradients (n, *shape) by their mean size, so that those of several steps weigh alike; a zero one stays."""
    flat = gradient.flatten(1)
    size = flat.abs().mean(1, keepdim=True)
    return (flat / size.masked_fill(size == 0, 1.0)).reshape(gradient.shape)


def floor_float32(value: float) -> float:
    """Round down to a float32, so that a comparison in either precision agrees."""
    near = torch.tensor(value, dtype=torch.float32)
    return float(torch.nextafter(near, torch.tensor(-math.inf)) if float(near) > value else near)


def _toward(edge: Tensor, center: Tensor, beyond: Tensor) -> Tensor:
    """Move an edge one float32 towards the center where rounding carried it beyond the radius."""
    return torch.where(beyond, torch.nextafter(edge, center), edge)


def _norm(flat: Tensor, order: int, dtype: torch.dtype | None = None) -> Tensor:
    if order == 1:
        return flat.abs().sum(1, dtype=dtype)
    length: Tensor = torch.linalg.vector_norm(flat, order, dim=1, dtype=dtype)
    return length


def _within(x: Tensor, center: Tensor, norm: Norm, radius: float) -> Tensor:
    narrow = size(x - center, norm) <= radius
    return narrow & (size(x.double() - center.double(), norm) <= radius)


def _surely_within(move: Tensor, norm: Norm, radius: float) -> Tensor:
    """As `_within` without float64 copies: a rounded difference errs by 2⁻²⁴ of itself, so twice that is kept clear."""
    inside = size(move, norm) <= radius
    if norm == "l0" or not bool(inside.any()):
        return inside
    return inside & (_norm(move.flatten(1), 2 if norm == "l2" else 1, torch.float64) <= radius * (1 - _ROUNDING))


def _boxed(x: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    # By arithmetic: a comparison with each bound costs three times as much on a CPU.
    return (x - x.clamp(lower, upper)).flatten(1).abs().amax(1) == 0


def _project_ball(region: Region, x: Tensor) -> Tensor:
    move = x - region.center
    inside = _surely_within(move, region.norm, region.radius)
    if bool(inside.any()):
        inside &= _boxed(x, region.lower, region.upper)
    if bool(inside.all()):
        return x
    if not bool(inside.any()):
        return _settled(move, region)
    rows = (~inside).nonzero().squeeze(1)
    return x.index_copy(0, rows, _settled(move.index_select(0, rows), take(region, rows)))


def _settled(move: Tensor, region: Region) -> Tensor:
    """Add the nearest allowed moves to their centers, shrinking those that float32 rounding would carry out."""
    move, center, lower, upper = _nearest(move, region), region.center, region.lower, region.upper
    # Where nothing moves the center stays to the bit; elsewhere the box is exact by the last clamp.
    point = torch.clamp(center + move, lower, upper)
    shrink = _SHRINK
    while True:
        beyond = ~_surely_within(point - center, region.norm, region.radius)
        if not bool(beyond.any()):
            return point
        keep = max(0.0, 1.0 - shrink)
        rows = beyond.nonzero().squeeze(1)
        smaller = torch.clamp(center[rows] + move[rows] * keep, lower[rows], upper[rows])
        point = point.index_copy(0, rows, smaller)
        shrink *= 2


def _nearest(move: Tensor, region: Region) -> Tensor:
    flat, low, high = (part.flatten(1) for part in (move, region.lower - region.center, region.upper - region.center))
    if region.norm == "l0":
        return onto_l0(flat, low, high, int(region.radius)).reshape(move.shape)
    project = onto_l2 if region.norm == "l2" else onto_l1
    return project(flat, low, high, region.radius * (1 - _SHRINK)).reshape(move.shape)


def _draw_linf(shape: tuple[int, int], radius: float, rng: torch.Generator) -> Tensor:
    return (torch.rand(shape, generator=rng, device=rng.device) * 2 - 1) * radius


def _draw_l2(shape: tuple[int, int], radius: float, rng: torch.Generator) -> Tensor:
    """A Gaussian direction at a distance r · u^(1/d)."""
    way = torch.randn(shape, generator=rng, device=rng.device)
    far = torch.rand((shape[0], 1), generator=rng, device=rng.device) ** (1 / shape[1])
    return way / _norm(way, 2).unsqueeze(1).clamp(min=1e-12) * far * radius


def _draw_l1(shape: tuple[int, int], radius: float, rng: torch.Generator) -> Tensor:
    """Signed shares of d + 1 exponentials: uniform in the cross-polytope."""
    waits = torch.empty((shape[0], shape[1] + 1), device=rng.device).exponential_(generator=rng)
    side = torch.randint(0, 2, shape, generator=rng, device=rng.device) * 2 - 1
    return waits[:, :-1] / waits.sum(1, keepdim=True) * side * radius


def _draw_l0(shape: tuple[int, int], radius: float, rng: torch.Generator) -> Tensor:
    """As many coordinates as allowed, chosen at random, moved by up to one unit."""
    order = torch.rand(shape, generator=rng, device=rng.device).argsort(1)
    chosen = order < int(radius)
    return (torch.rand(shape, generator=rng, device=rng.device) * 2 - 1) * chosen


_DRAW = {"linf": _draw_linf, "l2": _draw_l2, "l1": _draw_l1, "l0": _draw_l0}
