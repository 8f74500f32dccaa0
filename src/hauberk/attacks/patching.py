"""Patches trained to fool however they are seen: on one image each or on all of them, turned, scaled and lit anew."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias

import torch

from hauberk.core.errors import UsageError
from hauberk.core.protocols import Differentiable, Target
from hauberk.core.threat import Threat, Transform
from hauberk.numeric.losses import LOSSES, Aim, LossName
from hauberk.numeric.moments import untouched
from hauberk.numeric.patches import Patches, cover, laid, patches, pinned
from hauberk.numeric.transforms import PARAMETERS, poses, render

Tensor = torch.Tensor
Shape: TypeAlias = Literal["rectangle", "ellipse"]
Climbed: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(images (m, c, h, w) with the patch on them, which samples they show (m,)) → what is climbed (m,), by autograd."""

NOISE = 2
"""The kind of fresh patch in which every value is drawn for itself."""
LOOKS = 256
"""Images seen in one forward."""
_KEEPS = 0.99
"""Of Adam's mean square slope after a step: it forgets within 100 of them."""
_TINY = 1e-12
"""Slopes of a sure model are small; below this they are none."""


@dataclass(frozen=True, slots=True)
class Film:
    """How a printed patch is filmed; every look draws anew (Athalye et al. 2018, arXiv:1707.07397).

    turn: degrees to either side. grow: scale of 1 ± this. light: brightness and contrast of ± this share.
    """

    turn: float = 0.0
    grow: float = 0.0
    light: float = 0.0

    @property
    def still(self) -> bool:
        """Tell whether every look is alike."""
        return not (self.turn or self.grow or self.light)

    def transform(self) -> Transform:
        """Return the ranges as a threat words them."""
        return Transform(
            rotation=(-self.turn, self.turn),
            scale=(1 - self.grow, 1 + self.grow),
            brightness=(-self.light, self.light),
            contrast=(1 - self.light, 1 + self.light),
        )


@dataclass(frozen=True, slots=True)
class Scene:
    """Images a patch is shown on. cover: (height, width) 0 or 1, what of its rectangle it covers.

    corners: (n, 2) where it sticks to each image: then the camera moves, and image and patch turn together. None: the
    patch lies anywhere, turned and scaled by itself (Brown et al. 2017, arXiv:1712.09665, section 2).
    """

    images: Tensor
    bounds: tuple[float, float]
    corners: Tensor | None
    cover: Tensor
    film: Film

    def show(self, patch: Tensor, rows: Tensor, rng: torch.Generator) -> Tensor:
        """Film one patch (c, height, width), or one of each row (m, …), on the images of `rows` (m,)."""
        images = self.images[rows]
        where = poses(self.film.transform(), images, self.bounds)
        pose = where.drawn(1, rng).squeeze(1)
        if self.corners is not None:
            stuck = laid(images, self.corners[rows], patch, self.cover)
            return stuck if self.film.still else render(stuck, pose, self.bounds)
        stuck = pinned(images, patch, self.cover, self._anywhere(len(rows), rng), *_turned(pose))
        pose = torch.cat(
            (where.center[:, : PARAMETERS.index("brightness")], pose[:, PARAMETERS.index("brightness") :]), 1
        )
        return render(stuck, pose, self.bounds)

    def _anywhere(self, count: int, rng: torch.Generator) -> Tensor:
        """Draw centers (count, 2) at which the upright patch lies inside."""
        draws = torch.rand((count, 2), generator=rng, device=rng.device).to(self.images)
        sizes = torch.tensor(self.images.shape[2:], device=self.images.device)
        sides = torch.tensor(self.cover.shape, device=self.images.device)
        return sides / 2 + draws * (sizes - sides)


class Shown(Protocol):
    """What a patch is trained on: images, or clips of them, and how a look shows it on some."""

    @property
    def images(self) -> Tensor:
        """The clean images (n, c, h, w), or clips (n, f, c, h, w)."""
        ...

    @property
    def bounds(self) -> tuple[float, float]:
        """The range of their values."""
        ...

    def show(self, patch: Tensor, rows: Tensor, rng: torch.Generator) -> Tensor:
        """Show one patch (c, height, width), or one of each row (m, …), on the images of `rows` (m,)."""
        ...


