"""A texture on a poster makes a tiny tracker lose what it follows, in new clips, from a moving camera."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hauberk.attacks.allowed import allowed
from hauberk.attacks.control import Control, breakable
from hauberk.attacks.evasion.texture import Texture
from hauberk.core.errors import UsageError
from hauberk.core.protocols import TargetSpec
from hauberk.core.threat import Patch, Threat
from hauberk.numeric.intervals import clopper_pearson
from hauberk.numeric.patches import laid
from hauberk.numeric.surfaces import draped
from hauberk.targets import from_torch

SIDE, FRAMES, SHEET = 32, 3, (8, 10)


def scenes(count, rng):
    """Draw clips of a bright object that walks before a dim wall, where the middle of it is, and a poster's corners."""
    x = 0.3 * torch.rand(count, FRAMES, 1, SIDE, SIDE, generator=rng)
    start = torch.randint(14, SIDE - 8, (count, 1, 2), generator=rng)
    walk = torch.randint(-2, 3, (count, 1, 2), generator=rng) * torch.arange(FRAMES).reshape(1, -1, 1)
    corner = (start + walk).clamp(0, SIDE - 6)
    x = laid(x.flatten(0, 1), corner.flatten(0, 1), torch.full((1, 6, 6), 0.8), torch.ones(6, 6))
    # The poster is above or left of it, seen from aslant, and the camera moves past.
    upright = torch.tensor([[0.0, 0], [0, 12], [10, 11], [9, 1]])
    place = torch.rand(count, 1, 1, 2, generator=rng) * torch.tensor([2.0, 8.0])
    drift = torch.arange(FRAMES).reshape(1, -1, 1, 1) * torch.tensor([0.5, 1.5])
    return x.reshape(count, FRAMES, 1, SIDE, SIDE), corner + 2.5, upright + place + drift


