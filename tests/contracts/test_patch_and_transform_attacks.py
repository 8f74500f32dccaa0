"""What every attack on patch and transformation threats must keep: the set, the seed, the input, the budget."""

from __future__ import annotations

import pytest
import torch

from hauberk.attacks.allowed import allowed
from hauberk.attacks.cascade import assault
from hauberk.core import plugins
from hauberk.core.protocols import PosingAttack
from hauberk.core.threat import Patch, Threat, Transform
from hauberk.targets import from_torch

CASES = [
    (entry, kind)
    for entry in plugins.catalog("attacks")
    if entry.name.startswith("evasion.") and "chw" in entry.card.inputs
    for kind in entry.card.sets
    if kind in ("patch", "transform")
]
POSING = [case for case in CASES if case[1] == "transform"]
SMALL = {"steps": 8, "queries": 200, "views": 2}
EVERYTHING = Transform(
    rotation=(-180, 180),
    shift=(-0.3, 0.3),
    scale=(0.5, 1.5),
    brightness=(-0.3, 0.3),
    contrast=(-1, 1.5),
    beam=(0, 0.5),
)


def ids(case):
    return f"{case[0].name}-{case[1]}"


def threat_of(kind, queries=300, **more):
    part = {"patch": Patch((3, 3))} if kind == "patch" else {"transform": EVERYTHING}
    return Threat(name="t", queries=queries, **{**part, **more})


def attack_of(entry):
    names = set(getattr(plugins.load("attacks", entry.name), "__dataclass_fields__", {}))
    return plugins.build("attacks", entry.name, {key: value for key, value in SMALL.items() if key in names})


def run(case, world, threat=None, seed=0, n=12):
    _, target, x, y = world
    entry, kind = case
    rng = torch.Generator().manual_seed(seed)
    return attack_of(entry).run(target, x[:n], y[:n], threat or threat_of(kind), rng)


@pytest.fixture(scope="module")
def world():
    net = torch.nn.Linear(36, 4)
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        net.weight.copy_(torch.randn(4, 36, generator=rng) * 2)
        net.bias.zero_()
    net = torch.nn.Sequential(torch.nn.Flatten(), net)
    target = from_torch(net, bounds=(0, 1), shape=(1, 6, 6), classes=4)
    x = torch.rand(12, 1, 6, 6, generator=rng)
    return net, target, x, target.predict(x).argmax(1)


def test_there_are_attacks_of_both_kinds():
    assert {kind for _, kind in CASES} == {"patch", "transform"}


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_it_breaks_a_weak_model_inside_the_set_and_touches_nothing(case, world):
    net, target, x, y = world
    before, weights = x.clone(), net[1].weight.clone()
    state = torch.random.get_rng_state()
    found = run(case, world)
    assert found.shape == x.shape
    assert found.dtype == torch.float32
    assert float(found.min()) >= 0.0
    assert float(found.max()) <= 1.0
    assert bool((target.predict(found).argmax(1) != y).any())
    if case[1] == "patch":
        assert bool(allowed(threat_of("patch"), x, (0, 1)).contains(found).all())
    assert torch.equal(found, run(case, world)), "same seed, same result"
    assert torch.equal(torch.random.get_rng_state(), state), "global random state is not the attack's"
    assert torch.equal(x, before)
    assert torch.equal(net[1].weight, weights)
    assert net[1].weight.grad is None


@pytest.mark.parametrize("case", CASES, ids=ids)
@pytest.mark.parametrize("n", [0, 1])
def test_no_image_and_one_image(case, n, world):
    assert run(case, world, n=n).shape == (n, 1, 6, 6)


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_images_already_wrong_and_a_target_class_end(case, world):
    net, target, x, y = world
    found = run(case, (net, target, x, (y + 1) % 4))
    assert torch.isfinite(found).all()
    threat = threat_of(case[1], target_class=2)
    other = y != 2
    hit = target.predict(run(case, (net, target, x[other], y[other]), threat)).argmax(1) == 2
    assert bool(hit.any())


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_a_target_that_has_yet_to_learn_what_it_is_is_attacked_alike(case, world):
    net, _, x, y = world
    untold = from_torch(net, bounds=(0, 1))
    assert not untold.spec.shape
    assert torch.equal(run(case, (net, untold, x, y)), run(case, world))


class Counting:
    """A target that counts what it is asked."""

    def __init__(self, target):
        self._target, self.spec, self.queries = target, target.spec, 0

    def predict(self, x):
        self.queries += len(x)
        return self._target.predict(x)


@pytest.mark.parametrize("case", [case for case in CASES if "gradients" not in case[0].card.needs], ids=ids)
def test_a_black_box_keeps_the_query_budget(case, world):
    net, target, x, y = world
    counting = Counting(target)
    run(case, (net, counting, x, y), threat_of(case[1], queries=40))
    assert 0 < counting.queries <= 40 * len(x)


@pytest.mark.parametrize("case", POSING, ids=ids)
def test_the_examiner_renders_the_pose_himself(case, world):
    _, target, x, y = world
    attack, threat = attack_of(case[0]), threat_of("transform")
    assert isinstance(attack, PosingAttack)
    pose = attack.parameters(target, x, y, threat, torch.Generator().manual_seed(0))
    where = allowed(threat, x, (0, 1))
    assert bool(where.contains(pose).all())
    assert torch.equal(where.project(pose), attack.run(target, x, y, threat, torch.Generator().manual_seed(0)))
    done = assault(target, (attack,), x, y, threat, (torch.Generator().manual_seed(0),))
    assert done.strays == 0
    assert torch.equal(done.x[done.stage > 0], where.project(pose)[done.stage > 0])
