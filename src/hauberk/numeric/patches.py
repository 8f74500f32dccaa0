"""The set a patch allows: images changed inside one rectangle only; and how a patch is laid onto images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from hauberk.core.errors import UsageError
from hauberk.core.threat import Patch

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Patches:
    """The allowed set around each of n images.

    center: (n, c, h, w) the clean images. lower, upper: (n, c, h, w) what each value may be. sides: height and width
    of the rectangle in pixels. place: its top left corner where the threat fixes it.
    """

    center: Tensor
    lower: Tensor
    upper: Tensor
    sides: tuple[int, int]
    place: tuple[int, int] | None

    def project(self, x: Tensor) -> Tensor:
        """Return the nearest point of the set in l2: of all rectangles the one with the most squared change is kept.

        Points inside come back to the bit.
        """
        point = x.clamp(self.lower, self.upper)
        kept = window(self.best((point - self.center).square().sum(1)), self.sides, point)
        near = torch.where(kept, point, self.center)
        # Two rectangles may tie but for rounding: what fits into one is not asked which.
        return torch.where(self.contains(x).reshape(-1, 1, 1, 1), x, near)

    def contains(self, x: Tensor) -> Tensor:
        """Tell which images (n,) are changed within one rectangle of the size, at its place where that is fixed."""
        boxed = ((x >= self.lower) & (x <= self.upper)).flatten(1).all(1)
        changed = (x != self.center).any(1)
        if self.place is not None:
            own = window(self.best(changed.to(x.dtype)), self.sides, x).squeeze(1)
            return boxed & ~(changed & ~own).flatten(1).any(1)
        return boxed & (_extent(changed.any(2)) <= self.sides[0]).logical_and(_extent(changed.any(1)) <= self.sides[1])

    def distance(self, x: Tensor) -> Tensor:
        """Count the pixels that changed (n,)."""
        return (x != self.center).any(1).flatten(1).sum(1).to(x.dtype)

    def scatter(self, rng: torch.Generator) -> Tensor:
        """Fill a rectangle of each image, anywhere unless its place is fixed, with random values."""
        share = torch.rand(self.center.shape, generator=rng, device=rng.device).to(self.center)
        return torch.where(
            window(self.corners(rng), self.sides, self.center),
            self.lower + share * (self.upper - self.lower),
            self.center,
        )

    def corners(self, rng: torch.Generator) -> Tensor:
        """Draw a top left corner for each image (n, 2), or take the fixed one."""
        draws = torch.rand((len(self.center), 2), generator=rng, device=rng.device).to(self.center)
        return self.fixed() if self.place is not None else (draws * (self.most() + 1)).long().minimum(self.most())

    def best(self, values: Tensor, favour: Tensor | None = None) -> Tensor:
        """Find the corner (n, 2) of the rectangle that holds most of values (n, h, w), or take the fixed one.

        favour: (n, h − height + 1, w − width + 1), a factor to each rectangle's sum.
        """
        if self.place is not None:
            return self.fixed()
        sums = window_sums(values, self.sides)
        flat = (sums if favour is None else sums * favour).flatten(1).argmax(1)
        return torch.stack((flat // sums.shape[2], flat % sums.shape[2]), 1)

    def fixed(self) -> Tensor:
        """Return the fixed corner of every image (n, 2)."""
        return torch.tensor(self.place, device=self.center.device).expand(len(self.center), 2)

    def most(self) -> Tensor:
        """Return the last corner (2,) at which the rectangle still lies inside."""
        h, w = self.center.shape[2:]
        return torch.tensor([h - self.sides[0], w - self.sides[1]], device=self.center.device)


def patches(patch: Patch, x: Tensor, bounds: tuple[float, float]) -> Patches:
    """Build the set of `patch` around images x (n, c, h, w); raises UsageError where x are none or it lies outside."""
    if x.ndim != 4:
        raise UsageError(f"a patch needs images, the inputs have shape {tuple(x.shape[1:])}")
    h, w = x.shape[2:]
    sides = patch.sides(h, w)
    if patch.place is not None and (patch.place[0] + sides[0] > h or patch.place[1] + sides[1] > w):
        raise UsageError(f"a patch of {sides[0]} × {sides[1]} at {patch.place} sticks out of images of {h} × {w}")
    low, high = (torch.tensor(bound, dtype=torch.float32, device=x.device).expand_as(x) for bound in bounds)
    return Patches(x, low, high, sides, patch.place)


def window_sums(values: Tensor, sides: tuple[int, int]) -> Tensor:
    """Sum values (n, h, w) over every rectangle → (n, h − height + 1, w − width + 1), by an integral image."""
    total = torch.nn.functional.pad(values.double().cumsum(1).cumsum(2), (1, 0, 1, 0))
    rows = total[:, sides[0] :] - total[:, : total.shape[1] - sides[0]]
    return rows[:, :, sides[1] :] - rows[:, :, : rows.shape[2] - sides[1]]


def window(corners: Tensor, sides: tuple[int, int], like: Tensor) -> Tensor:
    """Mark the rectangles with these corners (n, 2) → (n, 1, h, w) bool, on images like those given."""
    spans = []
    for axis in (0, 1):
        place = torch.arange(like.shape[2 + axis], device=like.device)
        start = corners[:, axis : axis + 1]
        spans.append((place >= start) & (place < start + sides[axis]))
    return spans[0][:, None, :, None] & spans[1][:, None, None, :]


def laid(images: Tensor, corners: Tensor, patch: Tensor, cover: Tensor) -> Tensor:
    """Lay one patch (c, height, width) or one of each (n, …) onto images (n, c, h, w), upright, at corners (n, 2).

    cover: (height, width) 0 or 1, what of the rectangle the patch covers. Differentiable by the patch.
    """
    n, _, h, w = images.shape
    rows = torch.arange(h, device=images.device) - corners[:, :1]
    columns = torch.arange(w, device=images.device) - corners[:, 1:]
    high, wide = patch.shape[-2:]
    inside = ((rows >= 0) & (rows < high)).unsqueeze(2) & ((columns >= 0) & (columns < wide)).unsqueeze(1)
    place = rows.clamp(0, high - 1).unsqueeze(2) * wide + columns.clamp(0, wide - 1).unsqueeze(1)
    every = patch if patch.ndim == 4 else patch.unsqueeze(0).expand(n, -1, -1, -1)
    spread = every.flatten(2).gather(2, place.reshape(n, 1, h * w).expand(-1, every.shape[1], -1)).reshape(images.shape)
    shown = inside & (cover.flatten() > 0)[place]
    return torch.where(shown.unsqueeze(1), spread, images)


def pinned(images: Tensor, patch: Tensor, cover: Tensor, centers: Tensor, turns: Tensor, scales: Tensor) -> Tensor:
    """Lay one patch (c, height, width), or one of each (n, …), onto images (n, c, h, w), turned and scaled each time.

    cover: (height, width) 0–1, what of the rectangle it covers. centers: (n, 2) pixels down and right. turns: (n,)
    degrees counter-clockwise. scales: (n,) of its size in pixels. Bilinear, differentiable by the patch.
    """
    n, _, h, w = images.shape
    down = torch.arange(h, device=images.device) + 0.5 - centers[:, :1]
    right = torch.arange(w, device=images.device) + 0.5 - centers[:, 1:]
    angle = torch.deg2rad(turns)
    sin, cos = (part.reshape(n, 1, 1) / scales.reshape(n, 1, 1) for part in (angle.sin(), angle.cos()))
    high, wide = patch.shape[-2:]
    across = (cos * right.unsqueeze(1) - sin * down.unsqueeze(2)) * (2 / wide)
    along = (sin * right.unsqueeze(1) + cos * down.unsqueeze(2)) * (2 / high)
    grid = torch.stack((across, along), 3)
    # The patch is continued at its edge, so that only its cover fades there and no black is mixed in.
    ink = _sampled(patch if patch.ndim == 4 else patch.expand(n, -1, -1, -1), grid, "border")
    opaque = _sampled(cover.to(patch).expand(n, 1, -1, -1), grid, "zeros")
    return images * (1 - opaque) + ink * opaque


def cover(sides: tuple[int, int], shape: str, device: torch.device) -> Tensor:
    """Return what a "rectangle" or an "ellipse" covers of a patch of these sides: (height, width) of 0 and 1."""
    if shape == "rectangle":
        return torch.ones(sides, device=device)
    down, right = (((torch.arange(side, device=device) + 0.5) * 2 / side - 1).square() for side in sides)
    return (down.unsqueeze(1) + right.unsqueeze(0) <= 1).float()


def _sampled(values: Tensor, grid: Tensor, beyond: str) -> Tensor:
    return torch.nn.functional.grid_sample(values, grid, "bilinear", beyond, align_corners=False)


def _extent(marked: Tensor) -> Tensor:
    """Measure from the first to the last mark of each row (n, length) bool → (n,); 0 where there is none."""
    place = torch.arange(marked.shape[1], device=marked.device)
    last = torch.where(marked, place, -1).amax(1)
    first = torch.where(marked, place, math.inf).amin(1)
    return torch.where(last >= 0, last - first + 1, 0.0)
