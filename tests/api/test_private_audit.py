"""Audits of private training: sound runs stay below their promise, planted faults do not."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from hauberk.api.private_audit import AuditPlan, audit_module
from hauberk.defenses.private_plans import Plan
from hauberk.numeric.clipping import Clipping

pytest.importorskip("dp_accounting")
DELTA = 1e-5


@pytest.fixture(scope="module")
def rows():
    x, y = load_digits(return_X_y=True)
    return torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)


@pytest.fixture(scope="module")
def net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10))


def _plan(**changes):
    return Plan(1797, changes.pop("steps", 60), 90, noise=changes.pop("noise", 1.0), **changes)


@pytest.mark.parametrize("seed", range(3))
def test_sound_runs_stay_below_their_promise_and_show_something(net, rows, seed) -> None:
    found = audit_module(net, *rows, _plan(), DELTA, seed=seed, audit=AuditPlan(2000))
    assert 0.2 < found.lower.epsilon < found.sharper < found.upper
    assert found.sound


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    "changes", [{}, {"clipping": "per_layer"}, {"sampling": "shuffled"}, {"mechanism": "tree", "noise": 4.0}]
)
def test_twenty_sound_seeds(net, rows, seed, changes) -> None:
    assert audit_module(net, *rows, _plan(**changes), DELTA, seed=100 + seed, audit=AuditPlan(5000)).sound


def test_noise_that_is_too_small_is_caught(net, rows) -> None:
    found = audit_module(net, *rows, _plan(), DELTA, audit=AuditPlan(2000), noise_factor=0.1)
    assert found.lower.epsilon > found.upper and found.sharper > found.upper and not found.sound


def test_clipping_that_is_skipped_is_caught(net, rows, monkeypatch) -> None:
    monkeypatch.setattr(Clipping, "weights", lambda self, squared, layers=1: torch.ones_like(squared))
    found = audit_module(net, *rows, _plan(), DELTA, audit=AuditPlan(2000))
    assert found.lower.epsilon > found.upper and not found.sound


def test_a_shuffle_accounted_as_poisson_sampling_is_caught(net, rows) -> None:
    found = audit_module(net, *rows, _plan(sampling="shuffled"), DELTA, audit=AuditPlan(200), claimed=_plan())
    assert found.sampling is not None and found.sampling < 1e-6 and not found.sound
    honest = audit_module(net, *rows, _plan(sampling="shuffled"), DELTA, audit=AuditPlan(200))
    assert honest.sampling is None and honest.upper > found.upper


def test_every_way_to_compute_gradients_is_audited_alike(net, rows) -> None:
    plan = _plan(steps=20)
    found = [audit_module(net, *rows, plan, DELTA, audit=AuditPlan(300), way=way) for way in ("book_keeping", "ghost")]
    assert found[0].lower == found[1].lower
