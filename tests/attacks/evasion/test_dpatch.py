"""DPatch: hides what a tiny detector finds, and invents what is not there; on new images, at a place of its own."""

import pytest
import torch
from torch import nn

from hauberk.attacks.evasion.dpatch import DPatch
from hauberk.core.errors import UsageError
from hauberk.core.threat import Patch
from hauberk.numeric.patches import cover, laid

SIDE, CELLS = 24, 6


def scenes(count, rng):
    """Draw one bright 6 × 6 object on noise; the truth is which of 6 × 6 cells holds its middle."""
    x = torch.rand(count, 1, SIDE, SIDE, generator=rng) * 0.4
    corner = torch.randint(1, SIDE - 7, (count, 2), generator=rng)
    x = laid(x, corner, torch.full((1, 6, 6), 0.9), torch.ones(6, 6))
    truth = torch.zeros(count, CELLS, CELLS)
    middle = (corner + 3) // (SIDE // CELLS)
    truth[torch.arange(count), middle[:, 0], middle[:, 1]] = 1
    return x, truth


@pytest.fixture(scope="module")
def detector():
    rng = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(1, 16, 5, 2, 2), nn.ReLU(), nn.Conv2d(16, 32, 5, 2, 2), nn.ReLU(), nn.Conv2d(32, 1, 3, 1, 1)
        )
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(200):
        x, truth = scenes(64, rng)
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(net(x)[:, 0], truth, pos_weight=torch.tensor(10.0))
        loss.backward()
        optimizer.step()
    return net.eval().requires_grad_(False)


def found(net, x):
    """Objectness (n, 6, 6): how sure the detector is that a cell holds an object."""
    return net(x).squeeze(1).sigmoid()


def test_it_invents_an_object_where_none_is_on_images_it_has_not_seen(detector):
    rng = torch.Generator().manual_seed(1)
    (x, _), (new, truth) = scenes(60, rng), scenes(60, rng)
    patch = Patch((5, 5), (16, 16))  # the object is mostly elsewhere
    ink = DPatch(steps=60).train(detector, lambda head: head[:, 0, 4, 4], x, (0, 1), patch, rng)
    assert ink.shape == (1, 5, 5)
    assert float(ink.min()) >= 0
    assert float(ink.max()) <= 1
    elsewhere = truth[:, 4, 4] == 0
    corners = torch.tensor(patch.place).expand(len(new), 2)
    mask = cover((5, 5), "rectangle", new.device)
    seen = found(detector, laid(new, corners, ink, mask))[elsewhere, 4, 4] > 0.5
    noise = found(detector, laid(new, corners, torch.rand(1, 5, 5, generator=rng), mask))[elsewhere, 4, 4] > 0.5
    assert seen.float().mean() > 0.9
    assert noise.float().mean() < 0.5


def test_the_robust_patch_lies_anywhere(detector):
    """Objectness is raised in any cell by a patch at any place, more than by one trained at one place."""
    rng = torch.Generator().manual_seed(2)
    x = torch.rand(60, 1, SIDE, SIDE, generator=rng) * 0.4  # nothing is there
    most = lambda head: head.flatten(1).amax(1)  # noqa: E731
    size, corners = Patch((4, 4), (10, 10)), torch.randint(SIDE - 4, (60, 2), generator=rng)
    mask, rates = cover((4, 4), "rectangle", x.device), []
    for ink in (
        DPatch(steps=80, anywhere=True, turn=10, light=0.1).train(detector, most, x, (0, 1), size, rng),
        DPatch(steps=80).train(detector, most, x, (0, 1), size, rng),
        torch.rand(1, 4, 4, generator=rng),
    ):
        rates.append(float((found(detector, laid(x, corners, ink, mask)).flatten(1).amax(1) > 0.5).float().mean()))
    assert (found(detector, x).flatten(1).amax(1) > 0.5).float().mean() < 0.1
    assert rates[0] > 0.4, rates
    assert rates[0] >= rates[1] > rates[2], rates


def test_a_loss_must_have_a_value_for_each_image(detector):
    rng = torch.Generator().manual_seed(3)
    with pytest.raises(UsageError, match="shape"):
        DPatch(steps=1).train(detector, lambda head: head.sum(), scenes(4, rng)[0], (0, 1), Patch((4, 4)), rng)
