"""Searches by scores against closed forms of linear models, budgets, target classes, trees, and one another."""

from __future__ import annotations

import pytest
import torch
from sklearn.ensemble import GradientBoostingClassifier

from hauberk.attacks.counting import Ledger, view
from hauberk.attacks.evasion.bandits import Bandits
from hauberk.attacks.evasion.genattack import GenAttack
from hauberk.attacks.evasion.nes import NES
from hauberk.attacks.evasion.pixel import Pixel
from hauberk.attacks.evasion.simba import SimBA
from hauberk.attacks.evasion.sparse_rs import SparseRS
from hauberk.attacks.evasion.spsa import SPSA
from hauberk.attacks.evasion.square import Square
from hauberk.attacks.evasion.zoo import ZOO
from hauberk.core.errors import UsageError
from hauberk.core.protocols import TargetSpec
from hauberk.core.threat import Ball, Threat
from hauberk.numeric.balls import size

SHAPE = (1, 6, 6)
QUERIES = 600
# The share of the closed-form distance within which nearly all samples must break by so many queries.
CASES = [
    (Square(QUERIES), "linf", 0.8),
    (Square(QUERIES), "l2", 0.6),
    (Square(QUERIES), "l1", 0.3),
    (SimBA(QUERIES, basis="pixel", step=2.0), "linf", 0.9),
    (SimBA(QUERIES, basis="pixel"), "l2", 0.8),
    (SPSA(QUERIES), "linf", 0.85),
    (SPSA(QUERIES), "l2", 0.85),
    (NES(QUERIES), "linf", 0.85),
    (NES(QUERIES), "l2", 0.85),
    (ZOO(QUERIES), "linf", 0.9),
    (ZOO(QUERIES), "l2", 0.8),
    (Bandits(QUERIES, tile=1), "linf", 0.7),
    (Bandits(QUERIES, tile=1), "l2", 0.7),
    (GenAttack(QUERIES), "linf", 0.4),
    (Pixel(QUERIES), "linf", 0.4),
]
EVERY = [*(case[:2] for case in CASES), (SparseRS(QUERIES), "l0"), (Pixel(QUERIES), "l0")]


def ids(value):
    return type(value).__name__ if hasattr(value, "card") else str(value)


class Model:
    def __init__(self, function, shape=SHAPE, classes=2, bounds=(-3.0, 3.0), answers="logits"):
        self.function = function
        self.spec = TargetSpec(name="m", kind="t", shape=shape, classes=classes, bounds=bounds, answers=answers)
        self.seen = 0

    def predict(self, x):
        assert torch.isfinite(x).all()
        assert float(x.min()) >= self.spec.bounds[0]
        assert float(x.max()) <= self.spec.bounds[1]
        self.seen += len(x)
        return self.function(x)


def threat(norm, radius, **more):
    return Threat(name="t", ball=Ball(norm, radius), **more)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def plane():
    """A linear binary model and each sample's exact distance to its boundary, far from the bounds."""
    weight = torch.randn(36, generator=seeded(3))
    x = 0.3 * torch.randn(40, *SHAPE, generator=seeded(4))

    def function(x):
        z = x.flatten(1) @ weight
        return torch.stack((-z, z), 1) / 2

    margin = x.flatten(1) @ weight
    dual = {"linf": weight.abs().sum(), "l2": weight.norm(), "l1": weight.abs().max()}
    return x, (margin > 0).long(), function, {norm: margin.abs() / length for norm, length in dual.items()}


@pytest.mark.parametrize(("attack", "norm", "share"), CASES, ids=ids)
def test_breaks_what_is_well_inside_the_closed_form_and_nothing_outside(attack, norm, share, plane):
    x, y, function, exact = plane
    radius = float(exact[norm].median())
    model = Model(function)
    found = attack.run(model, x, y, threat(norm, radius), seeded())
    broken = function(found).argmax(1) != y
    assert not bool(broken[exact[norm] > radius * 1.001].any())
    near = exact[norm] < radius * share
    assert float(broken[near].float().mean()) > 0.9
    assert model.seen < QUERIES * len(x), "who is broken costs no more"


