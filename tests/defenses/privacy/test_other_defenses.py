"""Linear, PATE and heuristic privacy defenses: what each is for, measured on real digits."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from hauberk.core.errors import UsageError
from hauberk.core.plugins import build
from hauberk.core.progress import Silent
from hauberk.core.protocols import Split
from hauberk.defenses.private_defense import Budget, PrivateDefense
from hauberk.numeric.accounting import epsilon
from hauberk.numeric.convex_fit import bounded_rows, fit_linear
from hauberk.targets import from_torch

pytest.importorskip("dp_accounting")


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.Tanh(), torch.nn.Linear(32, 10))
    return from_torch(net, bounds=(0.0, 1.0), shape=(1, 8, 8), classes=10)


@pytest.fixture(scope="module")
def overfitted(network, digits):
    """A network that knows 200 digits by heart, a quarter of them with wrong labels."""
    from hauberk.defenses.plain_training import Course, fit

    module = network.module()
    labels = digits.train.y[:200].copy()
    labels[::4] = (labels[::4] + 1 + np.arange(50) % 9) % 10
    few = Split(digits.train.x[:200], labels)
    fit(module, torch.tensor(few.x), torch.tensor(few.y), Course(150, 20, 5e-3), torch.Generator().manual_seed(0))
    return network.rebuild(module, "overfitted"), few


def _accuracy(target, split) -> float:
    return float((target.predict(torch.from_numpy(np.array(split.x))).argmax(1).numpy() == split.y).mean())


def _loss(target, split) -> torch.Tensor:
    scores = target.predict(torch.from_numpy(np.array(split.x)))
    logs = scores.log_softmax(1) if target.spec.answers == "logits" else scores.clamp_min(1e-12).log()
    return -logs[torch.arange(len(split.y)), torch.from_numpy(np.array(split.y))]


def _auc(target, members, others) -> float:
    inside, outside = _loss(target, members), _loss(target, others)
    return float(
        (inside[:, None] < outside[None]).float().mean() + 0.5 * (inside[:, None] == outside[None]).float().mean()
    )


def _apply(name, target, split, threat, ascent, **settings):
    defense = build("defenses", f"privacy.{name}", settings)
    return defense.apply(target, split, threat, torch.Generator().manual_seed(1), attack=ascent, progress=Silent())


def test_the_minimum_moves_no_farther_than_its_sensitivity(digits) -> None:
    x, y = torch.tensor(digits.train.x[:60]), torch.tensor(digits.train.y[:60])
    rows, ridge = bounded_rows(x, 4.0), 0.05
    assert float(rows.norm(dim=1).max()) <= 1 + 1e-12
    whole = fit_linear(rows, y, 10, ridge)
    for row in range(5):
        other, label = rows.clone(), y.clone()
        other[row], label[row] = -rows[row], (y[row] + 1) % 10
        moved = float((fit_linear(other, label, 10, ridge) - whole).norm())
        assert 0 < moved <= 2 * math.sqrt(2) / (60 * ridge)


@pytest.mark.parametrize(
    ("name", "settings", "least"),
    [
        ("output_perturbation", {"ridge": 0.01, "norm": 3.5, "epsilon": 20.0}, 0.7),
        ("objective_perturbation", {"norm": 3.5, "epsilon": 60.0}, 0.6),
        ("pate", {"teachers": 20, "epochs": 15, "queries": 150, "epsilon": 20.0, "public": 0.2}, 0.5),
    ],
)
def test_accounted_defenses_keep_their_promise(network, digits, name, settings, least) -> None:
    defense = build("defenses", f"privacy.{name}", {**settings, "secret": False})
    assert isinstance(defense, PrivateDefense)
    made = defense.train(network, digits.train, torch.Generator().manual_seed(1), progress=Silent())
    assert _accuracy(made.target, digits.test) > least
    account = made.account
    assert epsilon(account.events, account.delta, relation=account.relation).epsilon <= settings["epsilon"]
    with pytest.raises(UsageError, match="allowed"):
        defense.planned(1000, Budget(0.01))


def test_objective_perturbation_of_two_classes_is_one_problem(network, digits) -> None:
    keep = digits.train.y < 2
    two = from_torch(torch.nn.Linear(64, 2), bounds=(0.0, 1.0), shape=(64,), classes=2)
    split = Split(digits.train.x[keep].reshape(-1, 64), digits.train.y[keep])
    defense = build("defenses", "privacy.objective_perturbation", {"norm": 4.0, "epsilon": 5.0})
    made = defense.train(two, split, torch.Generator().manual_seed(1), progress=Silent())
    assert made.account.events[0].count == 1 and _accuracy(made.target, split) > 0.9


def test_pate_says_which_rows_it_does_not_protect(network) -> None:
    account = build("defenses", "privacy.pate").planned(1000)
    assert account.rows == 700 and "300 rows count as public" in account.notes[0]
    with pytest.raises(UsageError, match="too few"):
        build("defenses", "privacy.pate").planned(50)


@pytest.mark.parametrize("name", ["regularisation", "distillation"])
def test_retraining_narrows_the_membership_gap(overfitted, digits, threat, ascent, name) -> None:
    target, few = overfitted
    before = _auc(target, few, digits.test)
    made = _apply(name, target, few, threat, ascent)
    assert before > 0.65
    assert _auc(made, few, digits.test) < before - 0.07
    assert _accuracy(made, digits.test) > 0.5


def test_label_only_keeps_decisions_and_takes_scores(overfitted, digits, threat, ascent) -> None:
    target, few = overfitted
    made = _apply("label_only", target, few, threat, ascent)
    x = torch.from_numpy(np.array(digits.test.x))
    assert torch.equal(made.predict(x).argmax(1), target.predict(x).argmax(1))
    assert len(made.predict(x).max(1).values.unique()) == 1


def test_memguard_keeps_decisions_and_hides_confidence(overfitted, digits, threat, ascent) -> None:
    target, few = overfitted
    both = Split(np.concatenate((few.x, digits.test.x[:200])), np.concatenate((few.y, digits.test.y[:200])))
    made = _apply("memguard", target, both, threat, ascent)
    x = torch.from_numpy(np.array(digits.test.x[200:]))
    assert torch.equal(made.predict(x).argmax(1), target.predict(x).argmax(1))
    moved = (made.predict(x) - target.predict(x).softmax(1)).abs().sum(1)
    assert float(moved.max()) <= 1.0 + 1e-4
    others = Split(digits.test.x[200:], digits.test.y[200:])

    def top(one, part) -> torch.Tensor:
        scores = one.predict(torch.tensor(np.array(part.x)))
        return (scores.softmax(1) if one.spec.answers == "logits" else scores).max(1).values

    def area(one) -> float:
        inside, outside = top(one, few)[:, None], top(one, others)[None]
        return float((inside > outside).float().mean() + 0.5 * (inside == outside).float().mean())

    assert area(target) > 0.65
    assert abs(area(made) - 0.5) < 0.7 * (area(target) - 0.5)


def test_forgotten_rows_have_no_influence_at_all(network, digits) -> None:
    """What is left after forgetting is bit for bit what training without the rows gives, and no member's loss."""
    few = Split(digits.train.x[:240], digits.train.y[:240].copy())
    few.y[7] = (few.y[7] + 3) % 10  # a row that only memory gets right
    defense = build("defenses", "privacy.sisa", {"shards": 2, "slices": 2, "epochs": 40, "batch": 20})
    shards = defense.learn(network, few, torch.Generator().manual_seed(2))
    probe = torch.tensor(few.x[7:8])
    known = float(shards.committee()(probe).softmax(1)[0, int(few.y[7])].detach())
    again = shards.forget([7])
    left = float(shards.committee()(probe).softmax(1)[0, int(few.y[7])].detach())
    assert 1 <= again < 4 and left < known / 2
    other = Split(few.x.copy(), few.y.copy())
    other.x[7], other.y[7] = 0, 0  # another row in its place, forgotten too
    twin = defense.learn(network, other, torch.Generator().manual_seed(2))
    twin.forget([7])
    x = torch.tensor(digits.test.x[:50])
    assert torch.equal(shards.committee()(x), twin.committee()(x))


def test_the_file_of_rows_to_forget(network, digits, threat, ascent, tmp_path) -> None:
    path = tmp_path / "forget.json"
    path.write_text(json.dumps([3, 5]))
    settings = {"shards": 2, "slices": 1, "epochs": 2, "forget": str(path)}
    made = _apply("sisa", network, digits.train, threat, ascent, **settings)
    assert made.predict(torch.tensor(digits.test.x[:3])).shape == (3, 10)
    path.write_text("[5000]")
    with pytest.raises(UsageError, match="row numbers"):
        _apply("sisa", network, digits.train, threat, ascent, **settings)
