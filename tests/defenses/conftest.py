"""A small convolutional network on real digits, as a target that can be hardened, and an attack of the tests' own."""

from __future__ import annotations

import copy
import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

import msgspec
import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from hauberk.core.card import Card
from hauberk.core.protocols import Split, TargetSpec
from hauberk.core.provenance import Stamp
from hauberk.core.schema import DatasetSpec
from hauberk.core.threat import Ball, Threat


@dataclass
class Data:
    train: Split
    test: Split
    spec: DatasetSpec


class Module:
    """A target around a torch module."""

    def __init__(self, module: nn.Module, spec: TargetSpec) -> None:
        self._module, self.spec = module.eval(), spec

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return self._module(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._module(x)

    def module(self) -> nn.Module:
        return copy.deepcopy(self._module).requires_grad_(True)

    def rebuild(self, module: nn.Module, name: str) -> Module:
        # Freezing here must not freeze what the defense still trains.
        return Module(module.requires_grad_(False), msgspec.structs.replace(self.spec, name=name))


@dataclass(frozen=True)
class Ascent:
    """Linf PGD in five lines, so that these tests rest on no other part of the house."""

    card: ClassVar[Card] = Card(title="ascent", summary="PGD of the tests")
    steps: int = 20

    def run(self, target, x, y, threat, rng):
        radius, (low, high) = threat.ball.radius, target.spec.bounds
        z = (x + (torch.rand(x.shape, generator=rng) * 2 - 1) * radius).clamp(low, high)
        for _ in range(self.steps):
            z = z.detach().requires_grad_()
            (slope,) = torch.autograd.grad(nn.functional.cross_entropy(target.forward(z), y, reduction="sum"), z)
            z = (z.detach() + 2.5 * radius / self.steps * slope.sign()).clamp(x - radius, x + radius).clamp(low, high)
        return z


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits() -> Data:
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    x, y = (x[order] / 16).reshape(-1, 1, 8, 8).astype(np.float32), y[order].astype(np.int64)
    spec = DatasetSpec(
        name="digits",
        layout="chw",
        shape=(1, 8, 8),
        classes=tuple("0123456789"),
        digest="",
        bounds=(0.0, 1.0),
        train=1000,
        test=797,
    )
    return Data(Split(x[:1000], y[:1000]), Split(x[1000:], y[1000:]), spec)


@pytest.fixture(scope="session")
def target(digits: Data) -> Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(512, 10),
        )
        x, y = (torch.from_numpy(np.array(part)) for part in digits.train)
        optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
        for _ in range(200):
            rows = torch.randint(len(x), (64,))
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(x[rows]), y[rows]).backward()
            optimizer.step()
    spec = TargetSpec(name="net", kind="test", shape=(1, 8, 8), classes=10, bounds=(0.0, 1.0))
    return Module(module.requires_grad_(False), spec)


@pytest.fixture
def ascent() -> Ascent:
    return Ascent()


@pytest.fixture
def threat() -> Threat:
    return Threat(name="pixels", ball=Ball("linf", 0.15))


@pytest.fixture(scope="session")
def stamp() -> Stamp:
    return Stamp(clock=lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC), seed=3)