@pytest.mark.parametrize(("attack", "norm"), EVERY, ids=ids)
@pytest.mark.parametrize("queries", [0, 1, 2, 3, 38])
def test_the_budget_of_a_sample_is_never_passed_nor_left_unused(attack, norm, queries, plane):
    x, y, function, _ = plane
    ledger = Ledger(limit=queries * len(x))
    radius = 1.0 if norm == "l0" else 1e-4
    flat = Model(lambda x: torch.stack((torch.ones(len(x)), 1e-6 * function(x)[:, 0]), 1))
    zeros = torch.zeros_like(y)
    found = attack.run(view(flat, "white-box", ledger), x, zeros, threat(norm, radius, queries=queries), seeded())
    assert float(size(found - x, norm).max()) <= radius
    assert ledger.queries == queries * len(x)


@pytest.mark.parametrize(("attack", "norm"), EVERY, ids=ids)
def test_a_target_class_is_reached_and_no_other_is_taken(attack, norm):
    weight = torch.randn(3, 36, generator=seeded(4))
    x = 0.3 * torch.randn(30, *SHAPE, generator=seeded(5))
    model = Model(lambda x: x.flatten(1) @ weight.T, classes=3)
    y = model.predict(x).argmax(1)
    x, y = x[y != 2], y[y != 2]
    radius = {"linf": 0.8, "l2": 4.0, "l1": 20.0, "l0": 10.0}[norm]
    found = attack.run(model, x, y, threat(norm, radius, target_class=2), seeded())
    assert float((model.predict(found).argmax(1) == 2).float().mean()) > 0.9


@pytest.mark.parametrize("kind", [Square, SimBA, SPSA, NES, ZOO, Bandits, GenAttack, Pixel, SparseRS])
def test_a_ball_of_another_norm_is_refused(kind, plane):
    x, y, function, _ = plane
    other = next(norm for norm in ("l0", "linf") if norm not in kind.card.norms) if kind is not Pixel else "l2"
    with pytest.raises(UsageError):
        kind().run(Model(function), x, y, threat(other, 1.0), seeded())


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 2, 7), (3, 5, 4), (1,), (7,)])
@pytest.mark.parametrize(
    ("kind", "norm"),
    [(Square, "l1"), (SimBA, "l2"), (Bandits, "linf"), (ZOO, "l2"), (Pixel, "l0"), (Pixel, "linf"), (SparseRS, "l0")],
)
def test_inputs_of_odd_sizes(kind, norm, shape):
    x = torch.full((3, *shape), 0.5)
    weight = torch.randn(x[0].numel(), generator=seeded(8)).abs() + 0.5
    wall = 0.5 * float(weight.sum()) + 0.1
    model = Model(
        lambda x: torch.stack((torch.full((len(x),), wall), x.flatten(1) @ weight), 1), shape=shape, bounds=(0.0, 1.0)
    )
    radius = 1.0 if norm == "l0" else 0.3
    found = kind(queries=150).run(model, x, torch.zeros(3, dtype=torch.long), threat(norm, radius), seeded())
    assert found.shape == x.shape
    assert float(size(found - x, norm).max()) <= radius
    assert kind is Square or bool((model.predict(found).argmax(1) == 1).all()), (
        "half of a square's bump goes the wrong way"
    )


# --- what is particular to one of them


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_square_uses_the_whole_radius_where_the_bounds_cut_half_of_a_change(norm):
    """All values at the lower bound: half of what is painted is cut off, and must be made up for."""
    weight = torch.rand(36, generator=seeded(6))
    model = Model(lambda x: torch.stack((torch.full((len(x),), 99.0), x.flatten(1) @ weight), 1), bounds=(0.0, 1.0))
    x, y = torch.zeros(20, *SHAPE), torch.zeros(20, dtype=torch.long)
    found = Square(queries=200).run(model, x, y, threat(norm, 2.0), seeded())
    assert float(size(found - x, norm).min()) > 2.0 * 0.995


