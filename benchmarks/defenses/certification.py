"""Are our certified bounds as tight and as fast as auto_LiRPA's, and how many noise samples does a certificate take?

Bounds: margins of small digit networks over a ball, by intervals (IBP), lines over intervals (CROWN-IBP) and lines
throughout (CROWN); both tools trace each network once, outside the timing, and take turns. A difference is ours less
theirs of every margin: above 0 ours are tighter. Smoothing: "is the certified l2 radius at least r?" for a network
trained on noise, by the sequential test and by 100,000 looks as is customary, at the same error of 0.001 each.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from hauberk.core.threat import Ball
from hauberk.numeric.intervals import clopper_pearson
from hauberk.numeric.linear_bounds import Method, area_of, certified, margins
from hauberk.numeric.linear_bounds_graph import graph_of
from hauberk.numeric.smoothing import Question, needed

METHODS: dict[Method, str] = {"ibp": "IBP", "crown-ibp": "CROWN-IBP", "crown": "CROWN"}
BALLS = (("linf", 0.03), ("l2", 0.2))
SAMPLES, REPETITIONS = 50, 7
LOOKS, ERROR, CHOSEN, ASKED = 100_000, 0.001, 64, 200
WIDE = (-10.0, 10.0)


class Residual(nn.Module):
    """A short cut around a convolution, batch norm and average pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.second, self.last = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.norm(self.first(x)))
        h = torch.relu(h + self.second(h))
        return self.last(nn.functional.avg_pool2d(h, 2).flatten(1))


def nets() -> dict[str, nn.Module]:
    """Make the networks, untrained."""
    return {
        "dense, ReLU": nn.Sequential(
            nn.Flatten(), nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10)
        ),
        "dense, tanh": nn.Sequential(
            nn.Flatten(), nn.Linear(64, 50), nn.Tanh(), nn.Linear(50, 50), nn.Tanh(), nn.Linear(50, 10)
        ),
        "convolutional": nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, 50),
            nn.ReLU(),
            nn.Linear(50, 10),
        ),
        "max pooling": nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, 10),
        ),
        "residual": Residual(),
    }


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """The bundled digits in an order of their own; the first 1,297 to train on."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return torch.tensor((x[order] / 16).reshape(-1, 1, 8, 8).astype(np.float32)), torch.tensor(y[order])


def trained(net: nn.Module, x: torch.Tensor, y: torch.Tensor, noise: float = 0.0, epochs: int = 15) -> nn.Module:
    """Train by Adam, on noisy inputs where asked."""
    optimizer = torch.optim.Adam(net.train().parameters(), lr=3e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            noisy = x[rows] + noise * torch.randn_like(x[rows])
            nn.functional.cross_entropy(net(noisy), y[rows]).backward()
            optimizer.step()
    return net.eval().requires_grad_(False)


def compared(name: str, net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> list[dict[str, object]]:
    """Bound one network over each ball by each method, side by side."""
    rows = []
    graph, classes = graph_of(net, x), 10
    own = nn.functional.one_hot(y, classes)
    over = own.float().unsqueeze(1) - torch.eye(classes)
    peer = bounded(net, x)
    for norm, radius in BALLS:
        area = area_of(Ball(norm, radius), x, WIDE)
        for method, theirs in METHODS.items():
            row: dict[str, object] = {"network": name, "ball": f"{norm} {radius:g}", "method": theirs}
            ours = margins(graph, area, y, method)
            row["proven"] = round(float(certified(graph, area, y, None, method).float().mean()), 3)
            if peer is None:
                rows.append(row | {"status": "auto_LiRPA not installed"})
                continue
            ask = asker(peer, x, norm, radius, over, theirs)
            other, ratios = ask(), []
            for repetition in range(REPETITIONS):
                seconds = {}
                turns = {"ours": lambda method=method, area=area: margins(graph, area, y, method), "theirs": ask}
                for turn in sorted(turns, reverse=bool(repetition % 2)):
                    begun = time.process_time()
                    turns[turn]()
                    seconds[turn] = time.process_time() - begun
                ratios.append(seconds["theirs"] / seconds["ours"])
            rival = own == 0
            gap = (ours - other)[rival]
            looser = ((other - ours) / other.abs().clamp(min=1e-2))[rival]
            rows.append(
                row
                | {
                    "greatest difference": round(float(gap.max()), 6),
                    "least difference": round(float(gap.min()), 6),
                    "mean looser than theirs": round(float(looser.mean()), 6),
                    "theirs / ours, time": round(statistics.median(ratios), 2),
                    "lowest": round(min(ratios), 2),
                    "highest": round(max(ratios), 2),
                }
            )
            print(rows[-1], flush=True)
    return rows


def bounded(net: nn.Module, x: torch.Tensor) -> object:
    """Trace a network by auto_LiRPA; None where it is not installed."""
    try:
        from auto_LiRPA import BoundedModule
    except ImportError:
        return None
    return BoundedModule(net, x[:1], device="cpu")


def asker(peer: object, x: torch.Tensor, norm: str, radius: float, over: torch.Tensor, method: str):
    """Return a call of auto_LiRPA's for these margins."""
    from auto_LiRPA import BoundedTensor, PerturbationLpNorm

    order = float("inf") if norm == "linf" else 2

    def ask() -> torch.Tensor:
        place = BoundedTensor(x, PerturbationLpNorm(norm=order, eps=radius))
        return peer.compute_bounds(x=(place,), C=over, method=method, bound_upper=False)[0].detach()

    return ask


