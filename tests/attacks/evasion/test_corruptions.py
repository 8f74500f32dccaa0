"""Plain corruptions: the faintest one that errs where that is known, none beyond the ball, the budget kept."""

from __future__ import annotations

import pytest
import torch

from hauberk.attacks.evasion.additive_noise import AdditiveNoise
from hauberk.attacks.evasion.blended_noise import BlendedNoise
from hauberk.attacks.evasion.contrast import Contrast
from hauberk.attacks.evasion.dataset import Dataset
from hauberk.attacks.evasion.gaussian_blur import GaussianBlur, blurred
from hauberk.attacks.evasion.inversion import Inversion
from hauberk.attacks.evasion.salt_and_pepper import SaltAndPepper
from hauberk.core.protocols import TargetSpec
from hauberk.core.threat import Ball, Threat
from hauberk.numeric.balls import size

SHAPE = (1, 8, 8)
ALL = (AdditiveNoise, BlendedNoise, Contrast, Dataset, GaussianBlur, Inversion, SaltAndPepper)


class Reads:
    """Says class 1 where a feature of the image lies below a level; counts what it is asked."""

    def __init__(self, feature, level=0.0, bounds=(0.0, 1.0)):
        self.feature, self.level, self.asked = feature, level, 0
        self.spec = TargetSpec(name="m", kind="t", shape=SHAPE, classes=2, bounds=bounds, answers="labels")

    def predict(self, x):
        self.asked += len(x)
        return torch.nn.functional.one_hot((self.feature(x) < self.level).long(), 2).float()


def spread(x):
    return x.flatten(1).std(1)


def first(x):
    return x[:, 0, 0, 0]


def threat(norm, radius, **more):
    return Threat(name="t", knowledge="decision", ball=Ball(norm, radius), **more)


def run(attack, model, x, ball, seed=0):
    y = model.predict(x).argmax(1)
    return attack.run(model, x, y, ball, torch.Generator().manual_seed(seed)), y


@pytest.fixture
def images():
    return torch.rand(10, *SHAPE, generator=torch.Generator().manual_seed(1))


def test_contrast_fades_just_far_enough(images):
    model = Reads(spread, 0.1)
    found, y = run(Contrast(), model, images, threat("l2", 100.0))
    assert bool((model.predict(found).argmax(1) != y).all())
    assert torch.allclose(spread(found), torch.full((10,), 0.1), rtol=0.01)
    assert torch.allclose(found, 0.5 + (images - 0.5) * (0.1 / spread(images)).reshape(-1, 1, 1, 1), atol=0.01)


def test_contrast_ends_at_the_ball_and_leaves_what_it_cannot_break(images):
    model = Reads(spread, 0.1)
    need = (1 - 0.1 / spread(images)) * size(images - 0.5, "l2")
    radius = float(need.median())
    found, y = run(Contrast(), model, images, threat("l2", radius))
    broken = model.predict(found).argmax(1) != y
    assert torch.equal(broken, need < radius)
    assert torch.equal(found[~broken], images[~broken])


def test_inversion_reaches_the_negative_and_contrast_does_not():
    x = torch.full((4, *SHAPE), 0.9)
    model = Reads(first, 0.2)
    found, y = run(Inversion(), model, x, threat("linf", 1.0))
    assert bool((model.predict(found).argmax(1) != y).all())
    assert torch.allclose(found, torch.full_like(x, 0.2), atol=0.02)
    assert torch.equal(run(Contrast(), model, x, threat("linf", 1.0))[0], x)


def test_blur_finds_the_width_and_keeps_the_mean(images):
    model = Reads(spread, 0.1)
    found, y = run(GaussianBlur(), model, images, threat("l2", 100.0))
    assert bool((model.predict(found).argmax(1) != y).all())
    assert torch.allclose(spread(found), torch.full((10,), 0.1), rtol=0.05)
    assert torch.allclose(found.mean((1, 2, 3)), images.mean((1, 2, 3)), atol=1e-5)


