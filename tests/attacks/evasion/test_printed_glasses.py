"""Story: printed glasses hide their wearers from a detector of faces, seen by a camera that moves.

The faces are photographs: scikit-image's cut of Labeled Faces in the Wild, 100 faces and 100 windows without one, 25 by
25 grey pixels, aligned by the eyes. Glasses and detector know 60 of the faces; the wearers are the other 40. Printing
is rounding to 8 bits and ink that comes out paler; filming is rotation of ±15°, scale of 0.9-1.1 and light of ±20 %.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hauberk.attacks.patching import Film, Scene, climbing, trained
from hauberk.core.threat import Threat
from hauberk.numeric.intervals import Interval, clopper_pearson
from hauberk.numeric.patches import laid
from hauberk.numeric.transforms import poses
from hauberk.targets import from_torch

data = pytest.importorskip("skimage.data", reason="the photographs ship with scikit-image")

FACE, CORNER, SIDES = 0, (7, 2), (6, 21)
CAMERA = Film(turn=15.0, grow=0.1, light=0.2)
KNOWN = 60


def glasses() -> torch.Tensor:
    """Cut the cover of a pair of glasses: two panes, a bridge, and temples that reach to the ears."""
    shape = torch.zeros(SIDES)
    shape[:, 2:9] = shape[:, 12:19] = 1
    shape[1:3] = 1
    return shape


def filmed(x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    return poses(CAMERA.transform(), x, (0, 1)).scatter(rng)


@pytest.fixture(scope="module")
def street():
    photographs = torch.from_numpy(data.lfw_subset()).float().clamp(0, 1).unsqueeze(1)
    faces, others = photographs[:100], photographs[100:]
    rng = torch.Generator().manual_seed(0)
    x = torch.cat((faces[:KNOWN], others[:KNOWN]))
    y = torch.cat((torch.full((KNOWN,), FACE), torch.full((KNOWN,), 1 - FACE)))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 32, 3, 2, 1),
            nn.ReLU(), nn.Flatten(), nn.Linear(512, 2),
        )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3, weight_decay=1e-4)
    for step in range(250):
        rows = torch.randint(2 * KNOWN, (64,), generator=rng)
        seen = x[rows]
        if step % 2:  # it has met glasses of any print
            chance = torch.rand(64, 1, *SIDES, generator=rng)
            seen = laid(seen, torch.tensor(CORNER).expand(64, 2), chance, glasses())
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(filmed(seen, rng)), y[rows]).backward()
        optimizer.step()
    target = from_torch(net.eval(), bounds=(0, 1), shape=(1, 25, 25), classes=2)
    return target, faces[:KNOWN], faces[KNOWN:], others[KNOWN:]


def hidden(target, faces: torch.Tensor, ink: torch.Tensor | None, looks: int = 9) -> Interval:
    """Count the people whom most looks take for no face; the looks at one person are no independent trials."""
    rng, times = torch.Generator().manual_seed(9), torch.zeros(len(faces))
    if ink is not None:
        printed = ((0.05 + 0.9 * ink) * 255).round() / 255
        faces = laid(faces, torch.tensor(CORNER).expand(len(faces), 2), printed, glasses())
    for _ in range(looks):
        times += target.predict(filmed(faces, rng)).argmax(1) != FACE
    return clopper_pearson(int((times > looks / 2).sum()), len(faces))


def made(target, faces: torch.Tensor, film: Film) -> torch.Tensor:
    scene = Scene(faces, (0.0, 1.0), torch.tensor(CORNER).expand(len(faces), 2), glasses(), film)
    climbed = climbing(target, torch.full((len(faces),), FACE), Threat(name="glasses"), "margin", "glasses")
    grey = torch.full((1, 1, *SIDES), 0.5)
    return trained(scene, climbed, grey, 80, 32, 0.1, torch.Generator().manual_seed(0))[0]


def test_printed_glasses_hide_people_they_were_not_made_for(street):
    target, known, new, others = street
    rng = torch.Generator().manual_seed(1)
    found = float((target.predict(filmed(others, rng)).argmax(1) != FACE).float().mean())
    rates = {
        "bare": hidden(target, new, None),
        "random": hidden(target, new, torch.rand(1, *SIDES, generator=rng)),
        "black": hidden(target, new, torch.zeros(1, *SIDES)),
        "made": hidden(target, new, made(target, known, CAMERA)),
    }
    assert found > 0.9
    assert rates["bare"].high < 0.2, rates
    for plain in ("random", "black"):
        assert rates["made"].low > rates[plain].high, rates
