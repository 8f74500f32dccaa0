"""Stories: a sticker printed and put onto a road sign, and one for all signs, still fool a camera that moves.

The signs are synthesised: no set of photographs ships with the packages the tests may use. Printing is rounding to 8
bits and ink that comes out warmer and darker; filming is rotation of ±20°, scale of 0.8–1.2 and light of ±20 %.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hauberk.attacks.evasion.patch import AdversarialPatch
from hauberk.core.threat import Patch, Threat, Transform
from hauberk.numeric.intervals import clopper_pearson
from hauberk.numeric.patches import cover, laid
from hauberk.numeric.transforms import poses
from hauberk.targets import from_torch

SIDE, STICKER = 32, 9
CAMERA = Transform(rotation=(-20, 20), scale=(0.8, 1.2), brightness=(-0.2, 0.2))
CLASSES = 6


def signs(count: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw round signs with a red rim and a pictogram of 6 × 6 fields, on streets of any colour, in any light."""
    y = torch.randint(CLASSES, (count,), generator=rng)
    down, right = torch.meshgrid(torch.linspace(-1, 1, SIDE), torch.linspace(-1, 1, SIDE), indexing="ij")
    shift = (torch.rand(count, 2, 1, 1, generator=rng) - 0.5) * 0.2
    v, u = down + shift[:, 0], right + shift[:, 1]
    reach = (u.square() + v.square()).sqrt()
    pictograms = (torch.rand(CLASSES, 1, 6, 6, generator=torch.Generator().manual_seed(2)) > 0.5).float()
    grid = torch.stack((u, v), 3) / 0.5
    black = nn.functional.grid_sample(pictograms[y], grid, "nearest", "zeros", align_corners=False)
    street = torch.rand(count, 3, 1, 1, generator=rng) * 0.6 + 0.1 * torch.rand(count, 3, SIDE, SIDE, generator=rng)
    image = torch.where((reach < 0.9).unsqueeze(1), torch.tensor([0.8, 0.1, 0.1]).reshape(3, 1, 1), street)
    image = torch.where((reach < 0.75).unsqueeze(1), 0.9 - 0.8 * black, image)
    light = 0.8 + 0.4 * torch.rand(count, 1, 1, 1, generator=rng)
    return (image * light + 0.03 * torch.randn(image.shape, generator=rng)).clamp(0, 1), y


@pytest.fixture(scope="module")
def road():
    rng = torch.Generator().manual_seed(3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 16, 5, 2, 2), nn.ReLU(), nn.Conv2d(16, 32, 3, 1, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, CLASSES),
        )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), lr=4e-3)
    for _ in range(600):
        x, y = signs(64, rng)
        x = poses(CAMERA, x, (0, 1)).scatter(rng)  # it has seen signs filmed like this
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    target = from_torch(net.eval(), bounds=(0, 1), shape=(3, SIDE, SIDE), classes=CLASSES)
    x, y = signs(200, rng)
    clean = poses(CAMERA, x, (0, 1)).scatter(rng)
    assert (target.predict(clean).argmax(1) == y).float().mean() > 0.85
    return target, x, y


def printed(patch: torch.Tensor) -> torch.Tensor:
    """Print: a warmer, darker ink, in 256 shades."""
    ink = patch * torch.tensor([0.97, 0.93, 0.88]).reshape(3, 1, 1) + 0.02
    return (ink * 255).round() / 255


def filmed(target, x, y, patch, corner, looks=5, goal=None) -> tuple[int, int]:
    """Stick the patch on, film it, and count the looks that fooled."""
    rng, fooled = torch.Generator().manual_seed(9), 0
    corners = torch.tensor(corner).expand(len(x), 2)
    stuck = laid(x, corners, printed(patch), cover(patch.shape[-2:], "rectangle", x.device))
    for _ in range(looks):
        found = target.predict(poses(CAMERA, stuck, (0, 1)).scatter(rng)).argmax(1)
        fooled += int((found != y if goal is None else found == goal).sum())
    return fooled, looks * len(x)


def test_a_printed_sticker_fools_a_moving_camera_and_one_trained_without_looks_fools_it_less(road):
    """One sticker at a fixed place is to turn every sign into class 0; new signs, not those it was trained on."""
    target, x, y = road
    corner, goal = (11, 3), 0
    threat = Threat(name="sticker", patch=Patch((STICKER, STICKER), corner), target_class=goal)
    other = y != goal
    known, new = (other & (torch.arange(len(x)) % 2 == part) for part in (0, 1))
    looks = {"turn": 20.0, "grow": 0.2, "light": 0.2}
    rates = {}
    for name, more in (("looks", looks), ("still", {})):
        attack = AdversarialPatch(universal=True, steps=150, views=32, **more)
        patch = attack.printed(target, x[known], y[known], threat, torch.Generator().manual_seed(0))
        assert patch.shape == (3, STICKER, STICKER)
        rates[name] = clopper_pearson(*filmed(target, x[new], y[new], patch, corner, goal=goal))
    chance = torch.rand(3, STICKER, STICKER, generator=torch.Generator().manual_seed(0))
    rates["random"] = clopper_pearson(*filmed(target, x[new], y[new], chance, corner, goal=goal))
    assert rates["looks"].low > rates["still"].high, rates
    assert rates["looks"].low > rates["random"].high + 0.2, rates


def test_each_signs_own_sticker_holds_under_looks(road):
    """The place is the attack's own choice, from the gradient."""
    target, x, y = road
    x, y = x[:40], y[:40]
    threat = Threat(name="sticker", patch=Patch((STICKER - 2, STICKER - 2)))
    rates = {}
    for name, attack in (
        ("looks", AdversarialPatch(steps=40, views=6, turn=20.0, grow=0.2, light=0.2)),
        ("still", AdversarialPatch(steps=40, restarts=1)),
    ):
        found = attack.run(target, x, y, threat, torch.Generator().manual_seed(0))
        rng, fooled = torch.Generator().manual_seed(9), 0
        for _ in range(10):
            fooled += int((target.predict(poses(CAMERA, found, (0, 1)).scatter(rng)).argmax(1) != y).sum())
        rates[name] = clopper_pearson(fooled, 10 * len(x))
    assert rates["looks"].low > rates["still"].high, rates


def test_one_patch_lies_anywhere_on_any_sign(road):
    """Brown et al.: the patch is turned and scaled by itself, and the place is not known beforehand."""
    target, x, y = road
    threat = Threat(name="anywhere", patch=Patch((11, 11)), target_class=0)
    other = y != 0
    x, y = x[other], y[other]
    attack = AdversarialPatch(universal=True, shape="ellipse", steps=120, views=32, turn=20.0, grow=0.1)
    patch = attack.printed(target, x[::2], y[::2], threat, torch.Generator().manual_seed(0))
    mask = cover((11, 11), "ellipse", x.device)
    rng = torch.Generator().manual_seed(5)
    corners = torch.randint(SIDE - 11, (len(x[1::2]), 2), generator=rng)
    hits = {}
    for name, ink in (("trained", patch), ("random", torch.rand(patch.shape, generator=rng))):
        found = target.predict(laid(x[1::2], corners, ink, mask)).argmax(1)
        hits[name] = clopper_pearson(int((found == 0).sum()), len(found))
    assert hits["trained"].low > hits["random"].high, hits
