"""Attacks on tables find what a linear model must give up, and keep types, limits and relations."""

from __future__ import annotations

import pytest
import torch

from hauberk.attacks.evasion.constrained_search import ConstrainedSearch
from hauberk.attacks.evasion.low_pro_fool import LowProFool, importance
from hauberk.attacks.evasion.projected_rows import ProjectedRows
from hauberk.core.errors import UsageError
from hauberk.core.relations import relation
from hauberk.core.schema import Column
from hauberk.core.threat import Ball, Constraints, Threat
from hauberk.numeric.rows import rows
from hauberk.targets import from_torch

COLUMNS = (
    Column(name="age", kind="integer", low=0, high=90, immutable=True),
    Column(name="amount", kind="integer", low=0, high=90),
    Column(name="rate", low=0, high=1),
    Column(name="share", low=0, high=1, direction="up"),
    Column(name="total", low=0, high=2),
    *(Column(name=f"h{i}", kind="boolean", group="h") for i in range(3)),
)
WEIGHT = torch.tensor([0.05, 0.04, -2.0, 3.0, 0.0, 1.5, -1.0, 0.5])


class Net(torch.nn.Module):
    """A smooth model of two classes; `bend` makes it curved."""

    def __init__(self, bend: float = 0.0) -> None:
        super().__init__()
        self.weight, self.bend = torch.nn.Parameter(WEIGHT.clone()), bend

    def forward(self, x):
        z = x @ self.weight - 4.6 + self.bend * torch.sin(x[:, 2] * 9) * torch.cos(x[:, 3] * 7)
        return torch.stack((-z / 2, z / 2), 1)


def data(n=60):
    rng = torch.Generator().manual_seed(0)
    whole = torch.randint(0, 91, (n, 2), generator=rng).float()
    parts = torch.rand(n, 2, generator=rng)
    hot = torch.nn.functional.one_hot(torch.randint(0, 3, (n,), generator=rng), 3).float()
    return torch.cat((whole, parts, parts.sum(1, keepdim=True), hot), 1)


def case(changed, bend=0.0, relations=()):
    target = from_torch(Net(bend), bounds=(0, 90), shape=(8,), classes=2)
    x = data()
    constraints = Constraints(columns=COLUMNS, changed=changed, relations=tuple(map(relation, relations)))
    return target, x, target.predict(x).argmax(1), Threat(name="t", constraints=constraints)


def run(attack, target, x, y, threat):
    found = attack.run(target, x, y, threat, torch.Generator().manual_seed(0))
    where = rows(threat.constraints, x, target.spec.bounds)
    assert bool(where.contains(found).all())
    wanted = threat.target_class
    answer = target.predict(found).argmax(1)
    return found, answer != y if wanted is None else answer == wanted


def best_of_linear(x, y, where, changed):
    """Move the units that gain most as far as they go: the optimum of a linear model."""
    sign = torch.where(y == 1, -1.0, 1.0).unsqueeze(1)
    slope = WEIGHT * sign
    ends = torch.where(slope > 0, where.upper, where.lower)
    gain = (slope * (ends - x))[:, :5].masked_fill(where.fixed[:, :5], 0.0)
    group = (slope[:, 5:]).amax(1) - (slope * x)[:, 5:].sum(1)
    best = torch.cat((gain, group.unsqueeze(1)), 1).topk(changed, dim=1).values.sum(1)
    margin = ((x * WEIGHT).sum(1) - 4.6) * sign.squeeze(1)
    return margin + best > 1e-4


@pytest.mark.parametrize("changed", [1, 2, 3])
def test_a_linear_model_gives_up_all_it_must(changed):
    target, x, y, threat = case(changed)
    must = best_of_linear(x, y, rows(threat.constraints, x, (0.0, 90.0)), changed)
    _, broken = run(ProjectedRows(), target, x, y, threat)
    assert 5 < int(must.sum()) <= 60
    assert not bool((broken & ~must).any())
    assert int((must & ~broken).sum()) <= 1


def test_on_a_curved_model_it_breaks_no_fewer_than_a_black_box_search():
    target, x, y, threat = case(2, bend=3.0)
    _, broken = run(ProjectedRows(), target, x, y, threat)
    _, black = run(ConstrainedSearch(queries=400), target, x, y, threat)
    assert int(broken.sum()) >= int(black.sum()) - 1


@pytest.mark.parametrize(
    "attack",
    [ProjectedRows(steps=30), LowProFool(), ConstrainedSearch(queries=300)],
    ids=["projected_rows", "low_pro_fool", "constrained_search"],
)
def test_relations_and_a_target_class_are_kept(attack):
    target, x, y, threat = case(3, relations=("total == rate + share",))
    found, broken = run(attack, target, x, y, threat)
    assert int(broken.sum()) >= 5
    assert bool(((found[:, 4] - found[:, 2] - found[:, 3]).abs() < 1e-5).all())
    goal = Threat(name="t", constraints=threat.constraints, target_class=1)
    _, reached = run(attack, target, x, y, goal)
    assert int((reached & (y == 0)).sum()) >= 3
    with pytest.raises(UsageError, match="constraints"):
        attack.run(target, x, y, Threat(name="t", ball=Ball("linf", 0.1)), torch.Generator())


def test_columns_that_tell_the_label_are_spared():
    rng = torch.Generator().manual_seed(1)
    y = torch.randint(0, 2, (200,), generator=rng)
    x = torch.rand(200, 2, generator=rng)
    x[:, 0] = 0.3 * x[:, 0] + 0.35 * y + 0.1

    class Even(torch.nn.Module):
        def forward(self, x):
            z = 2 * x.sum(1) - 2
            return torch.stack((-z, z), 1)

    weight = importance(x, y)
    assert weight[0] > 5 * weight[1]
    assert torch.allclose(importance(x[:1], y[:1]), torch.full((2,), 0.5**0.5))
    target = from_torch(Even(), bounds=(0, 1), shape=(2,), classes=2)
    threat = Threat(name="t", constraints=Constraints(columns=(Column(name="a"), Column(name="b"))))
    labels = target.predict(x).argmax(1)
    heavy = int(importance(x, labels).argmax())
    found = LowProFool().run(target, x, labels, threat, torch.Generator())
    broken = target.predict(found).argmax(1) != labels
    assert float(broken.float().mean()) > 0.95
    move = (found - x).abs()[broken].mean(0)
    assert move[heavy] < 0.8 * move[1 - heavy], "both columns change the answer alike"
    plain = ProjectedRows().run(target, x, labels, threat, torch.Generator().manual_seed(0))
    spent = ((found - x) * importance(x, labels)).norm(dim=1)[broken].mean()
    assert spent < 0.8 * ((plain - x) * importance(x, labels)).norm(dim=1)[broken].mean()
