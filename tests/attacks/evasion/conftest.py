"""Targets with gradients: linear ones whose optimum is known in closed form, and a small net on real digits."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from hauberk.core.protocols import TargetSpec


@dataclass
class Plain:
    """The least a differentiable target is."""

    net: nn.Module
    spec: TargetSpec
    sizes: list[int] = field(default_factory=list)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(x))
        return self.net(x)

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return self.net(x)


def plain(net: nn.Module, shape: tuple[int, ...], classes: int, bounds: tuple[float, float] = (0.0, 1.0)) -> Plain:
    return Plain(net.eval(), TargetSpec(name="net", kind="test", shape=shape, classes=classes, bounds=bounds))


@pytest.fixture
def make_plain():
    return plain


def linear(features: int, classes: int, seed: int = 0, bounds: tuple[float, float] = (0.0, 1.0)) -> Plain:
    net = nn.Linear(features, classes)
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        net.weight.copy_(torch.randn(net.weight.shape, generator=rng))
        net.bias.copy_(torch.randn(net.bias.shape, generator=rng) * 0.1)
    return plain(net, (features,), classes, bounds)


@pytest.fixture
def make_linear():
    return linear


@dataclass
class Digits:
    target: Plain
    x: torch.Tensor
    y: torch.Tensor


@pytest.fixture(scope="session")
def _digits_plain() -> Digits:
    data, labels = load_digits(return_X_y=True)
    x = torch.from_numpy(data / 16).float().reshape(-1, 1, 8, 8)
    y = torch.from_numpy(labels).long()
    rng = torch.Generator().manual_seed(0)
    order = torch.randperm(len(x), generator=rng)
    x, y = x[order], y[order]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(512, 10),
        )
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for step in range(300):
        rows = torch.randint(1400, (64,), generator=rng)
        batch = x[rows].clone()
        if step % 2:  # half of the steps on one-step adversarial inputs: something must stay robust
            batch.requires_grad_()
            (slope,) = torch.autograd.grad(nn.functional.cross_entropy(net(batch), y[rows]), batch)
            batch = (batch.detach() + 0.1 * slope.sign()).clamp(0, 1)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(batch), y[rows]).backward()
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    target = plain(net, (1, 8, 8), 10)
    x, y = x[1400:1600], y[1400:1600]
    right = target.predict(x).argmax(1) == y
    assert right.float().mean() > 0.9
    return Digits(target, x[right], y[right])


@pytest.fixture
def digits_plain(_digits_plain: Digits) -> Digits:
    fresh = Plain(_digits_plain.target.net, _digits_plain.target.spec)
    return Digits(fresh, _digits_plain.x, _digits_plain.y)


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(11)
