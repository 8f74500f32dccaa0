from __future__ import annotations

import pytest
import torch

from hauberk.attacks.cascade import CASCADES, choose, title
from hauberk.attacks.engine import Plan, examine
from hauberk.attacks.evasion.pgd import PGD
from hauberk.core.evidence import Measurement, Skipped
from hauberk.core.plugins import build
from hauberk.core.schema import Column
from hauberk.core.threat import Ball, Constraints, Threat

NEEDS = {
    "white-box": {"scores", "gradients"},
    "score": {"scores"},
    "decision": set(),
    "table": set(),
    "table-gradients": {"gradients"},
    "table-trees": {"trees"},
    "trees": {"trees"},
    "patch": {"scores", "gradients"},
    "patch-score": {"scores"},
    "patch-decision": set(),
    "transform": set(),
    "composite": {"gradients"},
    "text": {"scores", "gradients", "module"},
    "text-score": {"scores"},
}


@pytest.mark.parametrize(
    ("profile", "route", "name", "settings"),
    [
        (profile, route, name, changes)
        for profile, routes in CASCADES.items()
        for route, stages in routes.items()
        for name, changes in stages
    ],
)
def test_every_line_of_the_table_can_be_built(profile, route, name, settings):
    attack = build("attacks", name, settings)
    assert title(attack).startswith(name)
    assert set(attack.card.needs) <= NEEDS[route]


def names(chosen):
    return [title(attack).partition(" ")[0] for attack in chosen.attacks]


def test_the_cascade_follows_knowledge_and_powers(world):
    spec = world.spec_of()
    smooth, scores = (kind(lambda x: x[:, :2], spec) for kind in (world.Smooth, world.Scores))
    labels = world.Scores(lambda x: x[:, :2], world.spec_of(answers="labels"))

    def chosen(target, threat, profile="quick"):
        return choose(target, threat, "row", profile)

    ball = world.threat(0.1)
    assert names(chosen(smooth, ball)) == ["evasion.pgd", "evasion.apgd", "evasion.acg"]
    assert names(chosen(smooth, ball, "standard"))[-1] == "evasion.square"
    weaker = chosen(scores, ball)
    assert names(weaker) == ["evasion.square"]
    assert {row.kind for row in weaker.lacking} == {"power"}
    assert names(chosen(labels, ball)) == ["evasion.rays", "evasion.hop_skip_jump"]
    assert names(chosen(smooth, world.threat(0.1, knowledge="score"))) == ["evasion.square"]
    assert names(chosen(smooth, world.threat(0.1, "l2", knowledge="decision"))) == ["evasion.hop_skip_jump"]
    sparse = Threat(name="t", ball=Ball("l0", 3))
    assert names(chosen(smooth, sparse)) == ["evasion.pgd", "evasion.sigma_zero"]
    assert names(chosen(scores, sparse)) == ["evasion.sparse_rs"]
    table = Threat(name="t", constraints=Constraints(columns=(Column(name="a"),)))
    assert names(chosen(smooth, table)) == ["evasion.projected_rows", "evasion.constrained_search"]
    assert names(chosen(scores, table)) == ["evasion.constrained_search"]
    trees = type("Trees", (world.Scores,), {"trees": lambda self: None})(lambda x: x[:, :2], spec)
    assert names(chosen(trees, table)) == ["evasion.tree_coordinates", "evasion.constrained_search"]
    assert names(chosen(trees, ball)) == ["evasion.tree_coordinates"]
    assert names(chosen(trees, world.threat(0.1, knowledge="score"))) == ["evasion.square"]
    none = choose(smooth, ball, "row", "quick", (build("attacks", "evasion.sparse_rs"),))
    assert none.attacks == ()
    assert none.lacking


def test_settings_that_differ_are_named():
    assert title(PGD()) == "evasion.pgd"
    assert title(PGD(steps=7, loss="dlr")) == "evasion.pgd (steps=7, loss=dlr)"


def test_a_table_is_examined_by_its_constraints(world, stamp):
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(80, 12, generator=rng).clamp(-4, 4)
    x[:, 0] = x[:, 0].round()
    weight = torch.zeros(12)
    weight[0], weight[1] = 1.0, 0.5

    def function(x):
        z = x @ weight + 0.1
        return torch.stack((-z, z), 1)

    data = world.data_of(x, (x @ weight + 0.1 > 0).long())
    columns = [Column(name="whole", kind="integer"), Column(name="held", immutable=True)]
    columns += [Column(name=f"c{index}") for index in range(10)]
    threat = Threat(name="t", knowledge="score", queries=60, constraints=Constraints(columns=tuple(columns), changed=1))
    rows = list(examine(world.Scores(function, world.spec_of()), data, threat, Plan(curve=(0.1,)), stamp=stamp))
    assert not [row for row in rows if isinstance(row, Skipped)]
    headline = next(row for row in rows if isinstance(row, Measurement) and row.role == "headline")
    # Column 0 alone decides: it reaches ±4 in whole numbers, against at most 2 + 0.1 from column 1.
    assert headline.value == 0.0
    assert (headline.norm, headline.radius) == ("", None)
    assert not [row for row in rows if isinstance(row, Measurement) and row.role == "curve"]
    assert next(row for row in headline.indicators if "control" in row.name).passed is not False
