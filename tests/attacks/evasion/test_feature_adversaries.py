"""Feature adversaries: features come nearer to a guide of another class, and layers go by their names."""

import pytest
import torch

from hauberk.attacks.evasion.feature_adversaries import FeatureAdversaries
from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.threat import LINF_0_1, LINF_0_3, Ball, Threat
from hauberk.numeric.balls import region
from hauberk.targets import from_torch


@pytest.fixture
def digits(digits_plain):
    target = from_torch(digits_plain.target.net, bounds=(0, 1), shape=(1, 8, 8), classes=10)
    return target, digits_plain.x, digits_plain.y


@pytest.mark.parametrize("layer", ["", "4", "6"])
def test_it_breaks_through_an_inner_layer(digits, rng, layer):
    target, x, y = digits
    found = FeatureAdversaries(layer=layer).run(target, x, y, LINF_0_3, rng)
    assert bool(region(LINF_0_3.ball, x, (0, 1)).contains(found).all())
    assert float((target.predict(found).argmax(1) != y).float().mean()) > 0.7


def test_features_come_nearer_to_the_only_guide_there_is(digits, rng):
    target, x, y = digits
    rows = torch.stack(((y == 1).nonzero()[0, 0], (y == 7).nonzero()[0, 0]))
    pair = x[rows]
    layer = target.module()
    layer.net = layer.net[:5]
    found = FeatureAdversaries(layer="4", steps=20).run(
        target, pair, y[rows], Threat(name="t", ball=Ball("linf", 0.05)), rng
    )
    with torch.no_grad():
        clean, moved = layer.net(pair).flatten(1), layer.net(found).flatten(1)
    assert bool(((moved - clean.flip(0)).norm(dim=1) < 0.97 * (clean - clean.flip(0)).norm(dim=1)).all())


def test_a_target_class_guides(digits, rng):
    target, x, y = digits
    threat = Threat(name="t", ball=Ball("linf", 0.3), target_class=int(y[0]))
    found = FeatureAdversaries().run(target, x, y, threat, rng)
    assert float((target.predict(found).argmax(1) == int(y[0])).float().mean()) > 0.5


def test_without_another_class_nothing_changes(digits, rng):
    target, x, y = digits
    assert torch.equal(FeatureAdversaries().run(target, x[:1], y[:1], LINF_0_1, rng), x[:1])


def test_an_unknown_layer_and_a_target_without_a_module_are_refused(digits, digits_plain, rng):
    target, x, y = digits
    with pytest.raises(UsageError, match='no layer "seven"'):
        FeatureAdversaries(layer="seven").run(target, x, y, LINF_0_1, rng)
    with pytest.raises(MissingPower, match="no torch module"):
        FeatureAdversaries().run(digits_plain.target, x, y, LINF_0_1, rng)
