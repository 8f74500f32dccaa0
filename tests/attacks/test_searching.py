"""The loop of searches by scores: who leaves, what is kept, what is paid, whatever the attack proposes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from hauberk.attacks import searching
from hauberk.attacks.searching import Asked, Plan, Turn, around, pairs, search, slope
from hauberk.core.protocols import TargetSpec
from hauberk.core.threat import Ball, Threat
from hauberk.numeric.balls import region


class Sum:
    """Two classes: 1 once the sum of an input reaches 0.5. Keeps every point it is asked for."""

    def __init__(self, answers="logits"):
        self.spec = TargetSpec(name="sum", kind="t", shape=(3,), classes=2, bounds=(0.0, 1.0), answers=answers)
        self.asked = []

    def predict(self, x):
        self.asked.append(x.clone())
        z = x.sum(1) - 0.5
        logits = torch.stack((-z, z), 1)
        return logits if self.spec.answers == "logits" else (60 * logits).softmax(1)


@dataclass(frozen=True)
class Seen:
    clean: torch.Tensor


class Ladder:
    """Proposes the clean input plus `rungs` after each other, k at once, whatever the ball."""

    def __init__(self, rungs, k=1):
        self.rungs, self.k, self.turns = rungs, k, []

    def start(self, turn):
        return Seen(turn.x)

    def propose(self, state, turn):
        self.turns.append(turn)
        first = turn.spent - 1
        rungs = torch.tensor(self.rungs[first : first + self.k])
        return state.clean.unsqueeze(1) + rungs.reshape(1, -1, 1)

    def accept(self, state, asked, turn):
        assert len(asked.points) == len(turn.x) == len(state.clean)
        return state


X = torch.tensor([[0.0, 0, 0], [0.1, 0, 0], [0.2, 0.2, 0], [0.9, 0, 0]])
Y = torch.zeros(4, dtype=torch.long)


def run(method, plan, target=None, radius=1.0, **more):
    threat = Threat(name="t", ball=Ball("linf", radius), **more)
    return search(method, plan, target or Sum(), X, Y, threat, torch.Generator().manual_seed(0))


def test_a_sample_leaves_at_its_first_error_and_is_asked_no_more():
    target = Sum()
    found = run(Ladder([0.05, 0.1, 0.15, 0.2]), Plan(5), target)
    assert [len(asked) for asked in target.asked] == [4, 3, 2, 2, 1]
    assert torch.allclose(found - X, torch.tensor([0.2, 0.15, 0.05, 0.0]).unsqueeze(1).expand(4, 3))


def test_the_strongest_of_many_points_is_kept_and_a_weaker_one_is_not():
    ladder = Ladder([0.02, 0.1, 0.05, 0.01, 0.03, 0.02], k=3)
    found = run(ladder, Plan(7))
    assert torch.allclose(found[0], torch.full((3,), 0.1))
    assert torch.allclose(ladder.turns[1].x[0], torch.full((3,), 0.1))
    assert ladder.turns[1].spent == 4


@pytest.mark.parametrize("queries", [0, 1, 2, 3, 6])
def test_a_proposal_that_cannot_be_paid_ends_the_search(queries):
    target = Sum()
    found = run(Ladder([0.02] * 20, k=2), Plan(20), target, queries=queries)
    spent = sum(len(asked) for asked in target.asked)
    assert spent == (0 if queries == 0 else 4 + 6 * ((queries - 1) // 2))
    assert queries > 2 or torch.equal(found, X)


def test_a_point_outside_the_ball_counts_only_where_the_attack_vouches_for_it():
    assert torch.equal(run(Ladder([0.3]), Plan(2, inside=False), radius=0.1), X)
    assert not torch.equal(run(Ladder([0.05]), Plan(2, inside=False), radius=0.1), X)


def test_probabilities_are_read_as_logits_where_they_are_flat():
    lead = []
    for answers in ("logits", "probabilities"):
        ladder = Ladder([0.01, 0.02])
        run(ladder, Plan(3), Sum(answers))
        lead.append(ladder.turns[1].lead)
    assert torch.allclose(60 * lead[0], lead[1], rtol=1e-3)


def test_blocks_change_nothing_but_memory(monkeypatch):
    whole = run(Ladder([0.05, 0.1, 0.15, 0.2]), Plan(5))
    monkeypatch.setattr(searching, "_BLOCK_VALUES", 3)
    assert torch.equal(run(Ladder([0.05, 0.1, 0.15, 0.2]), Plan(5)), whole)


def test_the_slope_of_a_linear_score_is_found_by_whole_axes_also_at_a_bound():
    where = region(Ball("linf", 1.0), X[:2], (0.0, 1.0))
    weight = torch.tensor([1.0, -2.0, 0.5])
    points = around(X[:2], 0.1 * torch.eye(3).expand(2, 3, 3), where)
    assert points.shape == (2, 7, 3)
    assert float(points.min()) >= 0.0
    rise = slope(Asked(points, points @ weight))
    # At 0 a probe reaches one way only: half the way, half the rise, so a quarter.
    share = torch.tensor([[1.0, 1, 1], [4, 1, 1]])
    assert torch.allclose(rise, weight * share * 0.01 / 3, atol=1e-6)


def test_pairs_never_cost_more_than_is_left():
    turn = Turn(region(None, X, (0.0, 1.0)), X, torch.zeros(4), 1, 8, torch.Generator())
    assert [pairs(5, replace(turn, spent=spent)) for spent in (1, 2, 6, 7)] == [3, 2, 0, 0]
