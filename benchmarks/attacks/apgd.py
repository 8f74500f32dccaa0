"""Is APGD as fast as a hand-tuned loop, faster than the other libraries, and no weaker, in linf, l2 and l1?

Two adversarially trained nets: the convolutional one of pgd.py on 4,000 MNIST digits, and a ResNet with batch norm on
the same digits tinted, 32 × 32 in colour. Cross-entropy, 100 steps, one random start, on digits no net has seen and
no choice was made on; one thread. Repetitions are interleaved in one process, in rotating order; a ratio is the median
over repetitions of process CPU time / the base's in the same one: the bare loop, or in l1 (none is written) adv-lib.
Robust accuracy is asked anew in float32 from the inputs that came back, those outside the ball do not count. Below the
line stand this house's other attacks at the same number of gradients, for what they find. A library that is not
installed is a row that says so. Peers: pip install adv-lib torchattacks adversarial-robustness-toolbox (--no-deps).
"""

from __future__ import annotations

import argparse
import json
import math
import warnings
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from _models import Bench, Run, benches, by_batch, machine, row, show, timed, versions, without_torchvision
from torch import nn

from hauberk.attacks.driver import Driving
from hauberk.attacks.evasion.acg import ACG
from hauberk.attacks.evasion.apgd import APGD
from hauberk.core.protocols import EvasionAttack
from hauberk.core.threat import Ball, Norm, Threat
from hauberk.targets import from_torch

STEPS, BATCH, FIRST = 100, 128, 500
RADII: dict[str, dict[Norm, float]] = {
    "robust net": {"linf": 0.3, "l2": 2.0, "l1": 10.0},
    "robust ResNet": {"linf": 0.1, "l2": 1.0, "l1": 8.0},
}
PRECISE = Driving(precision="float32", batch=BATCH, quick=False)


def bare(model: nn.Module, norm: Norm, eps: float) -> Run:
    """APGD with cross-entropy as one would write it for this case: input gradient only, what broke leaves."""
    model = model.requires_grad_(False)
    marks = [0.0, 0.22]
    while marks[-1] < 1:
        marks.append(marks[-1] + max(marks[-1] - marks[-2] - 0.03, 0.06))
    steps = [math.ceil(round(mark * STEPS, 6)) for mark in marks if mark <= 1]
    windows = {later: later - earlier for earlier, later in pairwise(steps)}

    def way(gradient: torch.Tensor) -> torch.Tensor:
        if norm == "linf":
            return gradient.sign()
        return gradient / gradient.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1, 1)

    def project(x: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
        if norm == "linf":
            return torch.clamp(x, clean - eps, clean + eps).clamp(0, 1)
        move = x - clean
        far = move.flatten(1).norm(dim=1).view(-1, 1, 1, 1).clamp(min=1e-12)
        return (clean + move * (eps / far).clamp(max=1)).clamp(0, 1)

    def attack(clean: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        result, rows = clean.clone(), torch.arange(len(clean))
        noise = torch.rand_like(clean) * 2 - 1 if norm == "linf" else way(torch.randn_like(clean))
        x = project(clean + eps * noise, clean)
        before, peak, peak_gradient = x, x, torch.zeros_like(x)
        top = torch.full((len(x),), -torch.inf)
        last, then, gains = top, top, torch.zeros(len(x))
        pace = torch.full((len(x),), 2 * eps)
        pace_then = pace
        for index in range(STEPS):
            point = x.detach().requires_grad_()
            logits = model(point)
            chance = logits.detach().softmax(1)
            loss = nn.functional.cross_entropy(logits.detach(), labels, reduction="none")
            chance[torch.arange(len(labels)), labels] -= 1
            (gradient,) = torch.autograd.grad(logits, point, chance)
            stay = logits.argmax(1) == labels
            if not bool(stay.all()):
                result[rows[~stay]] = x[~stay]
                if not bool(stay.any()):
                    return result
                kept = (rows, labels, clean, x, before, peak, peak_gradient, top, last, then, gains, pace, pace_then)
                rows, labels, clean, x, before, peak, peak_gradient, top, last, then, gains, pace, pace_then = (
                    part[stay] for part in kept
                )
                gradient, loss = gradient[stay], loss[stay]
            gains = gains + ((loss > last) & ~torch.isinf(last))
            last, better = loss, loss > top
            top = torch.where(better, loss, top)
            wide = better.view(-1, 1, 1, 1)
            peak, peak_gradient = torch.where(wide, x, peak), torch.where(wide, gradient, peak_gradient)
            if index in windows:
                back = (gains < 0.75 * windows[index]) | ((pace == pace_then) & (top == then))
                wide = back.view(-1, 1, 1, 1)
                x, gradient = torch.where(wide, peak, x), torch.where(wide, peak_gradient, gradient)
                pace_then, then, gains = pace, top, torch.zeros_like(gains)
                pace = torch.where(back, pace / 2, pace)
            ahead = project(x + pace.view(-1, 1, 1, 1) * way(gradient), clean)
            if index:
                ahead = project(x + 0.75 * (ahead - x) + 0.25 * (x - before), clean)
            before, x = x, ahead
        result[rows] = x
        return result

    return by_batch(attack, BATCH)


def ours(model: nn.Module, norm: Norm, eps: float, attack: EvasionAttack) -> Run:
    target, threat = from_torch(model, bounds=(0.0, 1.0)), Threat(name="t", ball=Ball(norm, eps))
    return lambda x, y, seed: attack.run(target, x, y, threat, torch.Generator().manual_seed(seed))


def adv_lib(model: nn.Module, norm: Norm, eps: float) -> Run:
    without_torchvision()
    from adv_lib.attacks.auto_pgd import apgd

    order = {"linf": float("inf"), "l2": 2.0, "l1": 1.0}[norm]
    return by_batch(lambda x, y: apgd(model, x, y, eps, order, n_iter=STEPS, loss_function="ce"), BATCH)


def torchattacks(model: nn.Module, norm: Norm, eps: float) -> Run:
    import torchattacks as ta

    if norm == "l1":
        raise ImportError("has no l1")
    attack = ta.APGD(model, norm=norm.capitalize(), eps=eps, steps=STEPS, loss="ce")
    return by_batch(attack, BATCH)


def art(model: nn.Module, norm: Norm, eps: float, shape: tuple[int, ...]) -> Run:
    from art.attacks.evasion import AutoProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    loss = nn.CrossEntropyLoss()
    wrapped = PyTorchClassifier(model, loss, shape, 10, clip_values=(0.0, 1.0), device_type="cpu")
    attack = AutoProjectedGradientDescent(
        wrapped,
        norm={"linf": np.inf, "l2": 2, "l1": 1}[norm],
        eps=eps,
        eps_step=2 * eps,
        max_iter=STEPS,
        nb_random_init=1,
        batch_size=BATCH,
        loss_type="cross_entropy",
        verbose=False,
    )

    def run(x: torch.Tensor, y: torch.Tensor, seed: int) -> torch.Tensor:
        np.random.seed(seed)
        return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))

    return run


