"""Defenses of answers: rows stay sane, the class stays where it is promised, and bad settings are refused."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch

from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.plugins import build, catalog
from hauberk.core.progress import Silent
from hauberk.core.protocols import Split, TargetSpec
from hauberk.core.threat import THEFT_1000

NAMES = [row.name for row in catalog("defenses") if row.name.startswith("output.")]
NOTHING = Split(np.zeros((0, 4), np.float32), np.zeros(0, np.int64))


class Scores:
    """Answers its inputs, taken as scores of four classes."""

    def __init__(self, answers: str = "logits") -> None:
        self.spec = TargetSpec(name="t", kind="test", shape=(4,), classes=4, bounds=(-9.0, 9.0), answers=answers)

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        return x if self.spec.answers == "logits" else x.softmax(1)


def applied(name: str, target=None, **settings):
    defense = build("defenses", name, settings)
    rng = torch.Generator().manual_seed(3)
    return defense.apply(target or Scores(), NOTHING, THEFT_1000, rng, attack=None, progress=Silent())


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return 2 * torch.randn(500, 4, generator=torch.Generator().manual_seed(1))


def test_all_four_are_there() -> None:
    short = {"adaptive_misinformation", "noise", "prediction_poisoning", "top_k"}
    assert {name.removeprefix("output.") for name in NAMES} == short


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_shares_the_same_twice_and_not_the_truth(name, x) -> None:
    hard = applied(name)
    now, true = hard.predict(x), x.softmax(1)
    assert hard.spec.answers == "probabilities"
    assert torch.equal(hard.predict(x), now)
    assert float(now.min()) >= 0
    assert float(now.sum(1).max()) <= 1 + 1e-5
    assert float((now - true).abs().sum(1).mean()) > 0.05
    assert torch.allclose(applied(name, Scores("probabilities")).predict(x), now, atol=1e-5)
    sums = now.sum(1)
    assert torch.allclose(sums, torch.ones_like(sums), atol=1e-5) or name == "output.top_k"


@pytest.mark.parametrize("name", [name for name in NAMES if "misinformation" not in name])
def test_the_class_stays(name, x) -> None:
    assert torch.equal(applied(name).predict(x).argmax(1), x.argmax(1))


def test_misinformation_spares_the_sure_and_turns_the_unsure(x) -> None:
    now, true = applied("output.adaptive_misinformation").predict(x), x.softmax(1)
    sure, unsure = true.amax(1) > 0.8, true.amax(1) < 0.45
    assert bool(sure.any())
    assert bool(unsure.any())
    assert torch.allclose(now[sure], true[sure], atol=1e-3)
    assert not bool((now[unsure].argmax(1) == true[unsure].argmax(1)).any())


def test_top_k_keeps_k(x) -> None:
    assert ((applied("output.top_k", k=2).predict(x) > 0).sum(1) == 2).all()
    assert torch.allclose(applied("output.top_k", k=99).predict(x), x.softmax(1))


def test_poison_spends_its_distortion_and_no_more(x) -> None:
    sure = torch.tensor([[9.0, 0.0, 0.0, -1.0]])
    for distortion in (0.2, 0.8):
        hard = applied("output.prediction_poisoning", distortion=distortion)
        spent = (hard.predict(sure) - sure.softmax(1)).abs().sum()
        assert float(spent) == pytest.approx(distortion, abs=1e-3)
        assert float((hard.predict(x) - x.softmax(1)).abs().sum(1).max()) <= distortion + 1e-4
    flat = torch.zeros(1, 4)
    assert torch.allclose(applied("output.prediction_poisoning").predict(flat), flat.softmax(1))


def test_noise_has_the_scale_asked_for() -> None:
    x = torch.randn(4000, 4, generator=torch.Generator().manual_seed(2))
    moved = applied("output.noise", scale=0.01).predict(x) - x.softmax(1)
    assert float(moved.std()) == pytest.approx(0.01, rel=0.2)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("top_k", {"k": 0}),
        ("noise", {"scale": 0.0}),
        ("prediction_poisoning", {"distortion": 2.5}),
        ("adaptive_misinformation", {"threshold": 1.0}),
        ("adaptive_misinformation", {"steep": 0.0}),
    ],
)
def test_bad_settings_are_refused(name, settings) -> None:
    with pytest.raises(UsageError):
        applied(f"output.{name}", **settings)


@pytest.mark.parametrize("name", NAMES)
def test_labels_have_no_scores_to_change(name) -> None:
    target = Scores()
    target.spec = msgspec.structs.replace(target.spec, answers="labels")
    with pytest.raises(MissingPower):
        applied(name, target)
