"""Rendered poses against closed forms: quarter turns, whole pixels, the negative, a full turn of hue, a beam."""

import pytest
import torch

from hauberk.core.errors import UsageError
from hauberk.core.threat import Transform
from hauberk.numeric.transforms import PARAMETERS, poses, render, still


def pose(x, **changes):
    row = still(len(x), x).clone()
    for name, value in changes.items():
        row[:, PARAMETERS.index(name)] = value
    return row


@pytest.fixture
def images():
    return torch.rand(4, 3, 9, 9, generator=torch.Generator().manual_seed(0))


def test_the_pose_that_changes_nothing_is_exact_beside_one_that_does(images):
    row = pose(images)
    row[0, PARAMETERS.index("rotation")] = 33
    shown = render(images, row, (0, 1))
    assert torch.equal(shown[1:], images[1:])
    assert not torch.equal(shown[0], images[0])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"rotation": 90}, lambda x: x.rot90(1, (2, 3))),
        ({"rotation": -180}, lambda x: x.flip(2, 3)),
        ({"contrast": -1}, lambda x: 1 - x),
        ({"brightness": 0.25}, lambda x: (x + 0.25).clamp(0, 1)),
        ({"hue": 360}, lambda x: x),
        ({"saturation": 0}, lambda x: (x * torch.tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)).sum(1, keepdim=True)),
        ({"down": 1 / 9}, lambda x: torch.nn.functional.pad(x, (0, 0, 1, 0))[:, :, :9]),
        ({"right": -2 / 9}, lambda x: torch.nn.functional.pad(x, (0, 2, 0, 0))[..., 2:]),
    ],
)
def test_closed_forms(images, changes, expected):
    shown = render(images, pose(images, **changes), (0, 1))
    assert torch.allclose(shown, expected(images).expand_as(images), atol=2e-3 if "saturation" in changes else 2e-6)


def test_scale_and_perspective_bring_the_black_from_outside():
    white = torch.ones(1, 1, 20, 20)
    assert float(render(white, pose(white, scale=0.5), (0, 1)).mean()) == pytest.approx(0.25, abs=0.01)
    tilted = render(white, pose(white, tilt=0.4), (0, 1))[0, 0]
    # A row at height v shrinks to 1 + 0.4 v of its width: 0.74 here; what lies beyond the far edge is black.
    assert float(tilted[3].mean()) == pytest.approx(0.74, abs=0.06)
    assert float(tilted[1].max()) == 0.0
    assert float(tilted[-1].mean()) == pytest.approx(1.0)


def test_outside_is_the_lower_bound_whatever_the_bounds():
    x = torch.full((1, 1, 6, 6), 0.7)
    assert float(render(x, pose(x, right=0.5), (-1, 1))[0, 0, 0, 0]) == -1.0


def test_a_beam_has_its_width_place_and_colour():
    black = torch.zeros(1, 3, 40, 40)
    shown = render(black, pose(black, width=0.2, angle=90, wavelength=650), (0, 1))[0]
    assert float(shown[0].sum()) == pytest.approx(0.2 * 40 * 40)  # an upright band of red
    assert float(shown[1:].abs().max()) == 0.0
    assert torch.equal(shown[0].amax(0) > 0.01, shown[0].amin(0) > 0.01)
    green = render(black, pose(black, width=0.2, wavelength=510), (0, 1))[0].flatten(1).amax(1)
    assert green.tolist() == [0.0, 1.0, 0.0]
    assert float(render(black, pose(black, width=0.0, angle=20), (0, 1)).max()) == 0.0


def test_the_gradient_by_the_pose_is_the_slope(images):
    weight = torch.rand(images.shape, generator=torch.Generator().manual_seed(1)).double()
    smooth = torch.nn.functional.interpolate(images[..., ::3, ::3], (9, 9), mode="bicubic").clamp(0.2, 0.8)
    row = pose(images, rotation=7.3, down=0.031, scale=1.07, hue=20, width=0.22, angle=30, wavelength=600)
    point = row.requires_grad_(True)
    (slope,) = torch.autograd.grad((render(smooth, point, (0, 2)) * weight).sum(), point)
    for name, step in (("scale", 1e-3), ("hue", 0.5), ("contrast", 1e-3), ("width", 1e-3), ("wavelength", 0.5)):
        index = PARAMETERS.index(name)
        sides = [row.detach().clone(), row.detach().clone()]
        sides[0][:, index] += step
        sides[1][:, index] -= step
        up, down = (float((render(smooth, side, (0, 2)) * weight).sum()) for side in sides)
        assert float(slope[:, index].sum()) == pytest.approx((up - down) / (2 * step), rel=0.08), name


def test_the_ranges_bind_and_the_beam_frees_its_place_and_colour(images):
    where = poses(Transform(rotation=(-10, 20), beam=(0, 0.3)), images, (0, 1))
    assert [PARAMETERS[index] for index in where.free()] == ["rotation", "width", "angle", "place", "wavelength"]
    rng = torch.Generator().manual_seed(0)
    drawn = where.drawn(50, rng)
    assert bool(((drawn >= where.lower.unsqueeze(1)) & (drawn <= where.upper.unsqueeze(1))).all())
    far = pose(images, rotation=90, scale=3)
    assert not bool(where.contains(far).any())
    assert torch.equal(where.project(far), render(images, pose(images, rotation=20), (0, 1)))
    assert bool((where.distance(where.scatter(rng)) > 0).all())
    with pytest.raises(UsageError):
        poses(Transform(), torch.zeros(2, 5), (0, 1))
