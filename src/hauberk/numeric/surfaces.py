"""A texture shown on flat surfaces in perspective, wherever their four corners are seen."""

from __future__ import annotations

import torch

Tensor = torch.Tensor

_FLAT = 1e-6
"""A pixel this near to the horizon of a surface's plane, or beyond it, does not show the surface."""


def draped(images: Tensor, texture: Tensor, corners: Tensor) -> Tensor:
    """Show one texture (c, height, width), or one of each (m, …), on a surface in images (m, c, h, w).

    corners: (m, 4, 2) pixels down and right from the image's top left corner, of the texture's top left, top right,
    bottom right and bottom left; they must be convex and may lie outside the image. Bilinear, differentiable by the
    texture; the surface fades over half a texel at its edge.
    """
    grid = _seen(corners, images)
    # The texture is continued at its edge, so that no black is mixed in there.
    every = texture if texture.ndim == 4 else texture.expand(len(images), -1, -1, -1)
    ink = torch.nn.functional.grid_sample(every, grid, "bilinear", "border", align_corners=False)
    whole = torch.ones_like(every[:, :1])
    opaque = torch.nn.functional.grid_sample(whole, grid, "bilinear", "zeros", align_corners=False)
    return images * (1 - opaque) + ink * opaque


def convex(corners: Tensor) -> Tensor:
    """Tell which four corners (…, 4, 2) go round a quadrangle without a dent → (…) bool."""
    sides = corners.roll(-1, -2) - corners
    ahead = sides.roll(-1, -2)
    turns = sides[..., 0] * ahead[..., 1] - sides[..., 1] * ahead[..., 0]
    return (turns > 0).all(-1) | (turns < 0).all(-1)


def _seen(corners: Tensor, images: Tensor) -> Tensor:
    """Tell where on the texture each pixel looks: (m, h, w, 2), right and down from -1 to 1 of what it covers."""
    h, w = images.shape[2:]
    # About its middle, which lies inside: there the denominator of the perspective is 1, and below 0 past the horizon.
    middle = corners.mean(1, keepdim=True)
    plane = _homography((corners - middle) / max(h, w))
    down = torch.arange(h, device=images.device) + 0.5 - middle[:, :, 0]
    right = torch.arange(w, device=images.device) + 0.5 - middle[:, :, 1]
    whole = (len(corners), h, w)
    place = torch.stack((right.unsqueeze(1).expand(whole), down.unsqueeze(2).expand(whole)), 3) / max(h, w)
    place = torch.cat((place, torch.ones_like(place[..., :1])), 3)
    right, down, depth = torch.einsum("mij,mhwj->imhw", plane, place)
    near = (depth > _FLAT).unsqueeze(3)
    return torch.where(near, torch.stack((right, down), 3) / depth.clamp(min=_FLAT).unsqueeze(3), 3.0)


def _homography(corners: Tensor) -> Tensor:
    """Solve for the maps (m, 3, 3) that take corners (m, 4, 2), down and right, to those of the texture."""
    down, right = corners.unbind(2)
    one, zero = torch.ones_like(down), torch.zeros_like(down)
    u, v = (corners.new_tensor(ends).expand_as(down) for ends in ((-1.0, 1.0, 1.0, -1.0), (-1.0, -1.0, 1.0, 1.0)))
    across = torch.stack((right, down, one, zero, zero, zero, -u * right, -u * down), 2)
    along = torch.stack((zero, zero, zero, right, down, one, -v * right, -v * down), 2)
    system, goal = torch.cat((across, along), 1).double(), torch.cat((u, v), 1).double()
    found: Tensor = torch.linalg.solve(system, goal).float()
    return torch.cat((found, one[:, :1]), 1).reshape(-1, 3, 3)