def counted(net: nn.Module, one: torch.Tensor, label: int, looks: int, sigma: float, rng: torch.Generator) -> int:
    """Count how often the class comes first in noisy looks at one input."""
    hits = 0
    for part in torch.arange(looks).split(5000):
        noise = torch.randn((len(part), *one.shape), generator=rng)
        hits += int((net(one + sigma * noise).argmax(1) == label).sum())
    return hits


def smoothing(net: nn.Module, x: torch.Tensor, y: torch.Tensor, sigma: float, radius: float) -> dict[str, object]:
    """Ask of each sample whether its radius is at least so large, both ways, on looks of their own."""
    least, rng = needed(radius, sigma), torch.Generator().manual_seed(1)
    question, used, fixed, sequential = Question(least, ERROR, ERROR), [], [], []
    for one, label in zip(x, y.tolist(), strict=True):
        full = counted(net, one, label, LOOKS, sigma, rng)
        fixed.append(clopper_pearson(full, LOOKS, 1 - 2 * ERROR).low > least)
        hits = draws = 0
        verdict = "not" if counted(net, one, label, CHOSEN, sigma, rng) * 2 < CHOSEN else "open"
        while verdict == "open" and draws < LOOKS:
            part = min(max(32, draws // 4), LOOKS - draws)
            hits, draws = hits + counted(net, one, label, part, sigma, rng), draws + part
            verdict = question.answer(hits, draws)
        used.append(CHOSEN + draws)
        sequential.append(verdict == "proven")
    share = clopper_pearson(sum(sequential), len(sequential))
    row = {
        "sigma": sigma,
        "radius": radius,
        "proven by 100,000 looks": sum(fixed) / len(fixed),
        "proven by the sequential test": share.value,
        "low 95": round(share.low, 4),
        "high 95": round(share.high, 4),
        "proven by it alone": sum(b and not a for a, b in zip(fixed, sequential, strict=True)),
        "proven by 100,000 looks alone": sum(a and not b for a, b in zip(fixed, sequential, strict=True)),
        "mean looks": round(statistics.mean(used), 1),
        "95th percentile": int(np.quantile(used, 0.95)),
        "share of 100,000": round(statistics.mean(used) / LOOKS, 5),
        "samples": len(used),
    }
    print(row, flush=True)
    return row


def versions() -> dict[str, str]:
    """Say what ran."""
    found = {"python": platform.python_version(), "hauberk": "this tree", "torch": importlib.metadata.version("torch")}
    try:
        import auto_LiRPA

        found["auto_LiRPA"] = auto_LiRPA.__version__
    except ImportError:
        found["auto_LiRPA"] = "not installed"
    return found


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--asked", type=int, default=ASKED, help="samples asked for a radius")
    asked = parser.parse_args().asked
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x, y = digits()
    rows = []
    for name, net in nets().items():
        trained(net, x[:1297], y[:1297])
        rows += compared(name, net, x[-SAMPLES:], net(x[-SAMPLES:]).argmax(1))
    looks = []
    for sigma, radius in ((0.25, 0.1), (0.25, 0.25), (0.25, 0.5), (0.5, 0.5)):
        noisy = nn.Sequential(nn.Flatten(), nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))
        trained(noisy, x[:1297], y[:1297], noise=sigma, epochs=40)
        looks.append(smoothing(noisy, x[-asked:], y[-asked:], sigma, radius))
    result = {
        "question": (__doc__ or "").partition("\n")[0],
        "bounds": rows,
        "smoothing": looks,
        "settings": {"samples": SAMPLES, "repetitions": REPETITIONS, "error": ERROR, "most looks": LOOKS},
        "versions": versions(),
        "machine": {"kind": platform.machine(), "clock": "process CPU time", "threads": 1},
    }
    path = Path(__file__).parents[1] / "results" / "defenses_certification.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
