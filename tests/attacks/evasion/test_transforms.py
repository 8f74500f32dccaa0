"""Spatial, semantic, laser and the worst transformation: what the grid holds is found, the ranges are kept."""

import msgspec
import pytest
import torch

from hauberk.attacks.allowed import allowed
from hauberk.attacks.evasion.laser import Laser
from hauberk.attacks.evasion.semantic import Semantic
from hauberk.attacks.evasion.spatial import Spatial
from hauberk.attacks.evasion.transform import WorstTransform
from hauberk.core.errors import UsageError
from hauberk.core.threat import LINF_0_1, Threat, Transform
from hauberk.numeric.transforms import poses, render

TURNED = Threat(name="turned", transform=Transform(rotation=(-9, 9), shift=(-0.06, 0.06)))
MANY = Threat(
    name="many",
    transform=Transform(
        rotation=(-8, 8), shift=(-0.05, 0.05), scale=(0.93, 1.07), shear=(-4, 4), brightness=(-0.1, 0.1)
    ),
)


class Black:
    """The same target without gradients."""

    def __init__(self, target):
        self.spec, self.predict = target.spec, target.predict


def rate(attack, digits, threat, rng, target=None):
    pose = attack.parameters(target or digits.target, digits.x, digits.y, threat, rng)
    assert bool(allowed(threat, digits.x, (0, 1)).contains(pose).all())
    found = digits.target.predict(allowed(threat, digits.x, (0, 1)).project(pose)).argmax(1)
    return float((found != digits.y).float().mean())


def test_the_grid_finds_what_trying_all_its_poses_finds(digits_plain, rng):
    where = poses(TURNED.transform, digits_plain.x, (0, 1))
    fooled = torch.zeros(len(digits_plain.x), dtype=torch.bool)
    for angle in torch.linspace(-9, 9, 3):
        for down in torch.linspace(-0.06, 0.06, 3):
            for right in torch.linspace(-0.06, 0.06, 3):
                pose = where.center.clone()
                pose[:, 0], pose[:, 1], pose[:, 2] = angle, down, right
                shown = render(digits_plain.x, where.clamped(pose), (0, 1))
                fooled |= digits_plain.target.predict(shown).argmax(1) != digits_plain.y
    assert rate(Spatial(queries=28), digits_plain, TURNED, rng) == pytest.approx(float(fooled.float().mean()))
    assert rate(Spatial(), digits_plain, TURNED, rng) >= float(fooled.float().mean())


def test_with_many_ranges_the_gradient_finds_more_than_chance_at_equal_cost(digits_plain, rng):
    wild = rate(WorstTransform(explored=1.0), digits_plain, MANY, rng)
    black = rate(WorstTransform(), digits_plain, MANY, rng, Black(digits_plain.target))
    white = rate(WorstTransform(), digits_plain, MANY, rng)
    geometry = rate(Spatial(queries=300), digits_plain, MANY, rng)
    assert white > geometry
    assert white >= black >= wild - 0.02


def test_semantic_turns_colours_only(digits_plain, rng):
    threat = Threat(name="negative", transform=Transform(contrast=(-1, 1), rotation=(-20, 20)))
    pose = Semantic().parameters(digits_plain.target, digits_plain.x, digits_plain.y, threat, rng)
    assert float(pose[:, 0].abs().max()) == 0.0, "rotation is not its business"
    assert rate(Semantic(), digits_plain, threat, rng) > 0.5


def test_the_laser_beats_as_many_random_beams(digits_plain, rng):
    threat = Threat(name="beam", transform=Transform(beam=(0, 0.1)))
    found = rate(Laser(queries=200), digits_plain, threat, rng)
    wild = rate(Laser(queries=200, drawn=1.0), digits_plain, threat, rng)
    none = rate(Laser(queries=200), digits_plain, TURNED, rng)
    assert found > 0.2
    assert found > wild
    assert none == 0.0, "no beam, no change"


@pytest.mark.parametrize("kind", [Spatial, Semantic, WorstTransform, Laser])
def test_what_is_right_only_for_the_goal_counts_and_a_ball_is_refused(kind, digits_plain, rng):
    threat = Threat(name="goal", transform=Transform(rotation=(-30, 30), contrast=(-1, 1), beam=(0, 0.3)))
    threat = msgspec.structs.replace(threat, target_class=8)
    rows = digits_plain.y != 8
    x, y = digits_plain.x[rows], digits_plain.y[rows]
    found = digits_plain.target.predict(kind().run(digits_plain.target, x, y, threat, rng)).argmax(1)
    assert (found == 8).float().mean() > 0.1
    with pytest.raises(UsageError):
        kind().run(digits_plain.target, x, y, LINF_0_1, rng)
