"""Every defense of inference time: what it does to inputs and answers, that the model keeps working, bad input."""

from __future__ import annotations

import io
from typing import cast

import numpy as np
import pytest
import torch
from PIL import Image

from hauberk.core.defending import Defended
from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.plugins import build, catalog
from hauberk.core.progress import Silent
from hauberk.core.protocols import Defense, Differentiable, Split, TargetSpec
from hauberk.core.threat import Ball, Threat
from hauberk.defenses.transforming_jpeg import compressed

THREAT = Threat(name="pixels", ball=Ball("linf", 0.15))
NAMES = [row.name for row in catalog("defenses") if row.name.startswith("inference.")]
KEPT = {"inference.spatial_smoothing": 0.5, "inference.feature_squeezing": 0.5, "inference.total_variation": 0.8}
"""Clean accuracy that is left on 8 × 8 pixels, where a median takes strokes away; 0.9 for the others."""


def applied(name, target, data, seed=0, **settings):
    defense = cast(Defense, build("defenses", name, settings))
    rng = torch.Generator().manual_seed(seed)
    return defense.apply(target, data, THREAT, rng, attack=None, progress=Silent())


@pytest.fixture(scope="module")
def some(digits):
    return torch.from_numpy(digits.test.x[:200]), torch.from_numpy(digits.test.y[:200])


@pytest.mark.parametrize("name", [name for name in NAMES if "smoothing" not in name or "spatial" in name])
def test_every_defense_keeps_the_model_working_and_shows_how_to_attack_it(name, target, digits, some):
    x, y = some
    before = target.predict(x)
    hard = applied(name, target, digits.train)
    assert isinstance(hard, Defended)
    assert isinstance(hard, Differentiable)
    scores = hard.predict(x)
    assert scores.shape == (200, 10)
    assert bool(scores.isfinite().all())
    assert float((scores.argmax(1) == y).float().mean()) >= KEPT.get(name, 0.9)
    assert torch.equal(target.predict(x), before)
    known = hard.adaptive()
    assert isinstance(known, Differentiable)
    point = x[:8].clone().requires_grad_()
    (slope,) = torch.autograd.grad(known.forward(point).logsumexp(1).sum() - known.forward(point)[:, 0].sum(), point)
    assert bool((slope.flatten(1).abs().amax(1) > 0).all())
    if hard.draws == 1:
        assert torch.allclose(known.predict(x), scores, atol=1e-5)
        assert torch.allclose(hard.predict(x[:7]), scores[:7], atol=1e-4)


@pytest.mark.parametrize("name", ["bit_depth", "jpeg", "thermometer", "feature_squeezing", "quantisation"])
def test_these_hide_the_gradient(name, target, digits, some):
    hard = applied(f"inference.{name}", target, digits.train)
    point = some[0][:8].clone().requires_grad_()
    logits = hard.forward(point)
    if not logits.requires_grad:  # a code of comparisons cuts it altogether
        return
    (slope,) = torch.autograd.grad(logits.sum(), point)
    assert float(slope.abs().max()) == 0


@pytest.mark.parametrize("name", ["high_confidence", "rounding", "reverse_sigmoid"])
def test_changed_answers_keep_the_decision(name, target, digits, some):
    hard = applied(f"inference.{name}", target, digits.train)
    plain, now = target.predict(some[0]), hard.predict(some[0])
    assert torch.equal(plain.argmax(1), now.argmax(1))
    assert not torch.allclose(plain.softmax(1), now, atol=1e-4)
    assert bool((now >= 0).all())


def test_rounding_writes_few_decimals_and_breaks_ties_by_what_was_likelier():
    class Tied:
        spec = TargetSpec(name="t", kind="test", shape=(1,), classes=3, bounds=(0, 1), answers="probabilities")

        def predict(self, x):
            return torch.tensor([[0.331, 0.334, 0.335]]).expand(len(x), 3)

    now = applied("inference.rounding", Tied(), Split(np.zeros((0, 1)), np.zeros(0)), decimals=2).predict(
        torch.ones(2, 1)
    )
    assert now.argmax(1).tolist() == [2, 2]
    assert torch.allclose(now[0], torch.tensor([0.33, 0.33, 0.34]), atol=1e-2)


