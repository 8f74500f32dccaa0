"""The set of a patch in clips: a rectangle a frame, each where it is."""

import pytest
import torch

from hauberk.core.errors import UsageError
from hauberk.core.threat import Patch
from hauberk.numeric.clips import clips
from hauberk.numeric.patches import patches


def test_every_frame_has_its_own_rectangle():
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 1, 6, 7, generator=rng)
    where = clips(Patch((2, 3)), x, (0, 1))
    moving = x.clone()
    for frame in range(3):
        moving[:, frame, :, frame : frame + 2, frame : frame + 3] = 1.0
    assert where.contains(moving).tolist() == [True, True]
    assert where.distance(moving).tolist() == [18, 18]
    two = moving.clone()
    two[1, 2, :, 0, 0] = 0.0
    assert where.contains(two).tolist() == [True, False]
    alone = patches(Patch((2, 3)), x[:, 2], (0, 1)).project(two[:, 2])
    assert torch.equal(where.project(two)[:, 2], alone)
    assert torch.equal(where.project(moving), moving)
    drawn = where.scatter(rng)
    assert bool(where.contains(drawn).all())
    assert drawn.shape == x.shape
    assert clips(Patch((2, 3)), x[:0], (0, 1)).project(x[:0]).shape == (0, 3, 1, 6, 7)


def test_a_fixed_place_and_what_is_no_clip():
    x = torch.rand(1, 2, 1, 6, 7, generator=torch.Generator().manual_seed(0))
    where = clips(Patch((2, 2), (1, 1)), x, (0, 1))
    elsewhere = x.clone()
    elsewhere[:, 1, :, 3, 3] = 1.0
    assert not bool(where.contains(elsewhere).any())
    assert torch.equal(where.project(elsewhere), x)
    with pytest.raises(UsageError, match="frames"):
        clips(Patch((2, 2)), x[0], (0, 1))
