"""Reference models: stacked training equals training alone, halves are balanced, a second audit trains nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hauberk.attacks import shadows as school
from hauberk.attacks.recording import Samples
from hauberk.attacks.references import halves
from hauberk.attacks.shadow_training import Recipe, train_alone, train_stacked
from hauberk.attacks.shadows import Lender, ShadowPlan, reference_models
from hauberk.core.errors import MissingPower
from hauberk.core.progress import Silent
from hauberk.targets import from_torch

RECIPE = Recipe(epochs=3, batch=16, rate=1e-2)


class Memory:
    """A shelf in memory."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, np.ndarray]] = {}

    def load(self, key):
        return self.held.get(key)

    def save(self, key, arrays):
        self.held[key] = {name: np.array(value) for name, value in arrays.items()}


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def conv() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 4, 3), nn.LayerNorm(3)
    )


def records(shape: tuple[int, ...], n: int = 80) -> Samples:
    rng = torch.Generator().manual_seed(0)
    return Samples(torch.rand(n, *shape, generator=rng), torch.randint(3, (n,), generator=rng))


@pytest.mark.parametrize(("module", "shape"), [(mlp(), (6,)), (conv(), (1, 4, 4))])
@pytest.mark.parametrize("recipe", [RECIPE, Recipe(epochs=2, batch=33, weight_decay=0.1)])
def test_stacked_training_equals_training_alone(module, shape, recipe):
    x, y = records(shape)
    x = x.double()
    rows = torch.stack([own.nonzero()[:, 0] for own in halves(80, 4, 1)])
    together = train_stacked(module.double(), x, y, rows, recipe, [5, 6, 7, 8]).states
    for state, own, seed in zip(together, rows, (5, 6, 7, 8), strict=True):
        alone = train_alone(module, x, y, own, recipe, seed).states[0]
        assert set(alone) == set(state)
        for name, value in alone.items():
            assert torch.allclose(value.double(), state[name].double(), atol=1e-9), name


def test_a_goal_ends_training():
    x, y = records((6,))
    rows = halves(80, 2, 0)[0].nonzero()[:, 0]
    open_ended = Recipe(epochs=0, rate=1e-2, most=40)
    assert train_alone(mlp(), x, y, rows, open_ended, 1, goal=99.0).epochs == 1
    assert train_alone(mlp(), x, y, rows, open_ended, 1, goal=0.0).epochs == 40
    assert train_stacked(mlp(), x, y, rows[None], open_ended, [1], goal=99.0).epochs == 1


def test_halves_are_balanced_and_grow():
    member = halves(101, 6, 3)
    assert member.sum(1).tolist() == [50] * 6
    assert not (member[0] & member[1]).any()
    assert int((member.sum(0) == 3).sum()) >= 101 - 3
    assert torch.equal(halves(101, 4, 3), member[:4])
    assert not torch.equal(halves(101, 4, 4), member[:4])


@pytest.fixture
def target():
    return from_torch(mlp(), bounds=(0, 1), shape=(6,), classes=3)


def plan(**changes) -> ShadowPlan:
    return ShadowPlan(**{"models": 4, "recipe": RECIPE, **changes})


def test_a_second_audit_of_the_same_recipe_trains_nothing(target, monkeypatch):
    pool, shelf = records((6,)), Memory()
    first = reference_models(target, pool, pool, plan(), Silent(), shelf=shelf)
    assert (first.trained, len(first.models)) == (4, 4)
    monkeypatch.setattr(school, "train_stacked", lambda *a, **k: pytest.fail("it trained again"))
    again = reference_models(target, pool, pool, plan(), Silent(), shelf=shelf)
    assert again.trained == 0
    for one, other in zip(first.models, again.models, strict=True):
        assert torch.equal(one.predict(pool.x), other.predict(pool.x))
    fewer = reference_models(target, pool, pool, plan(models=2), Silent(), shelf=shelf)
    assert (fewer.trained, len(fewer.models)) == (0, 2)


@pytest.mark.parametrize(
    "change",
    [{"recipe": Recipe(epochs=4, batch=16, rate=1e-2)}, {"seed": 1}],
)
def test_another_recipe_or_seed_trains_anew(target, change):
    pool, shelf = records((6,)), Memory()
    reference_models(target, pool, pool, plan(), Silent(), shelf=shelf)
    assert reference_models(target, pool, pool, plan(**change), Silent(), shelf=shelf).trained == 4