def trained(
    scene: Shown, climbed: Climbed, patch: Tensor, steps: int, views: int, pace: float, rng: torch.Generator
) -> Tensor:
    """Climb `climbed` by Adam from patches (1 or n, c, height, width): one for all images, or one each.

    steps: gradients. views: looks a step takes the mean of, at every image or, of one patch for all, in random images.
    pace: length of a step in the beginning, as a share of the bounds' range; it falls along a cosine.
    """
    low, high = scene.bounds
    memory = replace(untouched(patch), keeps=_KEEPS)
    for step in range(steps):
        memory = memory.after(_slope(scene, climbed, patch, views, rng))
        reach = pace * (high - low) * (1 + math.cos(math.pi * step / steps)) / 2
        patch = (patch + reach * memory.way(_TINY)).clamp(low, high)
    return patch


def climbing(target: Target, y: Tensor, threat: Threat, loss: LossName, attack: str) -> Climbed:
    """Return what a classifier's patch climbs: the loss of the labels y (n,), or towards the threat's target class.

    Raises UsageError for a target without gradients.
    """
    if not isinstance(target, Differentiable):
        raise UsageError(f"{attack} needs gradients; {target.spec.name} gives none", fix="choose evasion.patch_rs")

    def climbed(images: Tensor, rows: Tensor) -> Tensor:
        raw = target.forward(images)
        wanted = None if threat.target_class is None else torch.full_like(rows, threat.target_class)
        slope = LOSSES[loss](raw.detach().float(), Aim(y[rows], wanted, strict=wanted is not None)).slope
        return (raw * slope.to(raw)).sum(1)

    return climbed


def surface(threat: Threat, x: Tensor, bounds: tuple[float, float], attack: str) -> Patches:
    """Return the set of a patch threat around images x; raises UsageError for a threat without a patch."""
    if threat.patch is None:
        raise UsageError(f"{attack} needs a threat with a patch", where=threat.name)
    return patches(threat.patch, x, bounds)


def fresh(where: Patches, count: int, kind: int, rng: torch.Generator) -> Tensor:
    """Draw patches (count, c, height, width) of extreme values: stripes, one colour, noise or lines, as `kind` says."""
    h, w = where.sides
    grain = ((1, w), (1, 1), (h, w), (h, 1))[kind % 4]
    shape = (count, where.center.shape[1], *grain)
    return extremes(where, shape, rng).expand(-1, -1, h, w).contiguous()


def extremes(where: Patches, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """Draw values of this shape, each the least or the greatest of the range."""
    high = torch.randint(0, 2, shape, generator=rng, device=rng.device).to(where.center.device) > 0
    return torch.where(high, where.upper.flatten()[0], where.lower.flatten()[0])


def covered(where: Patches, shape: Shape) -> Tensor:
    """Return what of the threat's rectangle a patch of this shape covers (height, width)."""
    return cover(where.sides, shape, where.center.device)


def gains(where: Patches, x: Tensor, gradient: Tensor) -> Tensor:
    """Tell of each pixel (n, h, w) how much it may raise a linear function with this gradient (n, c, h, w) at x."""
    return torch.maximum(gradient * (where.upper - x), gradient * (where.lower - x)).sum(1)


def _slope(scene: Shown, climbed: Climbed, patch: Tensor, views: int, rng: torch.Generator) -> Tensor:
    """Take the mean gradient over the looks of one step, of the shape of `patch`."""
    n, one = len(scene.images), len(patch) == 1
    rows = torch.randint(n, (views,), generator=rng, device=rng.device) if one else torch.arange(n).repeat(views)
    rows = rows.to(patch.device)
    total = torch.zeros_like(patch)
    for part in torch.split(rows, max(1, LOOKS // math.prod(scene.images.shape[1:-3]))):
        point = patch.detach().requires_grad_(True)
        with torch.enable_grad():
            value = climbed(scene.show(point[0] if one else point[part], part, rng), part)
        (slope,) = torch.autograd.grad(value.sum(), point)
        total += slope.nan_to_num(nan=0.0)
    return total / views


def _turned(pose: Tensor) -> tuple[Tensor, Tensor]:
    return pose[:, PARAMETERS.index("rotation")], pose[:, PARAMETERS.index("scale")]
