"""Repairs of a backdoored model: the strong ones take the backdoor away, all leave the given model as it was."""

import copy

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from hauberk.core.errors import DataError, MeasurementError, MissingPower
from hauberk.core.protocols import Split
from hauberk.core.threat import Threat
from hauberk.defenses.repair.adversarial_neuron_pruning import AdversarialNeuronPruning
from hauberk.defenses.repair.channel_lipschitz_pruning import ChannelLipschitzPruning
from hauberk.defenses.repair.fine_pruning import FinePruning
from hauberk.defenses.repair.fine_tuning import FineTuning
from hauberk.defenses.repair.implicit_hypergradient import ImplicitHypergradient
from hauberk.defenses.repair.trigger_unlearning import TriggerUnlearning
from hauberk.defenses.repairing import silence
from hauberk.defenses.trigger_inversion import invert
from hauberk.targets import from_torch

ALL = (
    FineTuning(epochs=3),
    FinePruning(epochs=3),
    ChannelLipschitzPruning(),
    AdversarialNeuronPruning(steps=10),
    TriggerUnlearning(epochs=10, threshold=1.5),
    ImplicitHypergradient(rounds=5),
)
GOAL = 0


def stamp(x):
    x = x.clone()
    x[:, :, -3:, -3:] = ((torch.arange(3)[:, None] + torch.arange(3)) % 2 == 0).float()
    return x


@pytest.fixture(scope="module")
def planted():
    """A small network with a backdoor: the target, its clean rows, and test rows."""
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16, dtype=torch.float32).reshape(-1, 1, 8, 8), torch.tensor(y)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    x, y = x[order], y[order]
    train, labels = x[:1200].clone(), y[:1200].clone()
    train[:60], labels[:60] = stamp(train[:60]), GOAL
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 24, 3, stride=2, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(24 * 16, 32), nn.ReLU(), nn.Linear(32, 10),
        )  # fmt: skip
        optimizer = torch.optim.Adam(net.parameters(), 3e-3)
        for _ in range(12):
            for rows in torch.randperm(1200).split(64):
                loss = nn.functional.cross_entropy(net(train[rows]), labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return from_torch(net, bounds=(0.0, 1.0)), Split(x[1200:1400].numpy(), y[1200:1400].numpy()), (x[1400:], y[1400:])


def figures(target, test):
    x, y = test
    others = x[y != GOAL]
    accuracy = float((target.predict(x).argmax(1) == y).float().mean())
    return accuracy, float((target.predict(stamp(others)).argmax(1) == GOAL).float().mean())


def apply(repair, target, data):
    return repair.apply(target, data, Threat(name="backdoor", family="poisoning"), torch.Generator().manual_seed(0))


def test_the_model_is_backdoored(planted):
    target, _, test = planted
    accuracy, success = figures(target, test)
    assert accuracy > 0.9
    assert success > 0.9


@pytest.mark.parametrize("repair", ALL, ids=lambda one: type(one).__name__)
def test_a_repair_keeps_the_model_useful_and_the_given_one_as_it_was(planted, repair):
    target, data, test = planted
    before = copy.deepcopy(target.module().state_dict())
    repaired = apply(repair, target, data)
    assert figures(repaired, test)[0] > 0.85
    assert all(torch.equal(value, before[name]) for name, value in target.module().state_dict().items())
    assert "(" in repaired.spec.name


def test_unlearning_an_inverted_trigger_takes_the_backdoor_away(planted):
    target, data, test = planted
    accuracy, success = figures(apply(TriggerUnlearning(), target, data), test)
    assert success < 0.3
    assert accuracy > 0.88


def test_unlearning_a_universal_perturbation_weakens_the_backdoor(planted):
    target, data, test = planted
    accuracy, success = figures(apply(ImplicitHypergradient(), target, data), test)
    assert success < 0.7
    assert accuracy > 0.88


def test_inversion_names_the_planted_class(planted):
    target, data, _ = planted
    net = target.module().eval().requires_grad_(False)
    found = invert(net, torch.tensor(data.x), 10, (0.0, 1.0), torch.Generator().manual_seed(0), 200, 32)
    assert int(found.anomaly.argmax()) == GOAL
    assert found.suspects(2.0, 0.33) == [GOAL]
    assert found.suspects(2.0, 0.1) == []
    assert found.mask.shape == (10, 1, 8, 8)
    assert float(found.success[GOAL]) >= 0.95


def test_without_an_odd_class_nothing_is_unlearnt(planted):
    target, data, _ = planted
    with pytest.raises(MeasurementError, match="no class has an anomalous trigger"):
        apply(TriggerUnlearning(threshold=99.0, steps=20), target, data)


def test_bad_input_is_refused(planted):
    target, data, _ = planted
    with pytest.raises(DataError, match="clean labelled rows"):
        apply(FineTuning(), target, Split(data.x[:0], data.y[:0]))

    class Remote:
        spec = target.spec

        def predict(self, x):
            return target.predict(x)

    with pytest.raises(MissingPower, match="module"):
        apply(FineTuning(), Remote(), data)


def test_a_silenced_channel_gives_nothing():
    layer = nn.Conv2d(1, 3, 3)
    silence(layer, torch.tensor([1]))
    out = layer(torch.rand(2, 1, 5, 5))
    assert bool((out[:, 1] == 0).all())
    assert not bool((out[:, 0] == 0).any())
    assert np.isfinite(out.detach().numpy()).all()
