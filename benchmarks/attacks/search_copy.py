"""What does searching with a folded, channels-last copy in bfloat16 save, and does it change the figure?

PGD-40 in l∞ from a random start on two ResNets with batch norm: a small one trained against one-step attacks, radius
0.12, and a wider one with random weights at a radius so small that nothing breaks, for the time alone. The base is a
hand-written loop in float32: frozen weights, input gradient only, broken samples leave. Breaks count by the network
itself in float32.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from _models import Bench, Block, Run, benches, machine, row, show, timed, versions
from torch import nn

from hauberk.attacks.driver import Driving
from hauberk.attacks.evasion.pgd import PGD
from hauberk.core.threat import Ball, Threat
from hauberk.targets import from_torch

STEPS, PACE, BATCH = 40, 0.1, 32
ENTRANTS: dict[str, Driving] = {
    "hauberk, float32, no copy": Driving(precision="float32", quick=False),
    "hauberk, float32, copy": Driving(precision="float32"),
    "hauberk, auto": Driving(),
}


def wide() -> nn.Module:
    """A ResNet of four blocks, 32 to 256 channels."""
    body = [Block(32, 32, 1), Block(32, 64, 2), Block(64, 128, 2), Block(128, 256, 2)]
    stem = [nn.Conv2d(3, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()]
    return nn.Sequential(*stem, *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))


def bare(model: nn.Module, eps: float) -> Run:
    """The loop one would write."""
    model.requires_grad_(False)

    def run(x: torch.Tensor, y: torch.Tensor, seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        result = torch.empty_like(x)
        for rows in torch.arange(len(x)).split(BATCH):
            labels, low, high = y[rows], (x[rows] - eps).clamp(min=0), (x[rows] + eps).clamp(max=1)
            point = (x[rows] + (torch.rand_like(x[rows]) * 2 - 1) * eps).clamp(0, 1)
            for _ in range(STEPS):
                point.requires_grad_()
                logits = model(point)
                slope = logits.detach().softmax(1)
                slope[torch.arange(len(labels)), labels] -= 1
                (gradient,) = torch.autograd.grad(logits, point, slope)
                point, stay = point.detach(), logits.argmax(1) == labels
                if not bool(stay.all()):
                    result[rows[~stay]] = point[~stay]
                    rows, labels, low, high = rows[stay], labels[stay], low[stay], high[stay]
                    point, gradient = point[stay], gradient[stay]
                    if not len(rows):
                        break
                point = torch.clamp(point + PACE * eps * gradient.sign(), low, high)
            result[rows] = point
        return result

    return run


def ours(model: nn.Module, eps: float, driving: Driving) -> Run:
    """One attack, asked to search in some way."""
    target, attack = from_torch(model, bounds=(0.0, 1.0)), PGD(steps=STEPS, pace=PACE, driving=driving)
    threat = Threat(name="bench", ball=Ball("linf", eps))
    return lambda x, y, seed: attack.run(target, x, y, threat, torch.Generator().manual_seed(seed))


def main() -> None:
    """Measure both nets and write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--samples", type=int, default=96)
    parser.add_argument("--weights", type=Path, help="keep the trained nets in this folder and use them again")
    choice = parser.parse_args()
    torch.set_num_threads(1)
    small = benches(choice.weights)[1]
    torch.manual_seed(0)
    large = Bench("wide ResNet, random weights", wide().eval(), small.x, small.y, 0.0)
    result: dict[str, object] = {
        "question": (__doc__ or "").partition("\n")[0],
        "settings": {"steps": STEPS, "samples": choice.samples, "repetitions": choice.repetitions},
    }
    for bench, eps in ((small, 0.12), (large, 1e-4)):
        x, y = bench.x[: choice.samples], bench.y[: choice.samples]
        with torch.no_grad():
            y = y if bench is small else bench.model(x).argmax(1)
        makers = {"bare loop": lambda b=bench, e=eps: bare(b.model, e)}
        makers |= {name: lambda b=bench, e=eps, d=driving: ours(b.model, e, d) for name, driving in ENTRANTS.items()}
        seconds, found, _ = timed(makers, x, y, choice.repetitions)
        rows = [row(name, bench, x, y, "linf", eps, seconds, found[name], "bare loop") for name in makers]
        result[bench.name] = {"radius": eps, "clean_accuracy": round(bench.clean, 4), "rows": rows}
        show(bench.name, "bare loop", rows)
    result["versions"], result["machine"] = versions(), machine()
    path = Path(__file__).parents[1] / "results" / "attacks_search_copy.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
