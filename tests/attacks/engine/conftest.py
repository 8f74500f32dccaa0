"""Models whose robust accuracy is known in closed form, models that misbehave, and attacks that do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch

from hauberk.core.card import Card
from hauberk.core.errors import TargetError
from hauberk.core.protocols import Split, TargetSpec
from hauberk.core.provenance import Stamp
from hauberk.core.schema import DatasetSpec
from hauberk.core.threat import Ball, Threat
from hauberk.numeric.balls import region

D = 12


@dataclass
class Data:
    test: Split
    spec: DatasetSpec
    train: Split


@dataclass
class Scores:
    """A target that gives scores only; `asked` counts inputs."""

    function: Callable[[torch.Tensor], torch.Tensor]
    spec: TargetSpec
    asked: int = 0
    fail_after: int | None = None
    interrupt_after: int | None = None

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        if self.fail_after is not None and self.asked >= self.fail_after:
            raise TargetError("the model fell over", where="model test")
        if self.interrupt_after is not None and self.asked >= self.interrupt_after:
            raise KeyboardInterrupt
        self.asked += len(x)
        with torch.no_grad():
            return self.function(x)


@dataclass
class Smooth(Scores):
    """A target with gradients."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


@dataclass(frozen=True, slots=True)
class Walk:
    """The exact Linf attack on a linear binary model; a few sign steps on any other.

    steps: gradients. pace: share of the radius.
    """

    card: ClassVar[Card] = Card(
        title="Walk", summary="Walks.", needs=("gradients",), norms=("linf", "l2"), inputs=("chw", "row")
    )
    steps: int = 3
    pace: float = 1.0

    def run(self, target, x, y, threat, rng):
        where = region(threat.ball, x, target.spec.bounds)
        point = x.clone()
        for _ in range(self.steps):
            point.requires_grad_(True)
            logits = target.forward(point)
            own = logits.gather(1, y[:, None])[:, 0]
            other = logits.scatter(1, y[:, None], -torch.inf).amax(1)
            (slope,) = torch.autograd.grad((other - own).sum(), point)
            way = slope.sign() if threat.ball.norm == "linf" else slope / slope.norm(dim=1, keepdim=True).clamp(1e-9)
            point = where.project(point.detach() + self.pace * threat.ball.radius * way)
        return point


@dataclass(frozen=True, slots=True)
class Idle:
    """An attack that does nothing. needs nothing."""

    card: ClassVar[Card] = Card(title="Idle", summary="Idles.", norms=("linf", "l2"), inputs=("chw", "row"))

    def run(self, target, x, y, threat, rng):
        return x.clone()


@dataclass(frozen=True, slots=True)
class Greedy:
    """An attack that asks without end, in portions. portion: share of the samples asked at once."""

    card: ClassVar[Card] = Card(title="Greedy", summary="Asks.", needs=("scores",), norms=("linf",), inputs=("row",))
    portion: float = 1.0

    def run(self, target, x, y, threat, rng):
        while True:
            target.predict(x[: max(1, int(len(x) * self.portion))])


@dataclass(frozen=True, slots=True)
class Wild:
    """An attack that returns points far outside and some that are no number."""

    card: ClassVar[Card] = Card(title="Wild", summary="Strays.", norms=("linf",), inputs=("row",))

    def run(self, target, x, y, threat, rng):
        out = x + 50.0
        out[0] = torch.nan
        return out


def spec_of(classes: int = 2, answers: str = "logits", d: int = D, bounds=(-4.0, 4.0)) -> TargetSpec:
    return TargetSpec(name="model", kind="test", shape=(d,), classes=classes, bounds=bounds, answers=answers)


def data_of(x: torch.Tensor, y: torch.Tensor, train: int = 0) -> Data:
    x, y = x.numpy().astype(np.float32), y.numpy().astype(np.int64)
    classes = tuple("abcdefghij"[: max(2, int(y.max()) + 1 if len(y) else 2)])
    spec = DatasetSpec(
        name="data",
        layout="row",
        shape=x.shape[1:],
        classes=classes,
        digest="",
        bounds=(-4.0, 4.0),
        train=train,
        test=len(y) - train,
    )
    return Data(Split(x[train:], y[train:]), spec, Split(x[:train], y[:train]))


def plane(n: int = 300, seed: int = 0) -> SimpleNamespace:
    """A linear binary model on its own labels, one in ten flipped: everything about it is known."""
    rng = torch.Generator().manual_seed(seed)
    weight = torch.randn(D, generator=rng)
    x = torch.randn(n, D, generator=rng).clamp(-2, 2)
    margin = x @ weight
    y = (margin > 0).long()
    flip = torch.rand(n, generator=rng) < 0.1
    y = torch.where(flip, 1 - y, y)

    def function(x):
        z = x.flatten(1) @ weight
        return torch.stack((-z, z), 1) / 2

    def robust(radius: float, norm: str = "linf") -> torch.Tensor:
        dual = weight.abs().sum() if norm == "linf" else weight.norm()
        return ~flip & (margin.abs() > radius * dual)

    return SimpleNamespace(weight=weight, x=x, y=y, function=function, robust=robust, data=data_of(x, y))


@pytest.fixture(scope="session")
def world() -> SimpleNamespace:
    return SimpleNamespace(
        Data=Data,
        Scores=Scores,
        Smooth=Smooth,
        Walk=Walk,
        Idle=Idle,
        Greedy=Greedy,
        Wild=Wild,
        spec_of=spec_of,
        data_of=data_of,
        plane=plane,
        threat=lambda radius=0.1, norm="linf", **more: Threat(name="t", ball=Ball(norm, radius), **more),
    )


@pytest.fixture(scope="session")
def stamp() -> Stamp:
    return Stamp(clock=lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC), seed=3)
