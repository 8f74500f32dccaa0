"""Images turned, moved, relit and lit by a laser beam: rendered from parameters, differentiable by them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from hauberk.core.errors import UsageError
from hauberk.core.threat import STILL, Transform

Tensor = torch.Tensor

GEOMETRY = ("rotation", "down", "right", "scale", "shear", "tilt", "turn")
COLOUR = ("brightness", "contrast", "hue", "saturation")
BEAM = ("width", "angle", "place", "wavelength")
PARAMETERS = (*GEOMETRY, *COLOUR, *BEAM)
"""What a pose says, in this order; `tilt` and `turn` are perspective about the horizontal and the vertical axis."""

VISIBLE = (380.0, 750.0)
"""Wavelengths of visible light in nm."""

_OF = {"down": "shift", "right": "shift", "tilt": "perspective", "turn": "perspective", "width": "beam"}
_STILL = {**STILL, "wavelength": 550.0}
_FREE = {"angle": (0.0, 180.0), "place": (-0.5, 0.5), "wavelength": VISIBLE}

_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
"""NTSC's luminance and two axes of colour: in their plane a change of hue is a rotation."""


@dataclass(frozen=True, slots=True)
class Poses:
    """What a transform allows of each of n images; a candidate is a pose (n, k), rendered here.

    image: (n, c, h, w). center: (n, k) the pose that changes nothing. lower, upper: (n, k) ranges of `PARAMETERS`.
    bounds: of the images' values.
    """

    image: Tensor
    center: Tensor
    lower: Tensor
    upper: Tensor
    bounds: tuple[float, float]

    def project(self, x: Tensor) -> Tensor:
        """Render poses x (n, k), each parameter put into its range first → (n, c, h, w)."""
        return render(self.image, self.clamped(x), self.bounds)

    def contains(self, x: Tensor) -> Tensor:
        """Tell which poses (n,) of x (n, k) lie in the ranges."""
        return ((x >= self.lower) & (x <= self.upper)).all(1)

    def distance(self, x: Tensor) -> Tensor:
        """Measure the mean change of a value (n,) of images x (n, c, h, w)."""
        return (x - self.image).abs().flatten(1).mean(1)

    def scatter(self, rng: torch.Generator) -> Tensor:
        """Render a random pose of each image."""
        return self.project(self.drawn(1, rng).squeeze(1))

    def drawn(self, count: int, rng: torch.Generator) -> Tensor:
        """Draw poses (n, count, k), every parameter uniform in its range."""
        share = torch.rand((len(self.center), count, self.center.shape[1]), generator=rng, device=rng.device)
        low, high = self.lower.unsqueeze(1), self.upper.unsqueeze(1)
        return (low + share.to(self.center) * (high - low)).minimum(high)

    def clamped(self, pose: Tensor) -> Tensor:
        """Put each parameter of poses (n, k) into its range."""
        return pose.clamp(self.lower, self.upper)

    def free(self, names: tuple[str, ...] = PARAMETERS) -> tuple[int, ...]:
        """Return the indices of those named parameters that have somewhere to go."""
        return tuple(
            index
            for index, name in enumerate(PARAMETERS)
            if name in names and len(self.lower) and bool(self.lower[0, index] < self.upper[0, index])
        )


def poses(transform: Transform, x: Tensor, bounds: tuple[float, float]) -> Poses:
    """Build the set of `transform` of images x (n, c, h, w); raises UsageError where x are none."""
    if x.ndim != 4:
        raise UsageError(f"a transformation needs images, the inputs have shape {tuple(x.shape[1:])}")
    ranges = torch.tensor([_range(transform, name) for name in PARAMETERS], dtype=torch.float32, device=x.device)
    low, high = (part.expand(len(x), -1) for part in ranges.unbind(1))
    return Poses(x, still(len(x), x), low, high, bounds)


def still(count: int, like: Tensor) -> Tensor:
    """Return poses (count, k) that change nothing."""
    row = torch.tensor([_STILL.get(name, 0.0) for name in PARAMETERS], dtype=torch.float32, device=like.device)
    return row.expand(count, -1)


def render(images: Tensor, pose: Tensor, bounds: tuple[float, float]) -> Tensor:
    """Show images (n, c, h, w) in poses (n, k): placed first, then relit, then lit by the beam, cut to the bounds.

    Differentiable by both. An image whose pose changes nothing comes back to the bit.
    """
    low, high = bounds
    part = dict(zip(PARAMETERS, (column.reshape(-1, 1, 1, 1) for column in pose.unbind(1)), strict=True))
    shown = images
    if _moves(pose, GEOMETRY):
        shown = _placed(shown - low, part) + low
    if _moves(pose, ("hue", "saturation")) and images.shape[1] == 3:
        shown = _tinted(shown, part["hue"], part["saturation"])
    if _moves(pose, ("brightness", "contrast")):
        middle = (low + high) / 2
        shown = middle + part["contrast"] * (shown - middle) + part["brightness"] * (high - low)
    if _moves(pose, ("width",)):
        shown = shown + (high - low) * _beam(images, part)
    same = (pose == still(len(pose), pose)).all(1)
    if not pose.requires_grad and bool(same.any()):
        return torch.where(same.reshape(-1, 1, 1, 1), images, shown.clamp(low, high))
    return shown.clamp(low, high)


