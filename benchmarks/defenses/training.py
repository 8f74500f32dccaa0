"""Does hardening cost no more than the bare loop, and is it more robust after the same time than ART's trainers?

The small net of attacks/pgd.py on 4,000 of the MNIST-5k digits, l∞ 0.3, fresh weights, batches of 100, one thread.
First, one epoch of PGD-7 adversarial training, repetitions interleaved in one process, in rotating order; a ratio is
the median over repetitions of process CPU time / bare loop's. The bare loop attacks by input gradient only, in
evaluation mode, as one would write it by hand; the driver also clips, averages weights and watches for NaN; held-out
measurements are left out of both. Second, every trainer gets the same process CPU time (ART: as many whole epochs as
fit, by the time of a first one on a net that is thrown away, which is not counted), and what it trained is examined by
the `standard` cascade on digits none has seen. Ours choose their state on a tenth of the training digits, inside their
time. ART has no held-out choice and gets all digits. The share of the time each really took is shown. The budget is
small on purpose (a shared machine): `--budget 600` asks the question of ten minutes.
Peer: pip install --no-deps adversarial-robustness-toolbox.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).parents[1] / "attacks"))
from _models import TRAIN, digits, machine, versions
from pgd import net

from hauberk.attacks.engine import Plan, examine
from hauberk.attacks.evasion.pgd import PGD
from hauberk.core.evidence import Measurement
from hauberk.core.plugins import build
from hauberk.core.protocols import Split
from hauberk.core.provenance import Stamp
from hauberk.core.schema import DatasetSpec
from hauberk.core.threat import LINF_0_3
from hauberk.defenses.training_driver import train
from hauberk.defenses.training_plan import Teaching
from hauberk.defenses.training_task import Task
from hauberk.targets import from_torch

EPS, STEPS, PACE, BATCH = 0.3, 7, 0.1, 100
Fit = Callable[[nn.Module, torch.Tensor, torch.Tensor, float, int], nn.Module]
"""(fresh net, x, y, seconds or epochs, seed) → trained net."""


def bare(model: nn.Module, x: torch.Tensor, y: torch.Tensor, epochs: int, seed: int) -> None:
    """PGD-7 adversarial training as one would write it by hand."""
    rng = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=rng).split(BATCH):
            clean, labels = x[rows], y[rows]
            low, high = (clean - EPS).clamp(min=0), (clean + EPS).clamp(max=1)
            move = (torch.rand(clean.shape, generator=rng) * 2 - 1) * EPS
            point = (clean + move).clamp(0, 1)
            model.eval()
            for _ in range(STEPS):
                point.requires_grad_()
                loss = cross_entropy(model(point), labels, reduction="sum")
                (slope,) = torch.autograd.grad(loss, point)
                point = torch.clamp(point.detach() + PACE * slope.sign(), low, high)
            model.train()
            optimizer.zero_grad()
            cross_entropy(model(point), labels).backward()
            optimizer.step()


class Still:
    """An attack that does nothing: where held-out measurements are not to be timed."""

    def run(self, _: object, x: torch.Tensor, *__: object) -> torch.Tensor:
        return x


def hauberk(name: str, **settings: object) -> Fit:
    """Train by one of our defenses under a budget of process CPU time."""

    def fit(model: nn.Module, x: torch.Tensor, y: torch.Tensor, seconds: float, seed: int) -> nn.Module:
        defense = cast(Teaching, build("defenses", f"training.{name}"))
        plan = replace(defense.training, budget=seconds, batch=BATCH, warm=False)
        defense = replace(defense, training=plan, **settings)  # type: ignore[type-var]
        task = Task(_target(model), Split(x.numpy(), y.numpy()), LINF_0_3, PGD(steps=20))
        rng = torch.Generator().manual_seed(seed)
        trained = train(defense, task, rng, clock=time.process_time).target
        return trained.module()  # type: ignore[attr-defined]

    return fit


def art(kind: str) -> Fit:
    """Train by one of ART's trainers for as many epochs as fit."""

    def fit(model: nn.Module, x: torch.Tensor, y: torch.Tensor, seconds: float, seed: int) -> nn.Module:
        start = time.process_time()
        torch.manual_seed(seed)
        np.random.seed(seed)
        probe = net()
        _art_epochs(kind, probe, x[: 2 * BATCH], y[: 2 * BATCH], 1)  # imports and first calls are not its speed
        begun = time.process_time()
        _art_epochs(kind, probe, x, y, 1)
        epochs = max(1, round(seconds / (time.process_time() - begun)))
        skipped[0] = time.process_time() - start
        _art_epochs(kind, model, x, y, epochs)
        return model

    return fit