def test_blur_is_a_gaussian():
    """A point far from the edges becomes the Gaussian itself."""
    image = torch.zeros(1, 1, 31, 31)
    image[0, 0, 15, 15] = 1.0
    line = torch.exp(-0.5 * ((torch.arange(31) - 15) / 2.0) ** 2)
    expected = torch.outer(line, line) / line.sum() ** 2
    assert torch.allclose(blurred(image, torch.tensor([2.0]))[0, 0], expected, atol=1e-5)
    assert torch.equal(blurred(image, torch.tensor([0.0])), image)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("kind", ["gaussian", "uniform"])
def test_noise_has_the_balls_size_after_the_bounds_have_cut_it(images, norm, kind):
    radius = {"linf": 0.3, "l2": 2.0, "l1": 12.0}[norm]
    asked = []

    def feature(x):
        asked.append(x)
        return torch.ones(len(x))

    run(AdditiveNoise(tries=3, kind=kind), Reads(feature), images, threat(norm, radius))
    assert len(asked) == 5
    for points in asked[2:]:
        assert torch.allclose(size(points - images, norm), torch.full((10,), radius), rtol=1e-3)
        assert float(points.min()) >= 0
        assert float(points.max()) <= 1


def test_repeated_noise_breaks_more_than_one(images):
    model = Reads(first, 0.02)
    few, many = (run(AdditiveNoise(tries=tries), model, images, threat("linf", 0.5)) for tries in (1, 60))
    broken = [int((model.predict(found).argmax(1) != y).sum()) for found, y in (few, many)]
    assert broken[0] < broken[1]


def test_salt_and_pepper_sets_values_to_the_bounds_and_no_more_than_allowed(images):
    model = Reads(lambda x: x.flatten(1).mean(1), 0.45)
    found, y = run(SaltAndPepper(tries=40, queries=2000), model, images.clamp(0.2, 0.8), threat("l0", 30))
    changed = found != images.clamp(0.2, 0.8)
    assert bool((model.predict(found).argmax(1) != y).any())
    assert set(found[changed].tolist()) <= {0.0, 1.0}
    assert int(changed.flatten(1).sum(1).max()) <= 30


def test_the_nearest_other_input_is_walked_to(images):
    model = Reads(first, float(images[:, 0, 0, 0].median()) + 1e-4)
    found, y = run(Dataset(others=1, early_stop=False), model, images, threat("l2", 100.0))
    assert bool((model.predict(found).argmax(1) != y).all())
    far = torch.cdist(images.flatten(1), images.flatten(1)).masked_fill(y.unsqueeze(1) == y, torch.inf)
    other = images[far.argmin(1)]
    share = (model.level - first(images)) / (first(other) - first(images))
    assert torch.allclose(found, images + share.reshape(-1, 1, 1, 1) * (other - images), atol=4e-3)
    more, _ = run(Dataset(others=5, early_stop=False), model, images, threat("l2", 100.0))
    nearer = size(more - images, "l2") - size(found - images, "l2")
    assert float(nearer.max()) <= 1e-6
    assert float(nearer.min()) < -0.1


@pytest.mark.parametrize("attack", ALL)
@pytest.mark.parametrize("queries", [0, 1, 7, 40])
def test_no_sample_costs_more_than_its_budget(images, attack, queries):
    model = Reads(spread, 0.25)
    y = model.predict(images).argmax(1)
    norm = "l0" if attack is SaltAndPepper else "linf"
    for rows in (10, 1):
        model.asked = 0
        attack().run(
            model, images[:rows], y[:rows], threat(norm, 30, queries=queries), torch.Generator().manual_seed(0)
        )
        assert model.asked <= queries * rows


@pytest.mark.parametrize("attack", ALL)
def test_who_errs_already_stays(images, attack):
    model = Reads(spread, 0.25)
    y = 1 - model.predict(images).argmax(1)
    norm = "l0" if attack is SaltAndPepper else "l1"
    assert torch.equal(attack().run(model, images, y, threat(norm, 9.0), torch.Generator().manual_seed(0)), images)
