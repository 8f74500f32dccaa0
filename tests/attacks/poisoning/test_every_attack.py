"""What every poisoning attack keeps: its share of rows, the bounds, the rows it was given, one seed one result."""

import dataclasses

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from hauberk.core.plugins import build, catalog
from hauberk.core.poisoning import AimingAttack, CraftingAttack, PoisoningAttack, Triggering
from hauberk.core.threat import Threat
from hauberk.targets import from_torch

NAMES = [row.name for row in catalog("attacks") if row.name.startswith("poisoning.")]
THREAT = Threat(name="poison", family="poisoning", poison_rate=0.05, target_class=3)
BOUNDS = (0.0, 1.0)


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return torch.tensor(x[:400] / 16, dtype=torch.float32).reshape(-1, 1, 8, 8), torch.tensor(y[:400])


@pytest.fixture(scope="module")
def surrogate(digits):
    x, y = digits
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 24), nn.ReLU(), nn.Linear(24, 10)
        )
        optimizer = torch.optim.Adam(net.parameters(), 3e-3)
        for _ in range(40):
            loss = nn.functional.cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return from_torch(net, bounds=BOUNDS)


@pytest.fixture(scope="module")
def dense(digits):
    x, _ = digits
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return from_torch(nn.Linear(64, 10), bounds=BOUNDS), x.flatten(1)


def quick(name):
    """The attack with few steps, where it has such a setting."""
    attack = build("attacks", name)
    fields = {field.name for field in dataclasses.fields(attack)}
    few = {"steps": 3, "restarts": 1}
    return build("attacks", name, {key: value for key, value in few.items() if key in fields})


def poisoned(name, digits, surrogate, dense):
    attack, (x, y), target = quick(name), digits, surrogate
    inputs = attack.card.inputs
    if inputs == ("tokens",):
        x = (x.flatten(1)[:, :20] * 16).round()
    elif "chw" not in inputs:
        target, x = dense
    rng = torch.Generator().manual_seed(5)
    before = x.clone(), y.clone()
    if isinstance(attack, AimingAttack):
        chosen = x[y != 3][:1]
        keep = torch.ones(len(y), dtype=torch.bool)
        keep[(y != 3).nonzero()[0]] = False
        x, y = x[keep], y[keep]
        before = x.clone(), y.clone()
        found = attack.aim(target, x, y, chosen, THREAT, rng)
    elif isinstance(attack, CraftingAttack):
        found = attack.craft(target, x, y, THREAT, rng)
    else:
        assert isinstance(attack, PoisoningAttack)
        found = attack.poison(x, y, (0.0, 16.0) if inputs == ("tokens",) else BOUNDS, THREAT, rng)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])
    return attack, x, y, found


@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_to_its_share_and_to_the_bounds(name, digits, surrogate, dense):
    attack, x, y, found = poisoned(name, digits, surrogate, dense)
    assert 1 <= len(found.rows) <= int(0.05 * len(y))
    assert len(found.rows.unique()) == len(found.rows)
    assert found.x.shape == x.shape
    assert found.y.shape == y.shape
    rest = torch.ones(len(y), dtype=torch.bool)
    rest[found.rows] = False
    assert torch.equal(found.x[rest], x[rest])
    assert torch.equal(found.y[rest], y[rest])
    high = 16.0 if attack.card.inputs == ("tokens",) else 1.0
    assert float(found.x.min()) >= 0
    assert float(found.x.max()) <= high
    assert not (torch.equal(found.x, x) and torch.equal(found.y, y))


@pytest.mark.parametrize("name", NAMES)
def test_one_seed_one_result(name, digits, surrogate, dense):
    first, second = (poisoned(name, digits, surrogate, dense)[3] for _ in range(2))
    assert torch.equal(first.rows, second.rows)
    assert torch.equal(first.x, second.x)
    assert torch.equal(first.y, second.y)


@pytest.mark.parametrize("name", [name for name in NAMES if isinstance(build("attacks", name), Triggering)])
def test_a_trigger_changes_inputs_and_stays_in_the_bounds(name, digits):
    attack, (x, _) = build("attacks", name), digits
    bounds = BOUNDS
    if attack.card.inputs == ("tokens",):
        x, bounds = (x.flatten(1)[:, :20] * 16).round(), (0.0, 16.0)
    stamped = attack.trigger(x[:20], bounds)
    assert stamped.shape == x[:20].shape
    assert not torch.equal(stamped, x[:20])
    assert float(stamped.min()) >= bounds[0]
    assert float(stamped.max()) <= bounds[1]
