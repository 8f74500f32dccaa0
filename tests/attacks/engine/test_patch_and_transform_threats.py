"""Patch and transformation threats, examined whole: the cascade, the set, the checks, the evidence; and who cheats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import msgspec
import numpy as np
import pytest
import torch

from hauberk.attacks.allowed import allowed
from hauberk.attacks.cascade import choose, title
from hauberk.attacks.control import breakable, train
from hauberk.attacks.engine import Plan, examine
from hauberk.attacks.evasion.pgd import PGD
from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.evidence import Exhibit, Measurement, Skipped
from hauberk.core.protocols import Split, TargetSpec
from hauberk.core.threat import Ball, Patch, Threat, Transform
from hauberk.numeric.transforms import still

PATCH = Threat(name="sticker", patch=Patch((2, 2)))
TURN = Threat(name="turned", transform=Transform(rotation=(-60, 60), shift=(-0.2, 0.2)))


@pytest.fixture(scope="module")
def stripes(world):
    """Images with an upright or a lying stripe, and a linear model that tells them apart; two classes."""
    rng = torch.Generator().manual_seed(0)
    y = torch.randint(2, (90,), generator=rng)
    x = torch.rand(90, 1, 8, 8, generator=rng) * 0.3
    x[y == 0, :, :, 3:5] += 0.35
    x[y == 1, :, 3:5, :] += 0.35
    weight = torch.zeros(1, 8, 8)
    weight[:, 3:5], weight[:, :, 3:5] = 1.0, -1.0
    weight[:, 3:5, 3:5] = 0.0

    def scores(x):
        z = (x * weight).flatten(1).sum(1)
        return torch.stack((-z, z), 1)

    spec = TargetSpec(name="linear", kind="test", shape=(1, 8, 8), classes=2, bounds=(0.0, 1.0))
    data_spec = msgspec.structs.replace(
        world.data_of(torch.zeros(90, 12), y).spec, layout="chw", shape=(1, 8, 8), classes=("up", "flat")
    )
    split = Split(x.numpy(), y.numpy())
    empty = Split(np.zeros((0, 1, 8, 8), np.float32), np.zeros(0, np.int64))
    return world.Smooth(scores, spec), world.Data(split, data_spec, empty), weight


def headline(rows):
    return next(row for row in rows if isinstance(row, Measurement) and row.role == "headline")


def test_the_cascade_follows_the_set_and_what_he_knows(world, stripes):
    target, _, _ = stripes

    def names(threat, of=target):
        return [title(attack).partition(" ")[0] for attack in choose(of, threat, "chw", "quick").attacks]

    score, label = (Threat(name="t", knowledge=known, patch=Patch((2, 2))) for known in ("score", "decision"))
    assert [names(threat) for threat in (PATCH, score, label)] == [
        ["evasion.patch", "evasion.patch_rs"],
        ["evasion.patch_rs"],
        ["evasion.graphite"],
    ]
    assert names(PATCH, world.Scores(target.function, target.spec)) == ["evasion.patch_rs"]
    assert names(TURN) == ["evasion.transform"]
    lacking = choose(target, PATCH, "chw", "quick", (PGD(),)).lacking
    assert [row.reason for row in lacking] == ["does not work in a patch"]


def test_robust_accuracy_under_a_patch_is_the_closed_form(stripes, stamp):
    target, data, weight = stripes
    x, y = torch.from_numpy(data.test.x), torch.from_numpy(data.test.y)
    lead = target.predict(x)
    lead = lead.gather(1, 1 - y[:, None]) - lead.gather(1, y[:, None])
    slope = (weight * (1 - 2 * y.reshape(-1, 1, 1, 1)) * 2).squeeze(1)
    gain = torch.maximum(slope * (1 - x[:, 0]), -slope * x[:, 0])
    best = torch.nn.functional.avg_pool2d(gain.unsqueeze(1), 2, 1).flatten(1).amax(1) * 4
    robust = int((lead.squeeze(1) + best < 0).sum())
    rows = list(examine(target, data, PATCH, Plan(samples=90, exhibits=2), stamp=stamp))
    found = headline(rows)
    assert round(found.value * found.n) == robust
    assert 0 < robust < 90
    assert not [row.name for row in found.indicators if row.passed is False]
    assert not [row for row in rows if isinstance(row, Skipped)]
    shown = next(row for row in rows if isinstance(row, Exhibit))
    assert shown.norm == "changed pixels"
    assert 1 <= shown.distance <= 4


def test_a_transformation_threat_is_examined_and_its_checks_pass(stripes, stamp):
    target, data, _ = stripes
    rows = list(examine(target, data, TURN, Plan(samples=60, exhibits=1, curve=(0.1,)), stamp=stamp))
    found = headline(rows)
    assert found.value < 0.6, "turned by 60°, a stripe is rather the other"
    assert not [row for row in found.indicators if row.passed is False]
    assert [row.norm for row in rows if isinstance(row, Exhibit)] == ["mean change"]
    assert not [row for row in rows if isinstance(row, Measurement) and row.role == "curve"], "there is no radius"


@dataclass(frozen=True)
class Cheat:
    """Answers with images that are no transformation, or with poses outside the ranges."""

    card: ClassVar[Card] = Card(title="Cheat", summary="Cheats.", sets=("patch", "transform"), inputs=("chw",))
    posing: bool = False

    def run(self, target, x, y, threat, rng):
        return 1 - x

    def parameters(self, target, x, y, threat, rng):
        pose = still(len(x), x).clone()
        pose[:, 0] = 90.0
        return pose if self.posing else 1 - x


@pytest.mark.parametrize("threat", [PATCH, TURN], ids=lambda threat: threat.kind)
@pytest.mark.parametrize("posing", [False, True])
def test_an_attack_that_leaves_the_set_is_put_back_and_named(stripes, stamp, threat, posing):
    target, data, _ = stripes
    rows = list(examine(target, data, threat, Plan(attacks=(Cheat(posing),), samples=40, exhibits=0), stamp=stamp))
    strays = next(row for row in headline(rows).indicators if "stay in" in row.name)
    assert strays.passed is False
    if threat is TURN:
        right = headline([row for row in rows if getattr(row, "name", "") == "clean_accuracy"]).value
        assert (headline(rows).value == right) == (not posing), (
            "no pose is no attack; one beyond the range is cut to it"
        )


def test_the_control_models_witnesses_are_inside_the_set(stripes):
    target, data, _ = stripes
    control = train(data, target.spec)
    x, y = torch.from_numpy(data.test.x[:40]), torch.from_numpy(data.test.y[:40])
    for threat in (Threat(name="p", patch=Patch((4, 4))), TURN):
        assert breakable(control, x, y, threat).float().mean() > 0.2
    assert not breakable(control, x, y, Threat(name="t", transform=Transform())).any()


def test_a_threat_has_one_set():
    with pytest.raises(ValueError, match="one set"):
        Threat(name="t", patch=Patch((2, 2)), ball=Ball("linf", 0.1))
    assert [threat.kind for threat in (PATCH, TURN, Threat(name="t"))] == ["patch", "transform", ""]
    for wrong in ({"rotation": (5, 10)}, {"scale": (-1, 1)}, {"shear": (-95, 0)}, {"perspective": (0, 0.9)}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Transform(**wrong)


def test_a_table_has_neither(world, stamp):
    data = world.data_of(torch.zeros(20, 12), torch.zeros(20).long())
    for threat in (PATCH, TURN):
        rows = list(examine(world.Smooth(lambda x: x[:, :2], world.spec_of()), data, threat, Plan(), stamp=stamp))
        assert {type(row) for row in rows} == {Skipped}
        with pytest.raises(UsageError, match="images"):
            allowed(threat, torch.zeros(2, 12), (0, 1))