@pytest.mark.parametrize("basis", ["dct", "pixel"])
def test_simba_finds_a_model_that_is_one_direction_of_its_basis_in_two_queries_a_direction(basis):
    line = torch.arange(6) + 0.5
    wave = torch.outer(torch.cos(torch.pi / 6 * line), torch.cos(torch.pi / 3 * line))
    weight = wave if basis == "dct" else torch.zeros(6, 6).index_fill(0, torch.tensor(2), 1.0) * torch.eye(6)[3]
    weight = (weight / weight.norm()).flatten()
    # Rounded, so that an orthogonal direction does not seem to help by the last bit of a float.
    model = Model(lambda x: torch.stack((0.5 - (1e3 * x.flatten(1) @ weight).round() / 1e3, torch.zeros(len(x))), 1))
    x, y = torch.zeros(10, *SHAPE), torch.zeros(10, dtype=torch.long)
    directions = 36 if basis == "pixel" else 9
    attack = SimBA(queries=1 + 2 * directions, basis=basis, step=1.0)
    found = attack.run(model, x, y, threat("l2", 0.6), seeded())
    assert bool((model.predict(found).argmax(1) == 1).all())
    assert torch.allclose(found.flatten(1), (0.6 * weight).expand(10, -1), atol=1e-4), "nothing else was changed"


@pytest.fixture(scope="module")
def trees():
    x = torch.rand(600, 6, generator=seeded(7))
    y = ((x[:, 0] > 0.5) ^ (x[:, 1] + 0.3 * x[:, 2] > 0.6)).long()
    fit = GradientBoostingClassifier(random_state=0, n_estimators=40).fit(x[:400].numpy(), y[:400].numpy())

    def function(x):
        return torch.tensor(fit.predict_proba(x.numpy()), dtype=torch.float32)

    model = Model(function, shape=(6,), bounds=(0.0, 1.0), answers="probabilities")
    right = model.predict(x[400:]).argmax(1) == y[400:]
    return model, x[400:][right], y[400:][right]


def test_zoo_moves_rows_of_trees_whose_slopes_are_all_zero(trees):
    """Differences over a small distance see nothing on a tree; the probes must reach out until they do."""
    model, x, y = trees
    found = ZOO(queries=300, reach=0.001).run(model, x, y, threat("linf", 0.25), seeded())
    broken = model.predict(found).argmax(1) != y
    rng, wrong = seeded(1), torch.zeros(len(x), dtype=torch.bool)
    for _ in range(300):
        wild = (x + 0.25 * (torch.rand(x.shape, generator=rng) * 2 - 1)).clamp(0, 1)
        wrong |= model.predict(wild).argmax(1) != y
    assert int(broken.sum()) >= 0.9 * int(wrong.sum())
    assert int(broken.sum()) > 0.5 * len(x)


def test_sparse_rs_finds_the_only_pixels_that_count_and_wastes_none():
    """Three pixels of a black image must turn white, and no pixel can be lost on staying black."""
    spot = torch.zeros(36).index_fill(0, torch.tensor([4, 17, 30]), 1.0)
    model = Model(lambda x: torch.stack((torch.full((len(x),), 2.5), x.flatten(1) @ spot), 1), bounds=(0.0, 1.0))
    x, y = torch.zeros(20, *SHAPE), torch.zeros(20, dtype=torch.long)
    found = SparseRS(queries=600).run(model, x, y, threat("l0", 3.0), seeded())
    assert torch.equal(found.flatten(1), spot.expand(20, -1))


def test_a_pixel_of_three_channels_counts_three_and_single_values_are_taken_where_none_fits():
    shape = (3, 4, 4)
    x, y = torch.full((12, *shape), 0.5), torch.zeros(12, dtype=torch.long)
    model = Model(
        lambda x: torch.stack((torch.full((len(x),), 99.0), x.flatten(1).sum(1)), 1), shape=shape, bounds=(0.0, 1.0)
    )
    for kind in (SparseRS, Pixel):
        for radius, values, dots in ((7.0, 6, 2), (2.0, 2, 2)):
            found = kind(queries=120).run(model, x, y, threat("l0", radius), seeded())
            changed = found != x
            assert int(changed.flatten(1).sum(1).max()) == values
            assert int(changed.any(1).flatten(1).sum(1).max()) <= dots


def test_square_needs_fewer_queries_than_what_people_compare_it_with(digits_plain):
    target, x, y = digits_plain.target, digits_plain.x[:80], digits_plain.y[:80]
    broken = {}
    for kind in (Square, GenAttack, Pixel, SPSA):
        found = kind(queries=200).run(target, x, y, threat("linf", 0.15), seeded())
        broken[kind] = int((target.predict(found).argmax(1) != y).sum())
    assert all(broken[Square] > broken[kind] for kind in (GenAttack, Pixel, SPSA))