def test_other_data_or_another_network_trains_anew(target):
    pool, shelf = records((6,)), Memory()
    reference_models(target, pool, pool, plan(), Silent(), shelf=shelf)
    moved = Samples(pool.x + 1e-3, pool.y)
    assert reference_models(target, moved, pool, plan(), Silent(), shelf=shelf).trained == 4
    wider = from_torch(nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 3)), shape=(6,), classes=3)
    assert reference_models(wider, pool, pool, plan(), Silent(), shelf=shelf).trained == 4


def test_more_models_keep_the_first(target):
    pool, shelf = records((6,)), Memory()
    first = reference_models(target, pool, pool, plan(), Silent(), shelf=shelf)
    more = reference_models(target, pool, pool, plan(models=6), Silent(), shelf=shelf)
    assert more.trained == 2
    assert torch.equal(more.member[:4], first.member)


def test_training_stops_beginning_when_the_time_is_up(target):
    pool, ticks = records((6,)), iter(range(1000))
    found = reference_models(
        target, pool, pool, plan(models=12, seconds=3.0), Silent(), watch=lambda: float(next(ticks))
    )
    assert 2 <= len(found.models) < 12
    assert "fitted into the time" in found.notes[0]


def test_the_goal_is_what_the_target_reached(target):
    pool = records((6,))
    shelf = Memory()
    open_ended = plan(recipe=Recipe(epochs=0, rate=1e-2, most=7))
    found = reference_models(target, pool, pool, open_ended, Silent(), shelf=shelf)
    assert len(found.models) == 4
    assert [int(value["epochs"][0]) for value in shelf.held.values() if "epochs" in value] == [1]


def test_any_trainable_model_is_refitted_and_its_answers_are_kept(table, table_net):
    pool = Samples(*(torch.from_numpy(np.array(part)) for part in table.train))
    table_net.steps, shelf = 5, Memory()
    first = reference_models(table_net, pool, pool, plan(models=2), Silent(), shelf=shelf)
    again = reference_models(table_net, pool, pool, plan(models=2), Silent(), shelf=shelf)
    assert (first.trained, again.trained) == (2, 0)
    assert torch.allclose(first.models[1].predict(pool.x[:9]), again.models[1].predict(pool.x[:9]))
    unseen = pool.x[:3] + 0.01
    assert torch.allclose(again.models[0].predict(unseen), first.models[0].predict(unseen))


def test_a_trainer_of_the_projects_own_is_used(target):
    pool, seen = records((6,)), []

    def trainer(x, y, seed):
        seen.append((len(x), seed))
        return target

    found = reference_models(target, pool, pool, plan(models=3), Silent(), trainer=trainer)
    assert [rows for rows, _ in seen] == [40, 40, 40]
    assert len({seed for _, seed in seen}) == 3
    assert len(found.models) == 3


def test_what_cannot_be_trained_has_no_references(table_net):
    class Answers:
        spec = table_net.spec

        def predict(self, x):
            return table_net.predict(x)

    pool = records((30,))
    with pytest.raises(MissingPower, match="cannot be trained anew"):
        reference_models(Answers(), pool, pool, plan(), Silent())


def test_a_layer_that_cannot_be_stacked_is_trained_alone_and_said_so():
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(6, 3)

        def forward(self, x):
            scores = self.linear(x)
            return scores if float(scores.detach().sum()) > -1e9 else -scores  # a look at values: vmap cannot

    target = from_torch(Odd(), shape=(6,), classes=3)
    pool = records((6,))
    found = reference_models(target, pool, pool, plan(models=2), Silent())
    assert len(found.models) == 2
    assert "one by one" in found.notes[0]


def test_a_lender_trains_once_for_all_attacks(target, monkeypatch):
    pool = records((6,))
    lender = Lender(plan())
    first = lender.lend(target, pool, pool, Silent())
    monkeypatch.setattr(school, "train_stacked", lambda *a, **k: pytest.fail("it trained again"))
    assert lender.lend(target, Samples(pool.x.clone(), pool.y.clone()), pool, Silent()) is first
