"""Patches: the exact optimum on linear models, the place found by gradient, and by scores or labels alone."""

import pytest
import torch
from torch import nn

from hauberk.attacks.evasion.graphite import Graphite
from hauberk.attacks.evasion.patch import AdversarialPatch
from hauberk.attacks.evasion.patch_rs import PatchRS
from hauberk.core.errors import UsageError
from hauberk.core.threat import LINF_0_1, Ball, Patch, Threat
from hauberk.numeric.balls import region
from hauberk.numeric.patches import patches, window_sums

TWO = Threat(name="two", patch=Patch((2, 2)))
THREE = Threat(name="three", patch=Patch((3, 3)))


def rate(attack, digits, threat, rng):
    found = attack.run(digits.target, digits.x, digits.y, threat, rng)
    if threat.patch is not None:
        assert bool(patches(threat.patch, digits.x, (0, 1)).contains(found).all())
    return float((digits.target.predict(found).argmax(1) != digits.y).float().mean())


@pytest.fixture
def two_classes(make_plain):
    """A linear model of two classes: the best patch is known in closed form."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        net[1].weight.copy_(torch.randn(2, 64, generator=rng))
        net[1].bias.zero_()
    target = make_plain(net, (1, 8, 8), 2)
    x = torch.rand(80, 1, 8, 8, generator=rng)
    y = target.predict(x).argmax(1)
    weight = net[1].weight.detach()
    slope = (weight[1 - y] - weight[y]).reshape(x.shape)
    lead = (slope * x).flatten(1).sum(1)
    gain = torch.maximum(slope * (1 - x), -slope * x).squeeze(1)
    best = lead + window_sums(gain, (2, 2)).flatten(1).amax(1)
    return target, x, y, best


@pytest.mark.parametrize("attack", [AdversarialPatch(steps=20, restarts=1), AdversarialPatch(loss="margin")])
def test_on_a_linear_model_it_is_the_optimum(two_classes, rng, attack):
    target, x, y, best = two_classes
    broken = target.predict(attack.run(target, x, y, TWO, rng)).argmax(1) != y
    assert 0.1 < broken.float().mean() < 0.9
    assert bool((broken == (best > 0))[best.abs() > 1e-3].all())


def test_it_finds_nearly_all_that_every_place_tried_alone_finds(digits_plain, rng):
    left = torch.ones(len(digits_plain.x), dtype=torch.bool)
    for top in range(0, 7, 2):
        for side in range(0, 7, 2):
            threat = Threat(name="here", patch=Patch((2, 2), (top, side)))
            attack = AdversarialPatch(steps=30, restarts=1)
            found = attack.run(digits_plain.target, digits_plain.x, digits_plain.y, threat, rng)
            left &= digits_plain.target.predict(found).argmax(1) == digits_plain.y
    mine = rate(AdversarialPatch(), digits_plain, TWO, rng)
    assert mine > 1 - float(left.float().mean()) - 0.06
    assert mine > rate(AdversarialPatch(places=1, restarts=1), digits_plain, TWO, rng)


def test_scores_alone_come_close_and_labels_do_what_chance_can(digits_plain, rng):
    white = rate(AdversarialPatch(), digits_plain, TWO, rng)
    assert rate(PatchRS(queries=500), digits_plain, TWO, rng) > white - 0.1
    threat = Threat(name="goal", patch=Patch((3, 3)), target_class=3)
    rows = digits_plain.y != 3
    x, y = digits_plain.x[rows], digits_plain.y[rows]
    hits = []
    for attack in (PatchRS(queries=600), PatchRS(queries=600, explored=1.0), PatchRS(queries=600, explored=0.0)):
        found = attack.run(digits_plain.target, x, y, threat, rng)
        hits.append(float((digits_plain.target.predict(found).argmax(1) == 3).float().mean()))
    assert hits[0] > hits[1], "refining the best beats drawing on"
    assert hits[0] > hits[2], "and so does drawing before refining"


def test_a_fixed_place_is_kept(digits_plain, rng):
    threat = Threat(name="corner", patch=Patch((3, 3), (0, 5)))
    for attack in (AdversarialPatch(steps=20), PatchRS(queries=100), AdversarialPatch(universal=True, steps=20)):
        found = attack.run(digits_plain.target, digits_plain.x, digits_plain.y, threat, rng)
        changed = (found != digits_plain.x).any(1).any(0)
        assert not bool(changed[3:].any()) and not bool(changed[:, :5].any())


def test_a_universal_patch_is_one_and_fools_more_than_noise(digits_plain, rng):
    threat = Threat(name="one", patch=Patch((4, 4), (2, 2)))
    attack = AdversarialPatch(universal=True, steps=80, views=64)
    found = attack.run(digits_plain.target, digits_plain.x, digits_plain.y, threat, rng)
    inks = found[:, :, 2:6, 2:6]
    assert torch.equal(inks, inks[:1].expand_as(inks))
    fooled = (digits_plain.target.predict(found).argmax(1) != digits_plain.y).float().mean()
    noise = patches(threat.patch, digits_plain.x, (0, 1)).scatter(rng)
    assert fooled > (digits_plain.target.predict(noise).argmax(1) != digits_plain.y).float().mean() + 0.1


def test_graphite_shrinks_the_mask_by_labels_alone(digits_plain, rng):
    threat = Threat(name="few", ball=Ball("l0", 5.0))
    attack = Graphite(queries=1000)
    found = attack.run(digits_plain.target, digits_plain.x, digits_plain.y, threat, rng)
    assert bool(region(threat.ball, digits_plain.x, (0, 1)).contains(found).all())
    fooled = float((digits_plain.target.predict(found).argmax(1) != digits_plain.y).float().mean())
    assert fooled > 0.8
    tight = Threat(name="few", ball=Ball("l0", 1.0))
    assert rate(attack, digits_plain, tight, rng) < fooled
    assert rate(Graphite(queries=300), digits_plain, THREE, rng) > 0.8


def test_graphite_under_looks_holds_under_new_ones(digits_plain, rng):
    """A mask that had to hold when turned holds better under turns it has not seen."""
    threat, held = Threat(name="few", ball=Ball("l0", 12.0)), []
    for attack in (Graphite(turn=15, light=0.2, queries=3000), Graphite(queries=3000)):
        found = attack.run(digits_plain.target, digits_plain.x, digits_plain.y, threat, rng)
        broken = digits_plain.target.predict(found).argmax(1) != digits_plain.y
        seen = poses_of(found[broken], rng)
        held.append(float((digits_plain.target.predict(seen).argmax(1) != digits_plain.y[broken]).float().mean()))
    assert held[0] > held[1] + 0.05, held


def poses_of(x, rng):
    from hauberk.core.threat import Transform
    from hauberk.numeric.transforms import poses

    return poses(Transform(rotation=(-15, 15), brightness=(-0.2, 0.2)), x, (0, 1)).scatter(rng)


@pytest.mark.parametrize("attack", [AdversarialPatch(), PatchRS(), Graphite()])
def test_another_threat_is_refused(digits_plain, rng, attack):
    with pytest.raises(UsageError):
        attack.run(digits_plain.target, digits_plain.x, digits_plain.y, LINF_0_1, rng)