def test_jpeg_agrees_with_a_real_codec():
    rng = np.random.default_rng(0)
    smooth = rng.uniform(0, 255, (5, 4)).repeat(8, 0).repeat(8, 1)
    grey = np.clip(smooth[:37, :30] + rng.normal(0, 8, (37, 30)), 0, 255).round().astype(np.uint8)
    held = io.BytesIO()
    Image.fromarray(grey).save(held, "JPEG", quality=60)
    real = np.asarray(Image.open(io.BytesIO(held.getvalue())), dtype=np.float32)
    ours = compressed(torch.from_numpy(grey / 255).float()[None, None], 60, (0.0, 1.0))[0, 0].numpy() * 255
    # The padding of the last blocks is the encoder's own business: compare the blocks that lie inside.
    # libjpeg's integer transform is off by a step of rounding now and then, which a coefficient multiplies.
    assert np.abs(ours - real)[:32, :24].max() <= 4
    assert np.abs(ours - real)[:32, :24].mean() < 0.2
    assert np.abs(grey - real)[:32, :24].mean() > 2
    colour = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert float((compressed(colour, 100, (0.0, 1.0)) - colour).abs().max()) < 0.02
    assert float((compressed(colour, 5, (0.0, 1.0)) - colour).abs().mean()) > 0.1


def test_total_variation_smooths(target, digits, some):
    def variation(x):
        return float((x[..., 1:] - x[..., :-1]).abs().mean() + (x[..., 1:, :] - x[..., :-1, :]).abs().mean())

    noisy = (some[0] + 0.2 * torch.randn(some[0].shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    hard = applied("inference.total_variation", target, digits.train, keep=0.9, weight=0.1)
    seen = []
    hard.bare().predict = lambda x: (seen.append(x), torch.zeros(len(x), 10))[1]
    try:
        hard.predict(noisy)
    finally:
        del hard.bare().predict
    assert variation(seen[0]) < 0.7 * variation(noisy)
    assert float(seen[0].min()) >= 0
    assert float(seen[0].max()) <= 1


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("bit_depth", {"bits": 0}, "bits is 0"),
        ("jpeg", {"quality": 0}, "quality"),
        ("spatial_smoothing", {"window": 1}, "window"),
        ("feature_squeezing", {"bits": 9}, "bits is 9"),
        ("random_resizing", {"smallest": 1.5}, "smallest"),
        ("total_variation", {"keep": 0.0}, "share kept"),
        ("thermometer", {"levels": 1}, "1 levels"),
        ("quantisation", {"bits": 1}, "bits is 1"),
        ("high_confidence", {"cut": 1.0}, "cut"),
        ("rounding", {"decimals": -1}, "decimals"),
        ("reverse_sigmoid", {"beta": 0.0}, "beta"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name, settings, words, target, digits):
    with pytest.raises(UsageError, match=words):
        applied(f"inference.{name}", target, digits.train, **settings)


@pytest.mark.parametrize("name", ["purification", "thermometer"])
def test_too_few_samples_to_train_on(name, target, digits):
    with pytest.raises(UsageError, match="too few"):
        applied(f"inference.{name}", target, Split(digits.train.x[:5], digits.train.y[:5]))


class Rows:
    spec = TargetSpec(name="rows", kind="test", shape=(4,), classes=2, bounds=(0.0, 1.0), answers="labels")

    def predict(self, x):
        return torch.eye(2)[(x[:, 0] > 0.5).long()]


@pytest.mark.parametrize(
    "name", ["jpeg", "spatial_smoothing", "feature_squeezing", "random_resizing", "total_variation"]
)
def test_rows_are_no_images(name):
    with pytest.raises(MissingPower, match="works on images"):
        applied(f"inference.{name}", Rows(), Split(np.zeros((0, 4), np.float32), np.zeros(0)))


@pytest.mark.parametrize("name", ["high_confidence", "rounding", "reverse_sigmoid", "thermometer", "quantisation"])
def test_labels_only_or_no_module_is_said(name):
    with pytest.raises(MissingPower, match=r"labels only|module"):
        applied(f"inference.{name}", Rows(), Split(np.zeros((64, 4), np.float32), np.zeros(64)))


def test_a_label_only_target_can_still_be_put_behind_rounding_of_inputs():
    hard = applied("inference.bit_depth", Rows(), Split(np.zeros((0, 4), np.float32), np.zeros(0)), bits=1)
    assert hard.predict(torch.tensor([[0.6, 0, 0, 0], [0.4, 0, 0, 0]])).argmax(1).tolist() == [1, 0]
    assert not isinstance(hard, Differentiable)
