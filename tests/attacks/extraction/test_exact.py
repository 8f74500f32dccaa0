"""Thieves that solve rather than learn: linear models by equations, trees by bisection."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from hauberk.attacks.examining_extraction import Metered
from hauberk.attacks.extraction.linear import Linear
from hauberk.attacks.extraction.tree_paths import TreePaths
from hauberk.core.errors import DataError, MissingPower
from hauberk.core.protocols import TargetSpec
from hauberk.core.threat import Threat

SPEC = TargetSpec(name="t", kind="test", shape=(30,), classes=2, bounds=(0.0, 1.0), answers="probabilities")


class Estimator:
    def __init__(self, model, decimals: int | None = None) -> None:
        self.model, self.spec, self.decimals = model, SPEC, decimals

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        chances = torch.from_numpy(self.model.predict_proba(x.numpy()).astype(np.float32))
        return chances if self.decimals is None else chances.round(decimals=self.decimals)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def threat(queries: int, knowledge: str = "score") -> Threat:
    return Threat(name="t", family="extraction", knowledge=knowledge, queries=queries)


@pytest.fixture(scope="module")
def rows():
    x, y = load_breast_cancer(return_X_y=True)
    x = ((x - x.min(0)) / (x.max(0) - x.min(0))).astype(np.float32)
    return x, y


def test_a_logistic_regression_is_solved_exactly(rows) -> None:
    x, y = rows
    target = Estimator(LogisticRegression(max_iter=1000).fit(x, y))
    held = torch.from_numpy(x)
    copy = Linear().steal(Metered(target, 31, {}), held[:5], threat(31), rng())
    ours, theirs = copy.predict(held).softmax(1), target.predict(held)
    assert torch.allclose(ours, theirs, atol=1e-3)
    assert torch.equal(ours.argmax(1), theirs.argmax(1))


def test_rounded_answers_are_evened_out_by_more_queries(rows) -> None:
    x, y = rows
    target, held = Estimator(LogisticRegression(max_iter=1000).fit(x, y), decimals=2), torch.from_numpy(x)
    truth = target.predict(held).argmax(1)
    agreed = []
    for queries in (31, 1500):
        copy = Linear().steal(target, held[:5], threat(queries), rng())
        agreed.append(float((copy.predict(held).argmax(1) == truth).float().mean()))
    assert agreed[1] > 0.95
    assert agreed[1] >= agreed[0]


def test_a_tree_is_found_leaf_by_leaf(rows) -> None:
    x, y = rows
    model = DecisionTreeClassifier(max_leaf_nodes=8, random_state=0).fit(x, y)
    target, held = Estimator(model), torch.from_numpy(x)
    everywhere = torch.rand(2000, 30, generator=rng(1))
    copy = TreePaths(digits=6).steal(Metered(target, 6000, {}), held[:3], threat(6000), rng())
    for points in (held, everywhere):
        assert float((copy.predict(points) == target.predict(points)).all(1).float().mean()) > 0.995


def test_more_queries_find_more_of_the_tree(rows) -> None:
    x, y = rows
    target = Estimator(DecisionTreeClassifier(max_leaf_nodes=12, random_state=0).fit(x, y))
    held = torch.from_numpy(x)
    shares = []
    for queries in (1, 150, 6000):
        meter = Metered(target, queries, {})
        copy = TreePaths().steal(meter, held[:3], threat(queries), rng())
        assert meter.spent <= queries
        shares.append(float((copy.predict(held).argmax(1) == target.predict(held).argmax(1)).float().mean()))
    assert shares[2] > max(0.99, shares[0])
    assert shares[1] >= 0.3


@pytest.mark.parametrize("attack", [Linear(), TreePaths()])
def test_labels_are_refused_and_so_is_nothing(attack) -> None:
    class Labels(Estimator):
        def __init__(self) -> None:
            self.spec = msgspec.structs.replace(SPEC, answers="labels")

    pool = torch.rand(3, 30)
    with pytest.raises(MissingPower):
        attack.steal(Labels(), pool, threat(50), rng())
    with pytest.raises(MissingPower):
        attack.steal(Estimator(None), pool, threat(50, "decision"), rng())
    with pytest.raises(DataError):
        attack.steal(Estimator(None), pool, threat(0), rng())


def test_too_few_equations_are_refused() -> None:
    with pytest.raises(DataError, match="30 inputs need 31 queries, 30 are allowed"):
        Linear().steal(Estimator(None), torch.rand(3, 30), threat(30), rng())
