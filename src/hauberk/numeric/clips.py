"""The set a patch allows in clips: in every frame one rectangle, at its place or wherever the surface has moved to."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hauberk.core.errors import UsageError
from hauberk.core.threat import Patch
from hauberk.numeric.patches import Patches, patches

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Clips:
    """The allowed set around each of n clips. center: (n, f, c, h, w) the clean clips. frames: around all n · f frames.

    That it is one and the same picture in all frames no set can tell from the pixels: an attack sees to it.
    """

    center: Tensor
    frames: Patches

    def project(self, x: Tensor) -> Tensor:
        """Return the nearest point of the set in l2; points inside come back to the bit."""
        return self.frames.project(x.flatten(0, 1)).reshape(x.shape)

    def contains(self, x: Tensor) -> Tensor:
        """Tell which clips (n,) are changed within one rectangle of the size in each frame."""
        return self.frames.contains(x.flatten(0, 1)).reshape(x.shape[:2]).all(1)

    def distance(self, x: Tensor) -> Tensor:
        """Count the pixels that changed (n,), over all frames."""
        return self.frames.distance(x.flatten(0, 1)).reshape(x.shape[:2]).sum(1)

    def scatter(self, rng: torch.Generator) -> Tensor:
        """Fill a rectangle of each frame, anywhere unless its place is fixed, with random values."""
        return self.frames.scatter(rng).reshape(self.center.shape)


def clips(patch: Patch, x: Tensor, bounds: tuple[float, float]) -> Clips:
    """Build the set of `patch` around clips x (n, f, c, h, w); raises UsageError where x are none, or it is outside."""
    if x.ndim != 5:
        raise UsageError(f"clips have frames, channels, height and width; the inputs have shape {tuple(x.shape[1:])}")
    return Clips(x, patches(patch, x.flatten(0, 1), bounds))
