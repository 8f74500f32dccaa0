"""Textures on flat surfaces: upright as laid on, turned as pinned on, in perspective by the pinhole's own formula."""

import math

import torch

from hauberk.numeric.patches import cover, laid, pinned
from hauberk.numeric.surfaces import convex, draped


def test_upright_it_is_the_patch_and_turned_the_pinned_patch():
    rng = torch.Generator().manual_seed(0)
    images, texture = torch.rand(2, 3, 20, 24, generator=rng), torch.rand(3, 6, 8, generator=rng)
    upright = torch.tensor([[[3.0, 5], [3, 13], [9, 13], [9, 5]]]).expand(2, -1, -1)
    flat = laid(images, torch.tensor([[3, 5], [3, 5]]), texture, cover((6, 8), "rectangle", images.device))
    assert torch.allclose(draped(images, texture, upright), flat, atol=1e-5)
    angle, scale, center = math.radians(25.0), 1.5, torch.tensor([10.0, 12.0])
    half = torch.tensor([[-3.0, -4], [-3, 4], [3, 4], [3, -4]]) * scale
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    corners = (half @ turn.T + center).expand(2, -1, -1)
    turned = pinned(
        images, texture, torch.ones(6, 8), center.expand(2, 2), torch.full((2,), 25.0), torch.full((2,), scale)
    )
    assert torch.allclose(draped(images, texture, corners), turned, atol=1e-4)


def test_perspective_is_the_pinholes_and_nothing_shows_beyond_the_horizon():
    """A floor that runs away from the camera: rows of tiles lie at heights 1 / depth below the horizon."""
    depth = torch.tensor([1.0, 3.0])
    horizon, middle, focus = 10.0, 32.0, 40.0
    near, far = (horizon + focus / float(d) for d in depth)
    wide = [float(focus / d) / 2 for d in depth]
    corners = torch.tensor([[[far, middle - wide[1]], [far, middle + wide[1]],
                             [near, middle + wide[0]], [near, middle - wide[0]]]])  # fmt: skip
    texture = torch.linspace(1.0, 0.0, 201).reshape(1, 201, 1).expand(1, 201, 9)  # 1 far away, 0 near
    seen = draped(torch.full((1, 1, 64, 64), -1.0), texture, corners)[0, 0, :, 32]
    for row in range(25, 49):
        true_depth = focus / (row + 0.5 - horizon)
        assert abs(float(seen[row]) - (true_depth - 1) / 2) < 0.01
    assert bool((seen[:23] == -1).all()), "nothing above the surface, nor a mirror image above the horizon"


def test_it_is_differentiable_and_knows_dents():
    texture = torch.rand(1, 4, 4, requires_grad=True)
    corners = torch.tensor([[[2.0, 2], [3, 9], [9, 8], [8, 1]]])
    draped(torch.zeros(1, 1, 12, 12), texture, corners).sum().backward()
    assert bool((texture.grad > 0).all())
    dent = torch.tensor([[[2.0, 2], [2, 9], [3, 4], [8, 2]]])
    assert convex(torch.cat((corners, corners.flip(1), dent))).tolist() == [True, True, False]
