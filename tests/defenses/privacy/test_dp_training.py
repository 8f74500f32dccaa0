"""DP-SGD, DP-Adam and DP-FTRL as defenses: they learn, keep their promise, and leave the target as it was."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.plugins import build
from hauberk.core.privacy_events import GaussianRelease
from hauberk.core.progress import Silent
from hauberk.defenses.private_defense import Budget, PrivateDefense
from hauberk.defenses.training_log import Interrupted
from hauberk.numeric.accounting import epsilon
from hauberk.targets import from_torch

pytest.importorskip("dp_accounting")
SETTINGS = {
    "privacy.dp_sgd": {"steps": 60, "batch": 100, "learning_rate": 1.0},
    "privacy.dp_adam": {"steps": 60, "batch": 100, "learning_rate": 0.02},
    "privacy.dp_ftrl": {"steps": 60, "batch": 100, "learning_rate": 0.2},
}


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 24), torch.nn.Tanh(), torch.nn.Linear(24, 10))
    return from_torch(net, bounds=(0.0, 1.0), shape=(1, 8, 8), classes=10)


def _accuracy(target, split) -> float:
    return float((target.predict(torch.from_numpy(np.array(split.x))).argmax(1).numpy() == split.y).mean())


@pytest.mark.parametrize("name", SETTINGS)
def test_it_learns_within_its_budget(network, digits, name) -> None:
    defense = build("defenses", name, {**SETTINGS[name], "epsilon": 8.0, "secret": False})
    assert isinstance(defense, PrivateDefense)
    before = network.predict(torch.zeros(1, 1, 8, 8))
    made = defense.train(network, digits.train, torch.Generator().manual_seed(1), progress=Silent())
    assert _accuracy(made.target, digits.test) > (0.45 if name.endswith("ftrl") else 0.7)
    account = made.account
    assert epsilon(account.events, account.delta, relation=account.relation).epsilon <= 8.0
    assert defense.planned(1000).events == account.events
    assert torch.equal(before, network.predict(torch.zeros(1, 1, 8, 8)))
    again = defense.train(network, digits.train, torch.Generator().manual_seed(1), progress=Silent())
    x = torch.from_numpy(np.array(digits.test.x[:20]))
    assert torch.equal(made.target.predict(x), again.target.predict(x))


def test_noise_is_secret_unless_asked_otherwise(network, digits) -> None:
    defense = build("defenses", "privacy.dp_sgd", {"steps": 3, "batch": 50})
    x = torch.from_numpy(np.array(digits.test.x[:20]))
    one, two = (defense.train(network, digits.train, torch.Generator().manual_seed(1), progress=Silent()) for _ in "ab")
    assert not torch.equal(one.target.predict(x), two.target.predict(x))
    assert "never kept" in one.account.noise_source


def test_a_total_over_all_runs_stops_it_earlier(network, digits) -> None:
    defense = build("defenses", "privacy.dp_sgd", {"steps": 50, "batch": 50, "epsilon": 2.0, "delta": 1e-4})
    before = (GaussianRelease(noise=3.0),)
    made = defense.train(network, digits.train, torch.Generator(), budget=Budget(2.0, 1e-4, before), progress=Silent())
    assert 0 < made.trained.steps < 50 and "budget" in made.account.why
    assert epsilon((*before, *made.account.events), 1e-4).epsilon <= 2.0
    with pytest.raises(UsageError, match="no step more"):
        defense.planned(1000, Budget(0.1, 1e-4, before))


def test_only_some_parameters_are_trained(network, digits) -> None:
    defense = build("defenses", "privacy.dp_sgd", {"steps": 2, "batch": 50, "warm": True, "only": "*3.*"})
    made = defense.train(network, digits.train, torch.Generator(), progress=Silent())
    old, new = network.module().net.state_dict(), made.target.module().net.net.state_dict()
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    assert changed == {name for name in old if name.startswith("3.")}
    assert any("began from the weights" in note for note in made.account.notes)
    with pytest.raises(UsageError, match="no parameter"):
        replace(defense, only="nothing").train(network, digits.train, torch.Generator(), progress=Silent())


def test_large_delta_is_said(network, digits) -> None:
    defense = build("defenses", "privacy.dp_sgd", {"steps": 2, "batch": 50, "delta": 0.01})
    made = defense.train(network, digits.train, torch.Generator(), progress=Silent())
    assert any("larger than 1/n" in note for note in made.account.notes)


def test_models_without_a_module_are_refused_and_ctrl_c_keeps_the_model(network, digits, threat, ascent) -> None:
    class Asked:
        spec = network.spec

        def predict(self, x):
            return network.predict(x)

    defense = build("defenses", "privacy.dp_sgd", {"steps": 5, "batch": 50})
    with pytest.raises(MissingPower, match="module"):
        defense.train(Asked(), digits.train, torch.Generator(), progress=Silent())

    class Stop:
        @contextmanager
        def step(self, name, total, unit):
            yield self

        def advance(self, amount=1, note=""):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        defense.apply(network, digits.train, threat, torch.Generator(), attack=ascent, progress=Stop())
    assert _accuracy(caught.value.best, digits.test) >= 0
