"""Square: random search with square-shaped changes at the border of the ball, by scores alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch

from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.active import take
from hauberk.numeric.balls import Region, region
from hauberk.numeric.losses import Aim

Tensor = torch.Tensor

HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Iterations of 10,000 after which the changed share is halved; a shorter search scales them (§4.1)."""
BATCH = 512


@dataclass(frozen=True, slots=True)
class Canvas:
    """Inputs seen as images: a row of a table is an image of one channel and one line, whose windows are blocks.

    region: around the clean inputs, (n, c, h, w). x: the best points. lead: (n,) how much the error leads there.
    labels: (n,). wanted: (n,) the class to reach, or the labels again for any other.
    """

    region: Region
    x: Tensor
    lead: Tensor
    labels: Tensor
    wanted: Tensor


class _Proposal(Protocol):
    def __call__(self, canvas: Canvas, share: float, rng: torch.Generator) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Square:
    """Square attack.

    queries: per sample, the first look at the clean input included; a threat's own budget goes before it.
    share: of the input changed at once in the beginning, 0–1; it is halved as the search goes on.
    """

    card: ClassVar[Card] = Card(
        title="Square attack",
        summary="Random search with square patches: the strongest score-based attack, blind to masked gradients.",
        paper="Andriushchenko et al. 2020, arXiv:1912.00049",
        needs=("scores",),
        norms=("linf", "l2"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 1000
    share: float = 0.8

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return the points of highest margin found, of x's shape; a sample leaves the search once it is broken.

        Raises UsageError for a threat without an linf or l2 ball.
        """
        if threat.ball is None or threat.ball.norm not in self.card.norms:
            raise UsageError("evasion.square works in linf and l2 balls", where=threat.name)
        begin, propose = (_stripes, _paint) if threat.ball.norm == "linf" else (_tiles, _shift)
        budget = self.queries if threat.queries is None else min(self.queries, threat.queries)
        out, shape = x.clone(), x.shape[1:]
        if not len(x) or budget < 1:
            return out
        image = x.reshape(len(x), *shape) if len(shape) == 3 else x.reshape(len(x), 1, 1, -1)
        canvas = _open(target, image, y, threat, shape)
        rows = torch.arange(len(x), device=x.device)
        for step in range(1, budget):
            left = (canvas.lead <= 0).nonzero().squeeze(1)
            if len(left) < len(rows):
                _keep(out, rows, canvas)
                rows, canvas = rows[left], take(canvas, left)
            if not len(rows):
                break
            share = self.share * 0.5 ** sum(step > at * self.queries / 10_000 for at in HALVINGS)
            point = begin(canvas, share, rng) if step == 1 else propose(canvas, share, rng)
            canvas = _better(target, canvas, canvas.region.project(point), shape, threat)
        _keep(out, rows, canvas)
        return out


def _open(target: Target, image: Tensor, y: Tensor, threat: Threat, shape: torch.Size) -> Canvas:
    wanted = y if threat.target_class is None else torch.full_like(y, threat.target_class)
    lead = _lead(target, image, Aim(y, wanted, strict=threat.target_class is not None), shape)
    return Canvas(region(threat.ball, image, target.spec.bounds), image, lead, y, wanted)


def _lead(target: Target, image: Tensor, aim: Aim, shape: torch.Size) -> Tensor:
    flat = image.reshape(len(image), *shape)
    return aim.lead(torch.cat([target.predict(part) for part in torch.split(flat, BATCH)]))


def _better(target: Target, canvas: Canvas, point: Tensor, shape: torch.Size, threat: Threat) -> Canvas:
    """Ask for the points and keep those whose error leads more."""
    aim = Aim(canvas.labels, canvas.wanted, strict=threat.target_class is not None)
    lead = _lead(target, point, aim, shape)
    gained = lead > canvas.lead
    x = torch.where(gained.reshape(-1, 1, 1, 1), point, canvas.x)
    return Canvas(canvas.region, x, torch.where(gained, lead, canvas.lead), canvas.labels, canvas.wanted)


def _keep(out: Tensor, rows: Tensor, canvas: Canvas) -> None:
    out[rows] = canvas.x.reshape(len(rows), *out.shape[1:])


def _signs(shape: tuple[int, ...], like: Tensor, rng: torch.Generator) -> Tensor:
    return (torch.randint(0, 2, shape, generator=rng, device=rng.device) * 2 - 1).to(like)


def _stripes(canvas: Canvas, _: float, rng: torch.Generator) -> Tensor:
    """Begin with vertical stripes of ± the radius (§3.4); on a line every value is a stripe."""
    n, c, _, w = canvas.x.shape
    return canvas.region.center + canvas.region.radius * _signs((n, c, 1, w), canvas.x, rng)


def _paint(canvas: Canvas, share: float, rng: torch.Generator) -> Tensor:
    """Paint one window a sample, each channel with ± the radius (§3.4, algorithm 2)."""
    n, c, h, w = canvas.x.shape
    window = _mask(n, (h, w), _sides(share, h, w), canvas.x, rng)
    colour = canvas.region.radius * _signs((n, c, 1, 1), canvas.x, rng)
    if h == 1:  # neighbours in a row mean nothing: each value has a sign of its own, and a block is any set
        colour = canvas.region.radius * _signs((n, c, 1, w), canvas.x, rng)
    return torch.where(window, canvas.region.center + colour, canvas.x)


def _sides(share: float, h: int, w: int) -> tuple[int, int]:
    """Return height and width of a window that holds `share` of the canvas, at least one value."""
    if h == 1 or w == 1:
        return min(h, max(1, round(share * h))), min(w, max(1, round(share * w)))
    side = max(1, round(math.sqrt(share * h * w)))
    return min(side, h), min(side, w)


def _mask(n: int, canvas: tuple[int, int], sides: tuple[int, int], like: Tensor, rng: torch.Generator) -> Tensor:
    """Place a window at random on each canvas → (n, 1, h, w) bool; on a line, choose values at random instead."""
    if canvas[0] == 1:
        order = torch.rand((n, 1, 1, canvas[1]), generator=rng, device=rng.device).to(like.device)
        return order.argsort(-1).argsort(-1) < sides[1]
    inside = [_span(n, length, side, rng).to(like.device) for length, side in zip(canvas, sides, strict=True)]
    return inside[0].reshape(n, 1, -1, 1) & inside[1].reshape(n, 1, 1, -1)


def _span(n: int, length: int, side: int, rng: torch.Generator) -> Tensor:
    """Choose `side` neighbours of `length` at random (n, length) bool."""
    start = torch.randint(0, length - side + 1, (n, 1), generator=rng, device=rng.device)
    place = torch.arange(length, device=rng.device)
    return (place >= start) & (place < start + side)


def _tiles(canvas: Canvas, _: float, rng: torch.Generator) -> Tensor:
    """Begin with a grid of bumps of random sign, grown to the radius (§3.5)."""
    n, c, h, w = canvas.x.shape
    high, wide = max(1, h // 5), max(1, w // 5)
    move = torch.zeros_like(canvas.x)
    for top in range(0, h, high):
        for left in range(0, w, wide):
            patch = move[:, :, top : top + high, left : left + wide]
            bump = _bump(patch.shape[2], patch.shape[3], canvas.x)
            move[:, :, top : top + high, left : left + wide] = bump * _signs((n, c, 1, 1), canvas.x, rng)
    return canvas.region.center + _grown(move, canvas.region.radius)


def _shift(canvas: Canvas, share: float, rng: torch.Generator) -> Tensor:
    """Clear one window of the change and heap what that frees on another (§3.5, algorithm 3)."""
    n, c, h, w = canvas.x.shape
    sides = _sides(share, h, w)
    sides = (max(min(3, h), sides[0]), max(min(3, w), sides[1]))
    move = canvas.x - canvas.region.center
    fill, clear = (_mask(n, (h, w), sides, canvas.x, rng) for _ in range(2))
    both = fill | clear
    # What the ball has left and what lies in the windows is shared by the channels in equal parts.
    spare = (canvas.region.radius**2 - move.square().sum((1, 2, 3), keepdim=True)).clamp(min=0) / c
    budget = (spare + (move.square() * both).sum((2, 3), keepdim=True)).sqrt()
    old = move * fill
    fresh = _spread(fill, sides, canvas.x, rng) * _signs((n, c, 1, 1), canvas.x, rng)
    heap = _unit(fresh + _unit(old))
    moved = torch.where(both, torch.zeros_like(move), move) + heap * budget
    return canvas.region.center + _grown(moved, canvas.region.radius)


def _spread(window: Tensor, sides: tuple[int, int], like: Tensor, rng: torch.Generator) -> Tensor:
    """Lay the two-sided bump of unit length (or its transpose) into each window (n, 1, h, w)."""
    n, _, h, w = window.shape
    if h == 1:
        flat = window * _signs((n, 1, 1, w), like, rng)
        return _unit(flat)
    shape = _two_sided(*sides, like)
    if sides[0] == sides[1] and int(torch.randint(0, 2, (1,), generator=rng, device=rng.device)):
        shape = shape.T
    out = torch.zeros(window.shape, dtype=like.dtype, device=like.device)
    # Boolean assignment fills windows sample by sample, line by line: the order a repeated bump is in.
    out[window] = shape.reshape(1, -1).expand(n, -1).reshape(-1)
    return _unit(out)


def _bump(h: int, w: int, like: Tensor) -> Tensor:
    """Heap h × w values so that the middle is highest: Σ 1 / (m + 1 − k)² over the rings around it (§3.5)."""
    rings = max(h, w) // 2
    down, along = ((torch.arange(size) - size // 2).abs() for size in (h, w))
    ring = torch.maximum(down.reshape(-1, 1), along.reshape(1, -1)).clamp(max=rings)
    steps = torch.tensor([1.0 / (rings + 1 - k) ** 2 for k in range(rings + 1)])
    return steps.cumsum(0).flip(0)[ring].to(like)


def _two_sided(h: int, w: int, like: Tensor) -> Tensor:
    """Put a bump up and a bump down side by side: one half of the window rises, the other falls."""
    half = h // 2
    if half == 0:
        return _bump(h, w, like)
    return torch.cat((_bump(half, w, like), -_bump(h - half, w, like)))


def _unit(move: Tensor) -> Tensor:
    """Scale each channel (n, c, h, w) to length 1; a zero one stays zero."""
    length: Tensor = torch.linalg.vector_norm(move, dim=(2, 3), keepdim=True)
    return move / length.clamp(min=1e-12)


def _grown(move: Tensor, radius: float) -> Tensor:
    """Scale each sample's change (n, c, h, w) to the radius."""
    length: Tensor = torch.linalg.vector_norm(move, dim=(1, 2, 3), keepdim=True)
    return move * (radius / length.clamp(min=1e-12))
