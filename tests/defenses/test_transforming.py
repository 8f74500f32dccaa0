"""A transformed target answers as deployed, hides what it hides, and shows the way to attack it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import median_filter

from hauberk.core.defending import Defended
from hauberk.core.errors import MissingPower
from hauberk.core.protocols import Differentiable, TargetSpec, powers
from hauberk.defenses.transforming import Transformation, transformed
from hauberk.defenses.transforming_images import median, rounded
from hauberk.numeric.bpda import identity


class Scores:
    """A target that gives scores and nothing else."""

    def __init__(self, answers: str = "logits") -> None:
        self.spec = TargetSpec(name="s", kind="test", shape=(2,), classes=2, bounds=(0.0, 1.0), answers=answers)

    def predict(self, x):
        return x.clone()


class Plane(Scores):
    def forward(self, x):
        return x * 2

    def predict(self, x):
        return x.detach() * 2


def slope(target, x):
    point = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(target.forward(point).sum(), point)
    return gradient


def test_own_gradient_is_shown_and_the_stand_in_is_at_hand():
    how = Transformation(lambda x, _: rounded(x, 3, (0.0, 1.0)), stand_in=identity)
    target = transformed(Plane(), "rounding", how, torch.Generator().manual_seed(0))
    x = torch.tensor([[0.2, 0.6]])
    assert isinstance(target, Defended)
    assert isinstance(target, Differentiable)
    assert torch.equal(target.predict(x), torch.tensor([[0.0, 1.0]]))
    assert torch.equal(target.adaptive().predict(x), target.predict(x))
    assert torch.equal(slope(target, x), torch.zeros(1, 2))
    assert torch.equal(slope(target.adaptive(), x), torch.full((1, 2), 2.0))
    assert torch.equal(target.bare().predict(x), 2 * x)


def test_a_target_without_gradients_gets_none():
    how = Transformation(lambda x, _: x)
    target = transformed(Scores(), "nothing", how, torch.Generator())
    assert powers(target) == {"scores"}
    assert not isinstance(target.adaptive(), Differentiable)


def test_answers_are_changed_behind_the_model_and_ignored_by_who_knows():
    how = Transformation(after=lambda p: p.round())
    target = transformed(Plane(), "rounding", how, torch.Generator())
    x = torch.tensor([[0.2, 0.6]])
    assert target.spec.answers == "probabilities"
    assert torch.equal(target.predict(x), torch.tensor([[0.0, 1.0]]))
    assert bool((slope(target, x) == 0).all())
    assert bool((slope(target.adaptive(), x) == 2).all())
    with pytest.raises(MissingPower, match="labels only"):
        transformed(Scores("labels"), "rounding", how, torch.Generator())


def test_random_views_differ_and_follow_the_seed():
    how = Transformation(lambda x, rng: x + torch.rand(x.shape, generator=rng), draws=4)
    x = torch.zeros(3, 2)
    one, same = (transformed(Plane(), "noise", how, torch.Generator().manual_seed(5)) for _ in range(2))
    first = one.predict(x)
    assert one.draws == 4
    assert torch.equal(first, same.predict(x))
    assert not torch.equal(first, one.predict(x))


@pytest.mark.parametrize("window", [2, 3])
def test_median_removes_a_single_pixel(window):
    image = torch.zeros(1, 1, 6, 6)
    image[0, 0, 3, 3] = 1.0
    assert bool((median(image, window) == 0).all())
    assert torch.equal(median(torch.ones(1, 2, 5, 5), window), torch.ones(1, 2, 5, 5))
    noisy = torch.rand(2, 3, 7, 6, generator=torch.Generator().manual_seed(0))
    oracle = median_filter(noisy.numpy(), size=(1, 1, window, window), mode="mirror")
    assert np.allclose(median(noisy, window).numpy(), oracle)
