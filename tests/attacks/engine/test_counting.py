from __future__ import annotations

import pytest
import torch

from hauberk.attacks.counting import Ledger, view
from hauberk.core.errors import BudgetSpent
from hauberk.core.protocols import Differentiable, Modular, Trainable, powers


class Full:
    """A target with every power."""

    def __init__(self, spec):
        self.spec = spec
        self.net = torch.nn.Linear(12, 2)

    def predict(self, x):
        with torch.no_grad():
            return self.net(x)

    def forward(self, x):
        return self.net(x)

    def module(self):
        return torch.nn.Sequential(self.net)

    def rebuild(self, module, name):
        return self

    def refit(self, x, y, rng):
        return self


def test_a_view_has_the_powers_of_its_target_and_its_knowledge(world):
    full, spec = Full(world.spec_of()), world.spec_of()
    scores, smooth = world.Scores(lambda x: x[:, :2], spec), world.Smooth(lambda x: x[:, :2], spec)
    for target in (full, scores, smooth):
        assert powers(view(target, "white-box", Ledger())) == powers(target)
    assert powers(view(full, "score", Ledger())) == {"scores"}
    assert powers(view(full, "decision", Ledger())) == set()
    bare = view(scores, "white-box", Ledger())
    assert not isinstance(bare, Differentiable | Modular | Trainable)
    assert not hasattr(bare, "forward")


def test_a_decision_is_one_hot(world):
    target = world.Scores(lambda x: x[:, :2], world.spec_of())
    seen = view(target, "decision", Ledger())
    assert seen.spec.answers == "labels"
    assert seen.predict(torch.tensor([[0.3, 0.9] + [0.0] * 10])).tolist() == [[0.0, 1.0]]


def test_everything_is_counted(world):
    ledger = Ledger()
    seen = view(Full(world.spec_of()), "white-box", ledger)
    x = torch.zeros(5, 12)
    seen.predict(x)
    seen.forward(x)
    assert (ledger.queries, ledger.gradients) == (10, 0)
    seen.forward(x.clone().requires_grad_(True))
    assert (ledger.queries, ledger.gradients) == (15, 5)
    seen.module()(x.clone().requires_grad_(True))
    assert (ledger.queries, ledger.gradients) == (20, 10)


def test_the_budget_is_exact_and_what_is_refused_is_not_asked(world):
    target = world.Scores(lambda x: x[:, :2], world.spec_of())
    ledger = Ledger(limit=7)
    seen = view(target, "score", ledger)
    seen.predict(torch.zeros(4, 12))
    with pytest.raises(BudgetSpent):
        seen.predict(torch.zeros(4, 12))
    assert (target.asked, ledger.queries) == (4, 4)
    seen.predict(torch.zeros(3, 12))
    assert (target.asked, ledger.queries) == (7, 7)
