"""Smoothed targets: votes, certificates that hold on known models, gradients of the mean, bad input."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import norm

from hauberk.attacks.certifying_any import certificates
from hauberk.core.defending import Certifying, Defended
from hauberk.core.errors import UsageError
from hauberk.core.evidence import Measurement
from hauberk.core.plugins import build
from hauberk.core.progress import Silent
from hauberk.core.protocols import Differentiable, Split, TargetSpec
from hauberk.core.threat import Ball, Patch, Threat
from hauberk.defenses.smoothed import smoothed

SPEC = TargetSpec(name="plane", kind="test", shape=(2,), classes=2, bounds=(-3.0, 3.0))


class Plane:
    """Class 1 where x₀ > 0: smoothed, its certified radius is |x₀| for any sigma."""

    spec = SPEC

    def forward(self, x):
        return 10 * torch.stack((-x[:, 0], x[:, 0]), 1)

    def predict(self, x):
        with torch.no_grad():
            return self.forward(x)


def l2(radius):
    return Threat(name="t", ball=Ball("l2", radius))


def test_votes_are_the_probabilities_of_noise():
    target = smoothed(Plane(), 0.5, 4000, 0.001, 1000, 2, torch.Generator().manual_seed(0))
    x = torch.tensor([[0.25, 0.0], [-0.5, 1.0]])
    told = target.predict(x)
    assert told[0, 1] == pytest.approx(norm.cdf(0.5), abs=0.03)
    assert told[1, 0] == pytest.approx(norm.cdf(1.0), abs=0.03)
    assert target.predict(x[:0]).shape == (0, 2)


def test_certificates_are_right_on_both_sides_of_the_true_radius():
    target = smoothed(Plane(), 0.5, 100, 0.001, 20_000, 2, torch.Generator())
    x = torch.tensor([[0.2, 0.0], [0.6, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    proof = target.certify(x, torch.tensor([1, 1, 1, 1]), l2(0.4), torch.Generator().manual_seed(1))
    assert proof.safe.tolist() == [False, True, True, False]
    assert proof.error == 0.001
    assert "looks" in proof.how
    far = target.certify(x, torch.tensor([1, 1, 1, 0]), l2(50.0), torch.Generator())
    assert not bool(far.safe.any())


def test_it_shows_a_slope_and_what_it_certifies():
    target = smoothed(Plane(), 0.5, 10, 0.001, 100, 3, torch.Generator().manual_seed(2))
    assert isinstance(target, Certifying)
    assert isinstance(target, Defended)
    assert isinstance(target, Differentiable)
    assert target.certifies(l2(1.0))
    assert not target.certifies(Threat(name="t", ball=Ball("linf", 0.1)))
    point = torch.tensor([[0.1, 0.0]]).requires_grad_()
    (slope,) = torch.autograd.grad(target.adaptive().forward(point)[0, 1], point)
    assert float(slope[0, 0]) > 0


def applied(name, target, data, threat, **settings):
    defense = build("defenses", f"inference.{name}", settings)
    return defense.apply(target, data, threat, torch.Generator().manual_seed(0), attack=None, progress=Silent())


def figure(target, digits, threat, stamp, samples):
    (found,) = certificates(target, digits, threat, stamp=stamp, seed=0, samples=samples)
    assert isinstance(found, Measurement)
    return found


def test_a_digit_net_is_smoothed_and_certified(target, digits, stamp):
    hard = applied("randomized_smoothing", target, digits.train, l2(0.2), epochs=2, looks=30, most=2000)
    x, y = (torch.tensor(part[:100]) for part in digits.test)
    assert float((hard.predict(x).argmax(1) == y).float().mean()) > 0.9
    found = figure(hard, digits, l2(0.2), stamp, 40)
    assert found.value > 0.6
    assert "randomized smoothing" in found.note
    with pytest.raises(UsageError, match="sigma"):
        applied("randomized_smoothing", target, digits.train, l2(0.2), sigma=0.0)


def test_band_votes_certify_against_a_sticker_nobody_can_place(target, digits, stamp):
    sticker = Threat(name="sticker", patch=Patch(size=(8, 1)))
    hard = applied("patch_smoothing", target, digits.train, sticker, width=2, epochs=12)
    x, y = (torch.tensor(part[:60]) for part in digits.test)
    found = figure(hard, digits, sticker, stamp, 60)
    assert found.value > 0.1
    proof = hard.certify(x, y, sticker, torch.Generator())
    safe = x[proof.safe]
    assert len(safe) > 0
    assert torch.equal(hard.predict(x).argmax(1)[proof.safe], y[proof.safe])
    rng = torch.Generator().manual_seed(0)
    for place in range(8):
        for _ in range(4):
            other = safe.clone()
            other[..., place] = torch.rand(other[..., place].shape, generator=rng).round()
            assert torch.equal(hard.predict(other).argmax(1), y[proof.safe])
    assert not hard.certifies(l2(0.1))


def test_bad_settings_of_band_votes(target, digits):
    sticker = Threat(name="sticker", patch=Patch(size=(1, 1)))
    with pytest.raises(UsageError, match="bands of 9"):
        applied("patch_smoothing", target, digits.train, sticker, width=9)
    with pytest.raises(UsageError, match="too few"):
        applied("patch_smoothing", target, Split(digits.train.x[:4], digits.train.y[:4]), sticker)