def _range(transform: Transform, name: str) -> tuple[float, float]:
    if name not in _FREE:
        low, high = getattr(transform, _OF.get(name, name))
        return (max(0.0, low), high) if name == "width" else (low, high)
    same = _STILL.get(name, 0.0)
    return _FREE[name] if transform.beam[1] > 0 else (same, same)


def _moves(pose: Tensor, names: tuple[str, ...]) -> bool:
    """Tell whether any image's pose changes one of these."""
    columns = [PARAMETERS.index(name) for name in names]
    return pose.requires_grad or bool((pose[:, columns] != still(1, pose)[:, columns]).any())


def _placed(images: Tensor, part: dict[str, Tensor]) -> Tensor:
    """Move images: each pixel is fetched from where the inverse transformation says, bilinearly, 0 from outside."""
    n, _, h, w = images.shape
    down, right = (torch.arange(size, device=images.device) + 0.5 - size / 2 for size in (h, w))
    v = down.reshape(1, 1, h, 1) - part["down"] * h
    u = right.reshape(1, 1, 1, w) - part["right"] * w
    angle = torch.deg2rad(part["rotation"])
    sin, cos = angle.sin(), angle.cos()
    u, v = (cos * u - sin * v) / part["scale"], (sin * u + cos * v) / part["scale"]
    u = u - torch.deg2rad(part["shear"]).tan() * v
    far = 1 + part["tilt"] * v * (2 / h) + part["turn"] * u * (2 / w)
    far = far.clamp(min=1e-3)  # behind the viewer there is nothing to see
    grid = torch.stack(((u / far * (2 / w)).expand(n, 1, h, w), (v / far * (2 / h)).expand(n, 1, h, w)), -1)
    return torch.nn.functional.grid_sample(images, grid.squeeze(1), "bilinear", "zeros", align_corners=False)


def _tinted(images: Tensor, hue: Tensor, saturation: Tensor) -> Tensor:
    """Turn the colours of images (n, 3, h, w) by `hue` degrees and stretch them; luminance stays."""
    forth = torch.tensor(_YIQ, dtype=torch.float32, device=images.device)
    angle = torch.deg2rad(hue).flatten()
    sin, cos = (part * saturation.flatten() for part in (angle.sin(), angle.cos()))
    zero, one = torch.zeros_like(sin), torch.ones_like(sin)
    turn = torch.stack((one, zero, zero, zero, cos, -sin, zero, sin, cos), 1).reshape(-1, 3, 3)
    matrix = torch.linalg.inv(forth) @ turn @ forth
    # Only the difference is added, so that images whose colours stay keep them to the bit.
    change = matrix - torch.eye(3, device=images.device)
    return images + torch.einsum("nij,njhw->nihw", change, images)


def _beam(images: Tensor, part: dict[str, Tensor]) -> Tensor:
    """Light a straight beam adds (n, c, h, w), in shares of the range; its edge is a pixel wide."""
    _, c, h, w = images.shape
    down, right = (torch.arange(size, device=images.device) + 0.5 - size / 2 for size in (h, w))
    angle = torch.deg2rad(part["angle"])
    far = right.reshape(1, 1, 1, w) * angle.sin() + down.reshape(1, 1, h, 1) * angle.cos()
    far = (far - part["place"] * math.hypot(h, w)).abs()
    half = part["width"] * h / 2
    covered = (half - far + 0.5).clamp(0, 1) * (2 * half).clamp(max=1)
    return covered * _colour(part["wavelength"], c)


def _colour(wavelength: Tensor, channels: int) -> Tensor:
    """Approximate the colour of light (n, 1, 1, 1) nm as red, green, blue (n, 3, 1, 1), 0–1; or as grey.

    Source: Bruton 1996, piecewise linear. Other than three channels get the luminance.
    """

    def rise(start: float, end: float) -> Tensor:
        return ((wavelength - start) / (end - start)).clamp(0, 1)

    red = rise(440, 380) + rise(510, 580)
    green = rise(440, 490).minimum(rise(645, 580))
    colour = torch.cat((red, green, rise(510, 490)), 1)
    if channels == 3:
        return colour
    grey = torch.tensor(_YIQ[0], device=colour.device).reshape(1, 3, 1, 1)
    return (colour * grey).sum(1, keepdim=True)
