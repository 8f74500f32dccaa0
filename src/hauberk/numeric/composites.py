"""Images transformed as a whole, then moved value by value: what a pose allows, and an linf ball around its picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hauberk.numeric.transforms import PARAMETERS, Poses

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Composites:
    """What a transform with noise allows of each of n images (n, c, h, w).

    poses: of the images. noise: how far each value may be moved in the picture of a pose.
    A candidate is a pose of k parameters and what every value is moved by: (n, k + c · h · w).
    """

    poses: Poses
    noise: float

    @property
    def center(self) -> Tensor:
        """The candidates that change nothing."""
        return torch.cat((self.poses.center, torch.zeros_like(self.poses.image.flatten(1))), 1)

    def project(self, x: Tensor) -> Tensor:
        """Show the images as candidates x (n, k + c · h · w) say, each parameter and move put into its range first."""
        pose, move = self.parted(x)
        low, high = self.poses.bounds
        return (self.poses.project(pose) + move.clamp(-self.noise, self.noise)).clamp(low, high)

    def contains(self, x: Tensor) -> Tensor:
        """Tell which candidates (n,) lie in the ranges."""
        pose, move = self.parted(x)
        return self.poses.contains(pose) & (move.abs() <= self.noise).flatten(1).all(1)

    def distance(self, x: Tensor) -> Tensor:
        """Measure the mean change of a value (n,) of images x (n, c, h, w)."""
        return self.poses.distance(x)

    def scatter(self, rng: torch.Generator) -> Tensor:
        """Show a random candidate of each image."""
        pose = self.poses.drawn(1, rng).squeeze(1)
        move = 2 * torch.rand(self.poses.image.shape, generator=rng, device=rng.device) - 1
        return self.project(torch.cat((pose, self.noise * move.flatten(1).to(pose)), 1))

    def parted(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Part candidates into poses (n, k) and moves (n, c, h, w)."""
        k = self.poses.center.shape[1]
        return x[:, :k], x[:, k:].reshape(self.poses.image.shape)


def completed(x: Tensor, image: Tensor) -> Tensor:
    """Make candidates of poses (n, k) that move no value of images (n, c, h, w); whole candidates stay as they are."""
    if x.shape[1] != len(PARAMETERS):
        return x
    return torch.cat((x, torch.zeros_like(image.flatten(1)).to(x)), 1)
