"""What every evasion attack found on disk must keep: the set, the seed, the input, the model, the budget."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest
import torch
from sklearn.tree import DecisionTreeClassifier

from hauberk.core import plugins
from hauberk.core.encoding import canonical, decode
from hauberk.core.evidence import Setting
from hauberk.core.schema import AXES, Column
from hauberk.core.threat import Ball, Constraints, Threat
from hauberk.numeric.balls import size
from hauberk.targets import from_sklearn, from_torch

EVASION = [entry for entry in plugins.catalog("attacks") if entry.name.startswith("evasion.")]
PEOPLE = {"evasion.peer"}
"""Runs what other people wrote; their libraries need not be there."""
STRAIGHT = {"evasion.contrast", "evasion.gaussian_blur", "evasion.inversion"}
"""Change inputs one way, without a look at the model: whether it errs there is chance, and their own tests tell."""
RADII = {"linf": 0.15, "l2": 0.8, "l1": 4.0, "l0": 4.0}
IMAGES = [
    (entry, norm)
    for entry in EVASION
    if "chw" in entry.card.inputs and entry.name not in PEOPLE
    for norm in entry.card.norms
]
TABLES = [entry for entry in EVASION if "constraints" in entry.card.sets or not (entry.card.norms or entry.card.sets)]
COLUMNS = (
    Column(name="age", kind="integer", low=0, high=9, immutable=True),
    Column(name="amount", kind="integer", low=0, high=9),
    Column(name="purpose", kind="categorical", categories=("a", "b", "c")),
    Column(name="rate", kind="continuous", low=0, high=1),
    Column(name="dependents", kind="integer", low=0, high=9, direction="up"),
)


def ids(case):
    return f"{case[0].name}-{case[1]}" if isinstance(case, tuple) else case.name


class Weak(torch.nn.Module):
    """A linear model on images: any attack breaks some of its samples."""

    def __init__(self, features: int, classes: int, scale: float = 2.0) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(features, classes)
        with torch.no_grad():
            rng = torch.Generator().manual_seed(1)
            self.linear.weight.copy_(torch.randn(classes, features, generator=rng) * scale)
            self.linear.bias.zero_()

    def forward(self, x):
        return self.linear(x.flatten(1))


@pytest.fixture(scope="module")
def images():
    net = Weak(36, 4)
    target = from_torch(net, bounds=(0, 1), shape=(1, 6, 6), classes=4)
    x = torch.rand(12, 1, 6, 6, generator=torch.Generator().manual_seed(2))
    return net, target, x, target.predict(x).argmax(1)


def threat_of(norm: str, queries: int | None = 300) -> Threat:
    return Threat(name="t", knowledge="score", ball=Ball(norm, RADII[norm]), queries=queries)


def attack_of(entry):
    """Make the attack with small settings where it has them, so that the suite stays quick."""
    small = {"steps": 8, "iterations": 4, "queries": 200}
    kind = plugins.load("attacks", entry.name)
    names = set(getattr(kind, "__dataclass_fields__", {}))
    return plugins.build("attacks", entry.name, {key: value for key, value in small.items() if key in names})


def run(attack, target, x, y, threat, seed=0):
    return attack.run(target, x, y, threat, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("case", IMAGES, ids=ids)
def test_stays_in_the_ball_and_the_box(case, images):
    entry, norm = case
    _, target, x, y = images
    threat = threat_of(norm)
    found = run(attack_of(entry), target, x, y, threat)
    assert found.shape == x.shape
    assert found.dtype == torch.float32
    assert float(found.min()) >= 0.0
    assert float(found.max()) <= 1.0
    assert float(size(found - x, norm).max()) <= threat.ball.radius * (1 + 1e-6)


@pytest.mark.parametrize("case", IMAGES, ids=ids)
def test_same_seed_same_result_input_and_model_untouched(case, images):
    entry, norm = case
    net, target, x, y = images
    before, weights = x.clone(), net.linear.weight.clone()
    net.train()
    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    first = run(attack_of(entry), target, x, y, threat_of(norm))
    assert torch.equal(torch.random.get_rng_state(), state), "global random state is not the attack's"
    torch.manual_seed(8)
    second = run(attack_of(entry), target, x, y, threat_of(norm))
    assert torch.equal(first, second)
    assert torch.equal(x, before)
    assert torch.equal(net.linear.weight, weights)
    assert net.linear.weight.grad is None
    assert net.training


@pytest.mark.parametrize("case", [case for case in IMAGES if case[0].name not in STRAIGHT], ids=ids)
def test_breaks_some_samples_of_a_weak_model(case, images):
    entry, norm = case
    _, target, x, y = images
    found = run(attack_of(entry), target, x, y, threat_of(norm))
    assert int((target.predict(found).argmax(1) != y).sum()) >= 1


@pytest.mark.parametrize("case", IMAGES, ids=ids)
@pytest.mark.parametrize("n", [0, 1])
def test_no_sample_and_one_sample(case, n, images):
    entry, norm = case
    _, target, x, y = images
    assert run(attack_of(entry), target, x[:n], y[:n], threat_of(norm)).shape == (n, 1, 6, 6)


@pytest.mark.parametrize("case", IMAGES, ids=ids)
def test_samples_already_wrong_end_and_stay_in_the_set(case, images):
    entry, norm = case
    _, target, x, y = images
    threat = threat_of(norm)
    found = run(attack_of(entry), target, x, (y + 1) % 4, threat)
    assert torch.isfinite(found).all()
    assert float(size(found - x, norm).max()) <= threat.ball.radius * (1 + 1e-6)


class Counting:
    """A target that counts queries per call."""

    def __init__(self, target):
        self._target, self.queries = target, 0

    @property
    def spec(self):
        return self._target.spec

    def predict(self, x):
        self.queries += len(x)
        return self._target.predict(x)


@pytest.mark.parametrize("case", [case for case in IMAGES if "gradients" not in case[0].card.needs], ids=ids)
def test_a_black_box_keeps_the_query_budget(case, images):
    entry, norm = case
    _, target, x, y = images
    counting = Counting(target)
    run(attack_of(entry), counting, x, y, threat_of(norm, queries=60))
    assert 0 < counting.queries <= 60 * len(x)


@pytest.mark.parametrize("case", IMAGES, ids=ids)
def test_a_target_that_has_yet_to_learn_what_it_is_is_attacked_alike(case, images):
    entry, norm = case
    _, _, x, y = images
    net = torch.nn.Sequential(Weak(36, 4), torch.nn.Softmax(1))
    told = from_torch(net, bounds=(0, 1), shape=(1, 6, 6), classes=4, answers="probabilities")
    untold = from_torch(net, bounds=(0, 1))
    assert not untold.spec.shape and not untold.spec.classes
    found = run(attack_of(entry), untold, x, y, threat_of(norm))
    assert torch.equal(found, run(attack_of(entry), told, x, y, threat_of(norm)))


@pytest.mark.parametrize("case", [case for case in IMAGES if case[0].card.nearest], ids=ids)
def test_the_nearest_error_lies_far_inside_a_ball_that_holds_everything(case, images):
    entry, norm = case
    _, target, x, y = images
    everything = {"linf": 1.0, "l2": 6.0, "l1": 36.0, "l0": 36.0}[norm]
    attack = plugins.build("attacks", entry.name, {"driving.early_stop": False})
    found = run(attack, target, x, y, Threat(name="t", ball=Ball(norm, everything)))
    far = size(found - x, norm)[target.predict(found).argmax(1) != y]
    assert len(far) >= 6
    assert float(far.max()) < everything / 4


def tabular(entry):
    """A model of five columns that has what the attack needs."""
    target = from_torch(Weak(5, 2, scale=0.3), bounds=(0, 10), shape=(5,), classes=2)
    if "trees" not in entry.card.needs:
        return target
    x = torch.rand(300, 5, generator=torch.Generator().manual_seed(3)) * 10
    tree = DecisionTreeClassifier(max_depth=5, random_state=0).fit(x.numpy(), (x[:, 1] + x[:, 4] > 8).long().numpy())
    return from_sklearn(tree, bounds=(0, 10))


@pytest.mark.parametrize("entry", TABLES, ids=ids)
def test_a_row_keeps_its_constraints(entry):
    target = tabular(entry)
    x = torch.tensor([[3.0, 4, 1, 0.5, 2], [1, 8, 0, 0.1, 0], [5, 5, 2, 0.9, 4]])
    y = target.predict(x).argmax(1)
    threat = Threat(name="t", knowledge="score", queries=200, constraints=Constraints(columns=COLUMNS, changed=2))
    counting = Counting(target)
    white = not set(entry.card.needs) <= {"scores"}
    found = run(attack_of(entry), target if white else counting, x, y, threat)
    assert counting.queries <= 200 * len(x)
    assert torch.equal(found[:, 0], x[:, 0]), "immutable"
    assert torch.equal(found[:, 1], found[:, 1].round())
    assert set(found[:, 2].tolist()) <= {0.0, 1.0, 2.0}
    assert bool((found[:, 4] >= x[:, 4]).all()), "can only grow"
    assert bool((found[:, 3] >= 0).all()) and bool((found[:, 3] <= 1).all())
    assert int((found != x).sum(1).max()) <= 2
    assert torch.equal(found, run(attack_of(entry), target, x, y, threat))


@pytest.mark.parametrize("entry", EVASION, ids=ids)
def test_the_card_and_the_settings_are_complete(entry):
    card = entry.card
    assert card.title and card.summary and card.paper
    assert card.threats, "an ATLAS or OWASP id"
    assert set(card.inputs) <= set(AXES) and card.inputs
    assert set(card.norms) <= {"linf", "l2", "l1", "l0"}
    assert set(card.sets) <= {"constraints", "patch", "transform"}
    assert set(card.needs) <= {"scores", "gradients", "module", "refit", "trees"}
    settings = plugins.settings_of(plugins.build("attacks", entry.name))
    assert decode(canonical(settings), tuple[Setting, ...]) == settings


@pytest.mark.parametrize("entry", EVASION, ids=ids)
def test_every_setting_is_explained(entry):
    kind = plugins.load("attacks", entry.name)
    for name in (field.name for field in dataclasses.fields(kind)):
        assert name in (kind.__doc__ or ""), f"{name} stands in the docstring"


def test_there_are_attacks():
    assert len(IMAGES) >= 6
    assert TABLES
    assert msgspec.json.encode([entry.name for entry in EVASION])
