"""Small real data and small real models for the examiners of poisoning, privacy and extraction."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from torch import nn

from hauberk.core.protocols import Split, TargetSpec
from hauberk.core.provenance import Stamp
from hauberk.core.schema import DatasetSpec


@dataclass
class Data:
    train: Split
    test: Split
    spec: DatasetSpec


@dataclass
class Net:
    """A trainable target around a torch module; `asked` counts the inputs it answered."""

    module: nn.Module
    spec: TargetSpec
    fresh: Callable[[], nn.Module]
    steps: int = 250
    asked: int = field(default=0)

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        self.asked += len(x)
        with torch.no_grad():
            scores = self.module(x)
        if self.spec.answers == "probabilities":
            return scores.softmax(1)
        if self.spec.answers == "labels":
            return nn.functional.one_hot(scores.argmax(1), scores.shape[1]).float()
        return scores

    def refit(self, x: torch.Tensor, y: torch.Tensor, rng: torch.Generator) -> Net:
        with torch.random.fork_rng():
            torch.manual_seed(int(torch.randint(2**31, (1,), generator=rng)))
            module = self.fresh()
        optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
        for _ in range(self.steps):
            rows = torch.randint(len(x), (64,), generator=rng)
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(x[rows]), y[rows]).backward()
            optimizer.step()
        return Net(module, self.spec, self.fresh, self.steps)


def _data(name: str, x: np.ndarray, y: np.ndarray, train: int, layout: str) -> Data:
    order = np.random.default_rng(0).permutation(len(y))
    x, y = x[order].astype(np.float32), y[order].astype(np.int64)
    classes = tuple(str(index) for index in range(int(y.max()) + 1))
    spec = DatasetSpec(
        name=name,
        layout=layout,
        shape=x.shape[1:],
        classes=classes,
        digest="",
        bounds=(0.0, 1.0),
        train=train,
        test=len(y) - train,
    )
    return Data(Split(x[:train], y[:train]), Split(x[train:], y[train:]), spec)


def conv() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 10),
    )


def dense() -> nn.Module:
    return nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 2))


def net(data: Data, fresh: Callable[[], nn.Module], answers: str = "logits", steps: int = 250) -> Net:
    spec = TargetSpec(
        name="net",
        kind="test",
        shape=data.spec.shape,
        classes=len(data.spec.classes),
        bounds=(0.0, 1.0),
        answers=answers,
        labels=data.spec.classes,
    )
    untrained = Net(fresh(), spec, fresh, steps)
    x, y = (torch.from_numpy(np.array(part)) for part in data.train)
    return untrained.refit(x, y, torch.Generator().manual_seed(7))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits() -> Data:
    x, y = load_digits(return_X_y=True)
    return _data("digits", (x / 16).reshape(-1, 1, 8, 8), y, 1000, "chw")


@pytest.fixture(scope="session")
def table() -> Data:
    x, y = load_breast_cancer(return_X_y=True)
    x = (x - x.min(0)) / (x.max(0) - x.min(0))
    return _data("cancer", x, y, 350, "row")


@pytest.fixture(scope="session")
def _digits_net(digits: Data) -> Net:
    return net(digits, conv)


@pytest.fixture(scope="session")
def _table_net(table: Data) -> Net:
    return net(table, dense)


@pytest.fixture
def digits_net(_digits_net: Net) -> Net:
    return copy.copy(_digits_net)


@pytest.fixture
def table_net(_table_net: Net) -> Net:
    return copy.copy(_table_net)


@pytest.fixture(scope="session")
def make_net() -> Callable[..., Net]:
    return net


@pytest.fixture(scope="session")
def stamp() -> Stamp:
    return Stamp(clock=lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC), seed=3)