skipped = [0.0]
"""Seconds of the last fit that are not counted."""


def _art_epochs(kind: str, model: nn.Module, x: torch.Tensor, y: torch.Tensor, epochs: int) -> None:
    from art.attacks.evasion import ProjectedGradientDescent
    from art.defences.trainer import (
        AdversarialTrainer,
        AdversarialTrainerAWPPyTorch,
        AdversarialTrainerFBFPyTorch,
        AdversarialTrainerTRADESPyTorch,
    )

    wrapped = _wrapped(model, kind)
    one_hot = np.eye(10, dtype=np.float32)[y.numpy()]
    attack = ProjectedGradientDescent(
        wrapped, norm=np.inf, eps=EPS, eps_step=PACE, max_iter=STEPS, num_random_init=1, batch_size=BATCH, verbose=False
    )
    if kind == "PGD, clean start":  # at the full radius from the first step it may collapse to one class
        wrapped.fit(x.numpy(), one_hot, batch_size=BATCH, nb_epochs=2)
    if kind.startswith("PGD"):
        AdversarialTrainer(wrapped, attack, ratio=1.0).fit(x.numpy(), one_hot, batch_size=BATCH, nb_epochs=epochs)
        return
    trainers = {
        "TRADES": lambda: AdversarialTrainerTRADESPyTorch(wrapped, attack, beta=6.0),
        "AWP": lambda: AdversarialTrainerAWPPyTorch(
            wrapped, _wrapped(net(), kind), attack, mode="PGD", gamma=0.005, beta=6.0, warmup=0
        ),
        "fast": lambda: AdversarialTrainerFBFPyTorch(wrapped, eps=EPS),
    }
    trainers[kind]().fit(x.numpy(), one_hot, batch_size=BATCH, nb_epochs=epochs)


class _Whole(nn.Module):
    """ART's trainers take the first output of a Sequential for its answer, which is its first layer's."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return cast(torch.Tensor, self.inner(x))


def _wrapped(model: nn.Module, kind: str) -> object:
    """ART's estimator; its fast trainer sets learning rates up to 0.21, which are those of SGD."""
    from art.estimators.classification import PyTorchClassifier

    model = _Whole(model)
    rate = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    optimizer = rate if kind == "fast" else torch.optim.Adam(model.parameters(), lr=1e-3)
    return PyTorchClassifier(
        model=model,
        loss=nn.CrossEntropyLoss(),
        optimizer=optimizer,
        input_shape=(1, 28, 28),
        nb_classes=10,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )


@dataclass
class Data:
    """Digits as the examiner takes them."""

    train: Split
    test: Split
    spec: DatasetSpec


def _target(model: nn.Module) -> object:
    return from_torch(model, shape=(1, 28, 28), classes=10)


def epochs(x: torch.Tensor, y: torch.Tensor, repetitions: int) -> list[dict[str, object]]:
    """Time one epoch of each, interleaved."""

    def ours(precision: str) -> Callable[[int], object]:
        def run(seed: int) -> object:
            defense = cast(Teaching, build("defenses", "training.adversarial_training"))
            plan = replace(defense.training, epochs=1, batch=BATCH, warm=False, held_out=1e-4, precision=precision)
            task = Task(_target(net()), Split(x.numpy(), y.numpy()), LINF_0_3, Still())
            return train(replace(defense, training=plan), task, torch.Generator().manual_seed(seed))

        return run

    entrants: dict[str, Callable[[int], object]] = {
        "bare loop": lambda seed: bare(net(), x, y, 1, seed),
        "hauberk, float32": ours("float32"),
        "hauberk, as it comes": ours("auto"),
        "ART AdversarialTrainer": lambda _: _art_epochs("PGD", net(), x, y, 1),
    }
    seconds: dict[str, list[float]] = {name: [] for name in entrants}
    missing: dict[str, str] = {}
    for repetition in range(repetitions + 1):  # the first warms up and is not counted
        names = list(entrants)
        turn = repetition % len(names)
        for name in names[turn:] + names[:turn]:
            if name in missing:
                continue
            begun = time.process_time()
            try:
                entrants[name](repetition)
            except ImportError as error:
                missing[name] = f"not installed: {error.name}"
                continue
            if repetition:
                seconds[name].append(time.process_time() - begun)
    rows: list[dict[str, object]] = []
    for name, times in seconds.items():
        if name in missing:
            rows.append({"name": name, "status": missing[name]})
            continue
        ratios = [mine / base for mine, base in zip(times, seconds["bare loop"], strict=True)]
        rows.append(
            {
                "name": name,
                "status": "measured",
                "ratio_to_bare_loop_median": round(statistics.median(ratios), 3),
                "ratio_lowest": round(min(ratios), 3),
                "ratio_highest": round(max(ratios), 3),
            }
        )
        print(rows[-1], flush=True)
    return rows


