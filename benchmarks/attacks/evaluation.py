"""Is a whole worst-case evaluation faster than the other libraries' AutoAttack, and no weaker?

The profiles of this house's own cascade and its `evasion.autoattack` beside the authors' own AutoAttack (version
standard), that of torchattacks (whose FAB has 10 steps) and that of ART (a mix of its own: DeepFool in place of FAB-T,
no targeted DLR), on two nets and on digits they have not seen. The profiles were tuned on other digits, but `full` was
shifted once more after a first look at these, and conjugate gradients were added to all of them after a look at 900
digits of the robust net, some of these among them. Timing and robust accuracy as in apgd.py; ratios are to
the authors' where it is installed, else to this house's autoattack.
Peers: pip install torchattacks adversarial-robustness-toolbox multiprocess (--no-deps keeps torchvision out); the
authors' is on no package index: a checkout of github.com/fra31/auto-attack on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from _models import Bench, Run, benches, by_batch, machine, row, show, timed, versions
from torch import nn

from hauberk.attacks.cascade import CASCADES, assault
from hauberk.attacks.chunks import streams
from hauberk.attacks.driver import Driving
from hauberk.attacks.evasion.autoattack import AutoAttack
from hauberk.core.plugins import build
from hauberk.core.protocols import EvasionAttack
from hauberk.core.threat import Ball, Norm, Threat
from hauberk.targets import from_torch

BATCH, FIRST = 128, 300
RADII: dict[str, tuple[Norm, float]] = {"robust net": ("linf", 0.3), "robust ResNet": ("linf", 0.1)}
SHARE = {"robust net": 1.0, "robust ResNet": 0.2}
"""Of the samples asked for: the ResNet costs seven times as much."""
PEER = "authors' AutoAttack"


def cascade(model: nn.Module, norm: Norm, eps: float, attacks: tuple[EvasionAttack, ...]) -> Run:
    target, threat = from_torch(model, bounds=(0.0, 1.0)), Threat(name="t", ball=Ball(norm, eps))
    return lambda x, y, seed: assault(target, attacks, x, y, threat, streams(seed, len(attacks))).x


def authors(model: nn.Module, norm: Norm, eps: float) -> Run:
    from autoattack import AutoAttack as Peer

    def run(x: torch.Tensor, y: torch.Tensor, seed: int) -> torch.Tensor:
        peer = Peer(model, norm=norm.capitalize(), eps=eps, seed=seed, verbose=False, device="cpu")
        found: torch.Tensor = peer.run_standard_evaluation(x, y, bs=BATCH)
        return found

    return run


def torchattacks(model: nn.Module, norm: Norm, eps: float) -> Run:
    import torchattacks as ta

    return by_batch(ta.AutoAttack(model, norm=norm.capitalize(), eps=eps, n_classes=10), BATCH)


def art(model: nn.Module, norm: Norm, eps: float, shape: tuple[int, ...]) -> Run:
    from art.attacks.evasion import AutoAttack as Peer
    from art.estimators.classification import PyTorchClassifier

    loss = nn.CrossEntropyLoss()
    wrapped = PyTorchClassifier(model, loss, shape, 10, clip_values=(0.0, 1.0), device_type="cpu")
    order = np.inf if norm == "linf" else 2
    attack = Peer(wrapped, norm=order, eps=eps, eps_step=2 * eps, batch_size=BATCH)

    def run(x: torch.Tensor, y: torch.Tensor, seed: int) -> torch.Tensor:
        np.random.seed(seed)
        return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))

    return run


def entrants(bench: Bench, norm: Norm, eps: float, *, with_art: bool) -> dict[str, Callable[[], Run]]:
    rows: dict[str, Callable[[], Run]] = {
        PEER: partial(authors, bench.model, norm, eps),
        "torchattacks AutoAttack": partial(torchattacks, bench.model, norm, eps),
    }
    for profile, routes in CASCADES.items():
        built = (cast(EvasionAttack, build("attacks", *stage)) for stage in routes["white-box"])
        attacks = tuple(attack for attack in built if norm in attack.card.norms)
        rows[f"hauberk {profile}"] = partial(cascade, bench.model, norm, eps, attacks)
    own = AutoAttack(driving=Driving(precision="float32"))
    rows["hauberk autoattack"] = partial(cascade, bench.model, norm, eps, (own,))
    if with_art:
        rows["art AutoAttack (own mix)"] = partial(art, bench.model, norm, eps, tuple(bench.x.shape[1:]))
    return rows


def measure(bench: Bench, samples: int, repetitions: int, *, with_art: bool) -> list[dict[str, object]]:
    norm, eps = RADII[bench.name]
    x, y = bench.x[FIRST : FIRST + samples], bench.y[FIRST : FIRST + samples]
    makers = entrants(bench, norm, eps, with_art=with_art)
    seconds, found, missing = timed(makers, x, y, repetitions)
    base = PEER if PEER not in missing else "hauberk autoattack"
    return [
        {"name": name, "status": missing[name]}
        if name in missing
        else row(name, bench, x, y, norm, eps, seconds, found[name], base)
        for name in makers
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--no-art", action="store_true", help="leave ART out: it takes many times as long as the rest")
    parser.add_argument("--weights", type=Path, help="keep the trained nets in this folder and use them again")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parents[1] / "results" / "attacks_evaluation.json"
    )
    choice = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    report: dict[str, object] = {
        "question": (__doc__ or "").partition("\n")[0],
        "settings": {"batch": BATCH, "repetitions": choice.repetitions, "radii": RADII, "art": not choice.no_art},
    }
    for bench in benches(choice.weights):
        samples = round(choice.samples * SHARE[bench.name])
        rows = measure(bench, samples, choice.repetitions, with_art=not choice.no_art)
        report[bench.name] = {"clean_accuracy": round(bench.clean, 4), "rows": rows}
        norm, eps = RADII[bench.name]
        show(f"{bench.name}, {norm} ≤ {eps}, clean {bench.clean:.3f}", "peer", rows)
    report["versions"] = versions("torchattacks", "adversarial-robustness-toolbox")
    report["machine"] = machine()
    choice.output.parent.mkdir(parents=True, exist_ok=True)
    choice.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
