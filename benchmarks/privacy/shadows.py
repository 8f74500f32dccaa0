"""What does training reference models side by side save over training them one by one?

The same networks, rows, order and Adam either way, one thread; the ratio is of CPU time one by one over side by side,
interleaved. 16 models, five epochs on halves of 2,000 records; the one by one loop has the same fused Adam.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from _settings import digits, machine, table, versions
from torch import nn

from hauberk.attacks.references import halves
from hauberk.attacks.shadow_training import Recipe, train_alone, train_stacked

MODELS, RECORDS = 16, 2000


def conv() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(784, 10),
    )


def mlp(inputs: int, hidden: int, classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, classes))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=3)
    choice = parser.parse_args()
    torch.set_num_threads(1)
    tx, ty = table()
    dx, dy = digits()
    cases = (
        ("table, 64 hidden, batch 32", mlp(200, 64, 50), tx, ty, 32),
        ("table, 128 hidden, batch 64", mlp(200, 128, 50), tx, ty, 64),
        ("digits, 64 hidden, batch 32", mlp(784, 64, 10), dx, dy, 32),
        ("digits, 128 hidden, batch 64", mlp(784, 128, 10), dx, dy, 64),
        ("digits, convolutional 8-16, batch 32", conv(), dx.reshape(-1, 1, 28, 28), dy, 32),
    )
    member = halves(RECORDS, MODELS, 0)
    rows, found = torch.stack([own.nonzero()[:, 0] for own in member]), []
    train_stacked(cases[0][1], tx, ty, rows, Recipe(epochs=1), range(MODELS))  # warm
    for name, net, x, y, batch in cases:
        recipe, ratios, gap = Recipe(epochs=5, batch=batch), [], 0.0
        for _ in range(choice.repetitions):
            begun = time.process_time()
            together = train_stacked(net, x, y, rows, recipe, range(MODELS)).states
            middle = time.process_time()
            alone = [train_alone(net, x, y, own, recipe, seed).states[0] for seed, own in enumerate(rows)]
            ratios.append((time.process_time() - middle) / (middle - begun))
            gap = max(float((a[key] - b[key]).abs().max()) for a, b in zip(together, alone, strict=True) for key in a)
        ratio = {"ratio_median": round(statistics.median(ratios), 2), "lowest": round(min(ratios), 2)}
        found.append({"setting": name, **ratio, "highest": round(max(ratios), 2), "largest_weight_difference": gap})
        print(found[-1], flush=True)
    result = {"question": (__doc__ or "").partition("\n")[0], "models": MODELS, "rows": found}
    result |= {"versions": versions(), "machine": machine()}
    path = Path(__file__).parents[1] / "results" / "privacy_shadows.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
