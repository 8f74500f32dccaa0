"""Adversarial texture: one picture on a surface that is seen over the frames of clips, from a camera that moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.patching import Climbed, Film, climbing, trained
from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import Target
from hauberk.core.threat import Patch, Threat
from hauberk.numeric.clips import clips
from hauberk.numeric.losses import LossName
from hauberk.numeric.patches import cover, laid
from hauberk.numeric.surfaces import convex, draped
from hauberk.numeric.transforms import poses, render

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Footage:
    """Clips a texture is shown on. images: (n, f, c, h, w). surfaces: (n, f, 4, 2), its corners in each frame.

    front: (n, f, 1, h, w) 0–1, what passes before the surface; None for nothing. shake, light: as the attack has them.
    """

    images: Tensor
    bounds: tuple[float, float]
    surfaces: Tensor
    front: Tensor | None
    shake: float
    light: float

    def show(self, patch: Tensor, rows: Tensor, rng: torch.Generator) -> Tensor:
        """Film a texture (c, height, width) on the clips of `rows` (m,), each hung and lit anew."""
        films = self.images[rows]
        length, frames = films.shape[1], films.flatten(0, 1)
        shown = draped(frames, patch, self._hung(rows, rng).flatten(0, 1))
        if self.front is not None:
            before = self.front[rows].flatten(0, 1)
            shown = shown * (1 - before) + frames * before
        if self.light:
            pose = poses(Film(light=self.light).transform(), films[:, 0], self.bounds).drawn(1, rng).squeeze(1)
            shown = render(shown, pose.repeat_interleave(length, 0), self.bounds)
        return shown.reshape(films.shape)

    def _hung(self, rows: Tensor, rng: torch.Generator) -> Tensor:
        """Move each corner by up to `shake` of the surface's height and width, alike in all frames of a clip."""
        corners = self.surfaces[rows]
        if not self.shake:
            return corners
        reach = self.shake * (corners.amax(2, keepdim=True) - corners.amin(2, keepdim=True))
        share = torch.rand((len(rows), 1, 4, 2), generator=rng, device=rng.device).to(corners)
        return corners + (2 * share - 1) * reach


@dataclass(frozen=True, slots=True)
class Texture:
    """Adversarial texture.

    steps: gradients. views: random clips a step takes the mean of. pace: length of a step in the beginning, as a share
    of the bounds' range. loss: "ce", "margin" or "dlr", of a classifier of clips. shake: how far, in shares of the
    surface's height and width, each of its corners may hang elsewhere than was said, below 0.25. light: brightness and
    contrast of ± this share. path: of `run`, the texture's top left corner in each frame, down and right in pixels,
    where the surface moves; empty: the threat's place throughout (the top left corner where it names none).
    """

    card: ClassVar[Card] = Card(
        title="Adversarial texture",
        summary="One picture on a surface in all clips: made for trackers, through `train` with the surface's corners "
        "in each frame. Of a classifier's clips it changes one upright rectangle a frame.",
        paper="Wiyatno & Xu 2019, arXiv:1904.11042; steps by Adam",
        needs=("gradients",),
        sets=("patch",),
        inputs=("frames",),
        threats=("AML.T0043", "AML.T0041", "OWASP-ML01"),
    )

    steps: int = 200
    views: int = 8
    pace: float = 0.1
    loss: LossName = "ce"
    shake: float = 0.0
    light: float = 0.0
    path: tuple[tuple[int, int], ...] = ()

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return a classifier's clips (n, f, c, h, w) with the one texture in every frame.

        Raises UsageError without a patch threat, for inputs that are no clips, and for a path of another length.
        """
        if threat.patch is None:
            raise UsageError("evasion.texture needs a threat with a patch", where=threat.name)
        where = clips(threat.patch, x, target.spec.bounds)
        if not len(x):
            return x.clone()
        sides, corners = where.frames.sides, self._corners(threat.patch, x)
        ends = torch.tensor([(0, 0), (0, sides[1]), sides, (sides[0], 0)], device=x.device)
        surfaces = (corners.unsqueeze(1) + ends).to(x).expand(len(x), -1, -1, -1)
        climbed = climbing(target, y, threat, self.loss, "evasion.texture")
        steps = self.steps if threat.queries is None else min(self.steps, threat.queries * len(x) // max(1, self.views))
        footage = Footage(x, target.spec.bounds, surfaces, None, self.shake, self.light)
        texture = self._trained(climbed, footage, sides, steps, rng)
        # Laid on and not draped: no rounding beside the rectangle.
        every = corners.repeat(len(x), 1)
        return laid(x.flatten(0, 1), every, texture, cover(sides, "rectangle", x.device)).reshape(x.shape)

    def train(
        self,
        climbed: Climbed,
        films: Tensor,
        surfaces: Tensor,
        sides: tuple[int, int],
        bounds: tuple[float, float],
        rng: torch.Generator,
        front: Tensor | None = None,
    ) -> Tensor:
        """Return the texture (c, height, width) of these sides that climbs `climbed` on clips (n, f, c, h, w).

        climbed: (clips, which of them they show (m,)) → (m,) by autograd; of a tracker how far its boxes are from the
        true ones, or, minus, from those it is to follow. surfaces: (n, f, 4, 2), where in each frame the texture's top
        left, top right, bottom right and bottom left corner are, pixels down and right from the frame's top left.
        front: (n, f, 1, h, w) 0–1, what passes before the surface. Raises UsageError where shapes do not fit, there
        are no clips, or corners make no convex quadrangle.
        """
        if films.ndim != 5 or not len(films) or surfaces.shape != (*films.shape[:2], 4, 2):
            raise UsageError(
                f"clips of shape {tuple(films.shape)} and corners of shape {tuple(surfaces.shape)}; the texture needs "
                "(n, frames, channels, height, width) and (n, frames, 4, 2)",
                where="evasion.texture",
            )
        if not bool(convex(surfaces).all()):
            raise UsageError("the corners of a surface go round no convex quadrangle", where="evasion.texture")
        footage = Footage(films, bounds, surfaces.to(films), front, self.shake, self.light)
        return self._trained(climbed, footage, sides, self.steps, rng)

    def _trained(
        self, climbed: Climbed, footage: Footage, sides: tuple[int, int], steps: int, rng: torch.Generator
    ) -> Tensor:
        low, high = footage.bounds
        grey = footage.images.new_full((1, footage.images.shape[2], *sides), (low + high) / 2)
        noise = torch.rand(grey.shape, generator=rng, device=rng.device).to(grey) - 0.5
        return trained(footage, climbed, grey + noise * (high - low), steps, self.views, self.pace, rng)[0]

    def _corners(self, patch: Patch, x: Tensor) -> Tensor:
        """Return the texture's top left corner in each frame (f, 2)."""
        if not self.path:
            return torch.tensor(patch.place or (0, 0), device=x.device).expand(x.shape[1], 2)
        if patch.place is not None or len(self.path) != x.shape[1]:
            raise UsageError(
                f"a path of {len(self.path)} places for clips of {x.shape[1]} frames"
                + (" and a threat that fixes the place" if patch.place else ""),
                where="evasion.texture",
                fix="give a place for each frame, and a threat without one",
            )
        return torch.tensor(self.path, device=x.device)