def entrants(bench: Bench, norm: Norm, eps: float) -> dict[str, Callable[[], Run]]:
    def own(attack: EvasionAttack) -> Callable[[], Run]:
        return partial(ours, bench.model, norm, eps, attack)

    rows: dict[str, Callable[[], Run]] = {}
    if norm != "l1":
        rows["bare loop"] = partial(bare, bench.model, norm, eps)
    rows["hauberk apgd ce"] = own(APGD(loss="ce", driving=PRECISE))
    rows["adv-lib"] = partial(adv_lib, bench.model, norm, eps)
    rows["torchattacks"] = partial(torchattacks, bench.model, norm, eps)
    rows["art"] = partial(art, bench.model, norm, eps, tuple(bench.x.shape[1:]))
    rows["hauberk apgd ce+margin"] = own(APGD(driving=PRECISE))
    rows["hauberk apgd prob. margin"] = own(APGD(loss="probability-margin", driving=PRECISE))
    if norm != "l1":
        rows["hauberk acg"] = own(ACG(rescaling=False, driving=PRECISE))
        rows["hauberk reacg"] = own(ACG(driving=PRECISE))
    return rows


def measure(bench: Bench, norm: Norm, eps: float, samples: int, repetitions: int) -> list[dict[str, object]]:
    x, y = bench.x[FIRST : FIRST + samples], bench.y[FIRST : FIRST + samples]
    makers = entrants(bench, norm, eps)
    seconds, found, missing = timed(makers, x, y, repetitions)
    base = "bare loop" if norm != "l1" else "adv-lib" if "adv-lib" in found else "hauberk apgd ce"
    return [
        {"name": name, "status": missing[name]}
        if name in missing
        else row(name, bench, x, y, norm, eps, seconds, found[name], base)
        for name in makers
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--weights", type=Path, help="keep the trained nets in this folder and use them again")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "results" / "attacks_apgd.json")
    choice = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    report: dict[str, object] = {
        "question": (__doc__ or "").partition("\n")[0],
        "settings": {"steps": STEPS, "batch": BATCH, "repetitions": choice.repetitions, "radii": RADII},
    }
    for bench in benches(choice.weights):
        part: dict[str, object] = {"clean_accuracy": round(bench.clean, 4)}
        for norm, eps in RADII[bench.name].items():
            part[norm] = rows = measure(bench, norm, eps, choice.samples, choice.repetitions)
            show(f"{bench.name}, {norm} ≤ {eps}, clean {bench.clean:.3f}", "base", rows)
        report[bench.name] = part
    report["versions"] = versions("adv-lib", "torchattacks", "adversarial-robustness-toolbox")
    report["machine"] = machine()
    choice.output.parent.mkdir(parents=True, exist_ok=True)
    choice.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
