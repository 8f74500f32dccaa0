"""A watermark is found in the model, its fine-tuned and pruned copies, and never in independent models."""

from __future__ import annotations

import copy
import hashlib

import msgspec
import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.utils import prune

from hauberk.core.errors import DataError, MissingPower, UsageError
from hauberk.core.plugins import settings_of
from hauberk.core.progress import Silent
from hauberk.core.protocols import Split, TargetSpec
from hauberk.core.threat import THEFT_1000
from hauberk.defenses.ownership.trigger_set import TriggerSet
from hauberk.defenses.plain_training import Course, fit
from hauberk.defenses.secret_marks import marks, p_value
from hauberk.targets import from_torch

SECRET = "correct horse battery staple"


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def trained(data: Split, seed: int):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    fit(net, torch.from_numpy(data.x), torch.from_numpy(data.y), Course(epochs=12), rng(seed))
    return from_torch(net.eval(), bounds=(0, 1), shape=(1, 8, 8), classes=10)


def marked(target, data: Split, **settings):
    defense = TriggerSet(**{"secret": SECRET, **settings})
    return defense.apply(target, data, THEFT_1000, rng(), attack=None, progress=Silent())


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    y = y.astype(np.int64)
    return Split(x[:1000], y[:1000]), Split(x[1000:], y[1000:])


@pytest.fixture(scope="module")
def owner(digits):
    return trained(digits[0], 0)


@pytest.fixture(scope="module")
def own(owner, digits):
    return marked(owner, digits[0])


def accuracy(target, data: Split) -> float:
    return float((target.predict(torch.from_numpy(data.x)).argmax(1).numpy() == data.y).mean())


def test_the_mark_is_proven_and_costs_little(owner, own, digits) -> None:
    matches, chance = p_value(own, SECRET, 50)
    assert matches >= 45
    assert chance < 1e-30
    assert accuracy(own, digits[1]) > accuracy(owner, digits[1]) - 0.02
    assert p_value(own, SECRET + "!", 50)[1] > 1e-4
    assert p_value(owner, SECRET, 50)[1] > 1e-4


def test_it_survives_fine_tuning_and_pruning(own, digits) -> None:
    tuned = own.module()
    data = digits[1]
    fit(tuned, torch.from_numpy(data.x), torch.from_numpy(data.y), Course(epochs=3, rate=1e-3), rng(1))
    assert p_value(own.rebuild(tuned.eval(), "tuned"), SECRET, 50)[1] < 1e-6
    pruned = own.module()
    for layer in [part for part in pruned.modules() if isinstance(part, nn.Linear)]:
        prune.l1_unstructured(layer, "weight", 0.3)
        prune.remove(layer, "weight")
    assert p_value(own.rebuild(pruned.eval(), "pruned"), SECRET, 50)[1] < 1e-6


def test_under_the_null_p_values_are_no_smaller_than_uniform(owner) -> None:
    """300 secrets that have nothing to do with the model: the exact test errs on the safe side."""
    chances = torch.tensor([p_value(owner, f"another secret, number {index}", 30)[1] for index in range(300)])
    for level in (0.01, 0.05, 0.2):
        assert float((chances <= level).float().mean()) <= level + 3 * (level * (1 - level) / 300) ** 0.5


def test_marks_follow_from_the_secret_alone() -> None:
    spec = TargetSpec(name="t", kind="test", shape=(5,), classes=3, bounds=(-2.0, 2.0))
    first, again, other = (marks(secret, spec, 40) for secret in (SECRET, SECRET, SECRET[::-1]))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    assert float(first[0].min()) >= -2
    assert float(first[0].max()) <= 2
    image = marks(SECRET, msgspec.structs.replace(spec, shape=(3, 9, 7)), 4)
    assert image[0].shape == (4, 3, 9, 7)


def test_bad_input_is_refused(owner, digits) -> None:
    with pytest.raises(UsageError, match="characters"):
        marked(owner, digits[0], secret="short")
    with pytest.raises(DataError):
        marked(owner, Split(digits[0].x[:0], digits[0].y[:0]))
    with pytest.raises(DataError):
        marked(owner, digits[0], share=1.0)

    class Closed:
        spec = copy.copy(owner.spec)

    with pytest.raises(MissingPower):
        marked(Closed(), digits[0])


def test_evidence_keeps_a_digest_and_not_the_secret() -> None:
    defense = TriggerSet(secret=SECRET)
    kept = {row.name: row.value for row in settings_of(defense)}
    assert kept["secret"] == f"sha256:{hashlib.sha256(SECRET.encode()).hexdigest()}"
    assert kept["count"] == 50
    assert SECRET not in repr(defense)