class Tracker(nn.Module):
    """Find the object in each frame: the mean place under a heat map."""

    def __init__(self):
        super().__init__()
        self.heat = nn.Sequential(
            nn.Conv2d(1, 12, 5, 2, 2), nn.ReLU(), nn.Conv2d(12, 16, 5, 1, 2), nn.ReLU(), nn.Conv2d(16, 1, 3, 1, 1)
        )

    def forward(self, clips):
        warm = self.heat(clips.flatten(0, 1)).flatten(1).softmax(1)
        place = 2.0 * torch.cartesian_prod(torch.arange(SIDE // 2), torch.arange(SIDE // 2)) + 0.5
        return (warm @ place).reshape(*clips.shape[:2], 2)


@pytest.fixture(scope="module")
def tracker():
    rng = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Tracker()
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    for _ in range(150):
        x, truth, surfaces = scenes(16, rng)
        shade = torch.rand(16, 1, 1, 1, 1, generator=rng).expand(-1, FRAMES, 1, *SHEET)
        poster = (shade + 0.3 * torch.rand(16, FRAMES, 1, *SHEET, generator=rng)).clamp(0, 1)
        x = draped(x.flatten(0, 1), poster.flatten(0, 1), surfaces.flatten(0, 1)).reshape(x.shape)
        optimizer.zero_grad()
        (net(x) - truth).abs().mean().backward()
        optimizer.step()
    return net.eval().requires_grad_(False)


def lost(net, x, truth, surfaces, texture):
    """Count the frames in which the tracker is off by more than the object is large; no texture: a bare wall."""
    if texture is not None:
        x = draped(x.flatten(0, 1), texture, surfaces.flatten(0, 1)).reshape(x.shape)
    off = (net(x) - truth).norm(dim=2) > 6
    return clopper_pearson(int(off.sum()), off.numel())


def test_the_tracker_loses_it_in_new_clips_and_on_a_poster_that_hangs_askew(tracker):
    rng = torch.Generator().manual_seed(1)
    (x, truth, surfaces), (new, there, hung) = scenes(40, rng), scenes(60, rng)

    def off(clips, rows):
        return (tracker(clips) - truth[rows]).norm(dim=2).mean(1)

    texture = Texture(steps=60, shake=0.1, light=0.1).train(off, x, surfaces, SHEET, (0, 1), rng)
    assert texture.shape == (1, *SHEET)
    assert float(texture.min()) >= 0 and float(texture.max()) <= 1
    chance = torch.rand(1, *SHEET, generator=rng)
    askew = hung + 0.8 * torch.randn(60, 1, 4, 2, generator=rng)
    rates = {
        "bare": lost(tracker, new, there, hung, None),
        "random": lost(tracker, new, there, hung, chance),
        "trained": lost(tracker, new, there, hung, texture),
        "askew": lost(tracker, new, there, askew, texture),
    }
    assert rates["bare"].high < 0.1, rates
    assert rates["trained"].low > rates["random"].high + 0.3, rates
    assert rates["askew"].low > rates["random"].high + 0.2, rates


def test_what_passes_in_front_hides_the_texture(tracker):
    rng = torch.Generator().manual_seed(2)
    x, truth, surfaces = scenes(10, rng)
    seen = []

    def off(clips, rows):
        seen.append(torch.equal(clips, x[rows]))
        return (tracker(clips) - truth[rows]).norm(dim=2).mean(1)

    front = torch.ones(10, FRAMES, 1, SIDE, SIDE)
    Texture(steps=2).train(off, x, surfaces, SHEET, (0, 1), rng, front)
    assert seen == [True, True]


@pytest.mark.parametrize(("shake", "light"), [(0.0, 0.0), (0.2, 0.0), (0.0, 0.2)])
def test_every_look_hangs_and_lights_a_whole_clip_anew(rng, shake, light):
    looks = []

    def climbed(clips, rows):
        looks.append(clips.detach())
        return clips.flatten(1).sum(1)

    wall = torch.full((1, FRAMES, 1, SIDE, SIDE), 0.2)
    corners = torch.tensor([[8.0, 8], [8, 24], [24, 24], [24, 8]]).expand(1, FRAMES, -1, -1)
    Texture(steps=1, views=6, shake=shake, light=light).train(climbed, wall, corners, SHEET, (0, 1), rng)
    seen = looks[0]
    assert bool((seen == seen[:, :1]).all()), "alike in all frames of a look"
    hung = ((seen - seen[:, :, :, :1, :1]).abs() > 1e-6)[:, 0, 0]
    assert bool(hung[:, 12:20, 12:20].all()) and not bool(hung[:, :4].any()), "a fifth of its sides at most"
    assert bool((hung == hung[:1]).all()) == (shake == 0)
    assert (len(seen[:, 0, 0, 0, 0].unique()) == 6) == (light > 0), "the wall is lit too"


@pytest.mark.parametrize("path", [(), ((1, 2), (2, 4), (3, 6))], ids=["at one place", "moving"])
def test_a_classifier_of_clips_sees_one_picture_in_all_of_them(rng, path):
    """Linear and bright against dark: the best texture is white or black where the weights say so."""
    weight = torch.randn(FRAMES * SIDE * SIDE, generator=torch.Generator().manual_seed(3))
    net = nn.Sequential(nn.Flatten(), nn.Linear(len(weight), 2))
    with torch.no_grad():
        net[1].weight.copy_(torch.stack((-weight, weight)))
        net[1].bias.zero_()
    target = from_torch(net, bounds=(0, 1), shape=(FRAMES, 1, SIDE, SIDE), classes=2)
    x = 0.4 + 0.2 * torch.rand(30, FRAMES, 1, SIDE, SIDE, generator=rng)
    y = target.predict(x).argmax(1)
    keep = y == y.mode().values
    x, y = x[keep], y[keep]
    threat = Threat(name="poster", patch=Patch(SHEET, None if path else (1, 2)))
    found = Texture(steps=30, loss="margin", path=path).run(target, x, y, threat, rng)
    where = allowed(threat, x, (0, 1))
    assert bool(where.contains(found).all())
    assert torch.equal(where.project(found), found)
    corners = path or ((1, 2),) * FRAMES
    shown = torch.stack([found[:, f, 0, t : t + 8, left : left + 10] for f, (t, left) in enumerate(corners)], 1)
    assert bool((shown == shown[:1, :1]).all()), "the same in every frame of every clip"
    slope = weight.reshape(FRAMES, SIDE, SIDE) * (1 - 2 * float(y[0]))
    total = sum(slope[f, t : t + 8, left : left + 10] for f, (t, left) in enumerate(corners))
    clear = total.abs() > 0.2
    assert torch.equal(shown[0, 0][clear], (total > 0).float()[clear])


def test_what_does_not_fit_is_refused(rng):
    x, _, surfaces = scenes(2, rng)
    climbed = lambda clips, rows: clips.flatten(1).sum(1)  # noqa: E731
    with pytest.raises(UsageError, match="corners"):
        Texture(steps=1).train(climbed, x, surfaces[:, :1], SHEET, (0, 1), rng)
    with pytest.raises(UsageError, match="convex"):
        Texture(steps=1).train(climbed, x, surfaces[..., [0, 2, 1, 3], :], SHEET, (0, 1), rng)
    target = from_torch(nn.Flatten(), bounds=(0, 1), shape=(FRAMES, 1, SIDE, SIDE), classes=2)
    threat = Threat(name="poster", patch=Patch(SHEET))
    with pytest.raises(UsageError, match="path"):
        Texture(path=((0, 0),)).run(target, x, torch.zeros(2, dtype=torch.long), threat, rng)
    with pytest.raises(UsageError, match="frames"):
        Texture().run(target, x[:, 0], torch.zeros(2, dtype=torch.long), threat, rng)


def test_a_weak_control_model_is_broken_by_an_own_rectangle_in_each_frame(rng):
    """What the examiner compares attacks with: no clip he knows no way for may be broken by one picture for all."""
    weight = 0.1 * torch.randn(FRAMES * 64, generator=rng)
    spec = TargetSpec(name="clips", kind="test", shape=(FRAMES, 1, 8, 8), classes=2, bounds=(0.0, 1.0))
    control = Control(spec, torch.stack((-weight, weight)), torch.stack((weight.sum(), -weight.sum())) / 2)
    x = torch.rand(60, FRAMES, 1, 8, 8, generator=rng)
    y = control.predict(x).argmax(1)
    threat = Threat(name="poster", patch=Patch((3, 3)))
    known = breakable(control, x, y, threat)
    found = Texture(steps=30, loss="margin", path=((0, 0), (2, 2), (5, 5))).run(control, x, y, threat, rng)
    broken = control.predict(found).argmax(1) != y
    assert 0 < int(broken.sum()) < int(known.sum())
    assert not bool((broken & ~known).any())