ENTRANTS: dict[str, Fit] = {
    "hauberk free": hauberk("free_adversarial_training"),
    "hauberk TRADES": hauberk("trades"),
    "hauberk PGD": hauberk("adversarial_training"),
    "ART PGD": art("PGD"),
    "ART PGD, two clean epochs first": art("PGD, clean start"),
    "ART TRADES": art("TRADES"),
    "ART AWP": art("AWP"),
    "ART fast": art("fast"),
}


def quality(x: torch.Tensor, y: torch.Tensor, budget: float, seeds: int, samples: int) -> Iterator[dict[str, object]]:
    """Train each for the same time and examine what came out; a row for each."""
    spec = DatasetSpec(
        name="mnist5k",
        layout="chw",
        shape=(1, 28, 28),
        classes=tuple("0123456789"),
        digest="",
        bounds=(0.0, 1.0),
        train=0,
        test=samples,
    )
    split = Split(x[TRAIN : TRAIN + samples].numpy(), y[TRAIN : TRAIN + samples].numpy())
    data = Data(Split(x[:0].numpy(), y[:0].numpy()), split, spec)
    for seed in range(seeds):
        for name, fit in ENTRANTS.items():
            torch.manual_seed(seed)
            model = net()
            skipped[0], begun = 0.0, time.process_time()
            try:
                model = fit(model, x[:TRAIN], y[:TRAIN], budget, seed)
            except ImportError as error:
                yield {"name": name, "status": f"not installed: {error.name}"}
                continue
            took = (time.process_time() - begun - skipped[0]) / budget
            model.eval()
            plan = Plan(profile="standard", samples=samples, exhibits=0, checks=False)
            found = list(examine(_target(model), data, LINF_0_3, plan, stamp=Stamp(), seed=0))
            heads = {row.name: row for row in found if isinstance(row, Measurement) and row.role == "headline"}
            robust = heads["robust_accuracy"]
            yield {
                "name": name,
                "status": "measured",
                "seed": seed,
                "robust_accuracy": round(robust.value, 4),
                "robust_low_95": round(robust.low, 4),
                "robust_high_95": round(robust.high, 4),
                "clean_accuracy": round(heads["clean_accuracy"].value, 4),
                "share_of_time": round(took, 2),
                "samples": robust.n,
            }


def means(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Average each entrant over seeds."""
    found = []
    for name in ENTRANTS:
        mine = [row for row in rows if row["name"] == name and row["status"] == "measured"]
        if mine:
            robust, clean = ([cast(float, row[key]) for row in mine] for key in ("robust_accuracy", "clean_accuracy"))
            found.append(
                {
                    "name": name,
                    "robust_mean": round(statistics.mean(robust), 4),
                    "robust_lowest": min(robust),
                    "robust_highest": max(robust),
                    "clean_mean": round(statistics.mean(clean), 4),
                    "seeds": len(mine),
                }
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--budget", type=float, default=60.0, help="seconds of process CPU time for each trainer")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "results" / "defenses_training.json")
    choice = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    x, y = digits()
    report: dict[str, object] = {
        "question": (__doc__ or "").partition("\n")[0],
        "settings": {
            "eps": EPS,
            "steps": STEPS,
            "step": PACE,
            "batch": BATCH,
            "repetitions": choice.repetitions,
            "budget_cpu_seconds": choice.budget,
            "seeds": choice.seeds,
            "profile": "standard",
            "threads": 1,
        },
    }
    report["versions"], report["machine"] = versions("adversarial-robustness-toolbox"), machine()
    report["one epoch of PGD-7"] = epochs(x[:TRAIN], y[:TRAIN], choice.repetitions)
    choice.output.parent.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    for row in quality(x, y, choice.budget, choice.seeds, choice.samples):
        print(row, flush=True)
        rows.append(row)
        report["after equal time"], report["means over seeds"] = rows, means(rows)
        # After every row: hours of training are not to be lost with the last one.
        choice.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
