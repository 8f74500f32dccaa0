"""What does a step of DP-SGD cost over a step of plain SGD, beside Opacus and vmap(grad), in time and in memory?

Three networks: an MLP of 536,000 parameters (batch 128), a CNN of 26,000 (batch 128), a text model of an embedding and
one attention block (batch 64, 64 tokens). Flat clipping at 1, noise multiplier 1.1. All entrants take their steps in
turn, the order rotates; a figure is the lower quartile of process CPU seconds over those of plain SGD (others share
the machine; the median stands beside). Memory: peak resident memory of six steps over what stood before them, in a
process of its own. Exact: the largest relative difference of clipped sums to one example at a time.
Peers: pip install --no-deps opacus opt_einsum (on PYTHONPATH); what is not installed is a row that says so.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[1] / "attacks"))
from _models import machine, versions

from hauberk.numeric.book_keeping import BookKeeping
from hauberk.numeric.clipped_sums import Flat, cross_entropy
from hauberk.numeric.clipping import Clipping
from hauberk.numeric.example_gradients import ExampleGradients, largest_gap
from hauberk.numeric.ghost_clipping import GhostClipping
from hauberk.numeric.private_noise import NoiseSource

NOISE, CLIP, RATE = 1.1, 1.0, 1e-3


class Text(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        width = 64
        self.embed, self.first, self.second = nn.Embedding(5000, width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.p = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down, self.out = nn.Linear(width, 256), nn.Linear(256, width), nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.embed(x)
        z = self.first(h)
        q, k, v = (layer(z).view(*x.shape, 4, 16).transpose(1, 2) for layer in (self.q, self.k, self.v))
        h = h + self.p(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        h = h + self.down(functional.gelu(self.up(self.second(h))))
        return self.out(h.mean(1))


class Job(NamedTuple):
    module: nn.Module
    x: torch.Tensor
    y: torch.Tensor


def job(name: str) -> Job:
    torch.manual_seed(0)
    if name == "MLP":
        layers = (nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))
        return Job(nn.Sequential(*layers), torch.randn(128, 784), torch.randint(10, (128,)))
    if name == "CNN":
        body = (nn.Conv2d(1, 16, 8, 2, 3), nn.ReLU(), nn.MaxPool2d(2, 1), nn.Conv2d(16, 32, 4, 2), nn.ReLU())
        head = (nn.MaxPool2d(2, 1), nn.Flatten(), nn.Linear(512, 32), nn.ReLU(), nn.Linear(32, 10))
        return Job(nn.Sequential(*body, *head), torch.randn(128, 1, 28, 28), torch.randint(10, (128,)))
    return Job(Text(), torch.randint(5000, (64, 64)), torch.randint(10, (64,)))


def plain(given: Job) -> Callable[[], None]:
    optimizer = torch.optim.SGD(given.module.parameters(), lr=RATE)

    def step() -> None:
        optimizer.zero_grad()
        functional.cross_entropy(given.module(given.x), given.y).backward()
        optimizer.step()

    return step


def own(given: Job, engine: object) -> Callable[[], None]:
    flat, source, clipping = Flat(given.module), NoiseSource(), Clipping(bound=CLIP)
    optimizer = torch.optim.SGD(given.module.parameters(), lr=RATE)

    def step() -> None:
        source.fill_normal(flat.buffer, NOISE * CLIP)
        engine.add(given.x, given.y, clipping, flat)
        flat.buffer.div_(len(given.y))
        for parameter in flat.parameters:
            parameter.grad = flat.of(parameter)
        optimizer.step()

    return step


def opacus(given: Job, mode: str) -> Callable[[], None]:
    from opacus import PrivacyEngine

    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(given.x, given.y), batch_size=len(given.y))
    optimizer = torch.optim.SGD(given.module.parameters(), lr=RATE)
    settings = {
        "module": given.module,
        "optimizer": optimizer,
        "data_loader": loader,
        "noise_multiplier": NOISE,
        "max_grad_norm": CLIP,
        "poisson_sampling": False,
        "grad_sample_mode": mode,
    }
    if mode == "ghost":
        module, optimizer, loss, _ = PrivacyEngine().make_private(**settings, criterion=nn.CrossEntropyLoss())
    else:
        module, optimizer, _ = PrivacyEngine().make_private(**settings)
        loss = nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        loss(module(given.x), given.y).backward()
        optimizer.step()

    return step


ENTRANTS: dict[str, Callable[[Job], Callable[[], None]]] = {
    "plain SGD": plain,
    "hauberk book-keeping": lambda given: own(given, BookKeeping(given.module, cross_entropy)),
    "hauberk ghost": lambda given: own(given, GhostClipping(given.module, cross_entropy)),
    "vmap(grad)": lambda given: own(given, ExampleGradients(given.module, cross_entropy)),
    "Opacus hooks": lambda given: opacus(given, "hooks"),
    "Opacus ghost": lambda given: opacus(given, "ghost"),
}
SLOW = ("vmap(grad)", "Opacus hooks")


def exactness(name: str) -> float:
    given = job(name)
    quick, exact = Flat(given.module), Flat(given.module)
    BookKeeping(given.module, cross_entropy).add(given.x, given.y, Clipping(bound=CLIP), quick)
    ExampleGradients(given.module, cross_entropy, one_by_one=True).add(given.x, given.y, Clipping(bound=CLIP), exact)
    return largest_gap(quick.buffer, exact.buffer)


def timed(name: str, rounds: int) -> tuple[dict[str, list[float]], dict[str, str]]:
    steps, missing = {}, {}
    for entrant, make in ENTRANTS.items():
        try:
            steps[entrant] = make(job(name))
            steps[entrant]()
        except ImportError as error:
            missing[entrant] = f"not installed: {error}"
    seconds: dict[str, list[float]] = {entrant: [] for entrant in steps}
    for turn in range(rounds):
        order = list(steps)
        turn %= len(order)
        for entrant in order[turn:] + order[:turn]:
            for _ in range(1 if entrant in SLOW else 3):
                begun = time.process_time()
                steps[entrant]()
                seconds[entrant].append(time.process_time() - begun)
    return seconds, missing


def quartile(values: list[float]) -> float:
    return sorted(values)[len(values) // 4]


def peak(name: str, entrant: str) -> float:
    """Peak resident memory of six steps over the start, in MB, in this process; the start is after one forward pass."""
    given = job(name)
    step = ENTRANTS[entrant](given)
    with torch.no_grad():
        given.module(given.x[:2])
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins here
    before = resident("VmRSS")
    for _ in range(6):
        step()
    return max(0.0, resident("VmHWM") - before)


def resident(key: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory(name: str, entrant: str) -> float | None:
    found = subprocess.run(
        [sys.executable, __file__, "--peak", name, entrant], capture_output=True, text=True, check=False
    )
    return round(float(found.stdout.split()[-1]), 1) if found.returncode == 0 else None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--peak", nargs=2)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if chosen.peak:
        print(peak(*chosen.peak))
        return
    rows, ratios = [], []
    for name in ("MLP", "CNN", "text"):
        seconds, missing = timed(name, chosen.rounds)
        base = seconds["plain SGD"]
        for entrant in ENTRANTS:
            if entrant in missing:
                rows.append({"network": name, "entrant": entrant, "missing": missing[entrant]})
                continue
            ratio = quartile(seconds[entrant]) / quartile(base)
            rows.append(
                {
                    "network": name,
                    "entrant": entrant,
                    "time over plain SGD": round(ratio, 3),
                    "by medians": round(statistics.median(seconds[entrant]) / statistics.median(base), 3),
                    "peak MB over the start": memory(name, entrant),
                }
            )
            if entrant == "hauberk book-keeping":
                ratios.append(ratio)
                rows[-1]["clipped sums differ from one by one"] = float(f"{exactness(name):.1e}")
            print(rows[-1], flush=True)
    mean = math.prod(ratios) ** (1 / len(ratios))
    print(f"geometric mean of book-keeping: {mean:.3f}")
    result = {
        "question": (__doc__ or "").partition("\n")[0],
        "versions": versions("opacus"),
        "machine": machine(),
        "settings": {"noise": NOISE, "clip": CLIP, "rounds": chosen.rounds},
        "geometric mean, hauberk book-keeping over plain SGD": round(mean, 3),
        "rows": rows,
    }
    path = Path(__file__).parents[1] / "results" / "privacy_dp_sgd.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
