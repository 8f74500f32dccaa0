"""Do attacks that change few values change fewer than the other libraries' at the same number of gradients?

Net, digits, timing and intervals are those of min_norm.py: 100 digits that no choice of a setting has seen. l0 for
all, l1 for SparseFool too, and Brendel–Bethge in its four norms, 100 steps each and starts of its own kind.
The classics, which elsewhere go sample by sample, get the first 20 digits, Brendel–Bethge the first 50.
Foolbox's first repetition holds the compilation of its solvers: with one repetition its ratio says nothing of speed.
Others have the same gradients but VFGA (both stop at the error; adv-lib tries 10 amounts each way, hauberk 5) and JSMA
(both aim at the next class, 39 pairs at most). A library that is not installed is a row that says so.
Peers: pip install adv-lib foolbox eagerpy torchattacks adversarial-robustness-toolbox (--no-deps, no torchvision).
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from _models import TRAIN, Run, by_batch, digits, machine, timed, versions
from min_norm import BATCH, FIRST, SAMPLES, Make, adv_lib, foolbox, ours, row, show, torchattacks
from pgd import trained
from torch import nn

from hauberk.attacks.evasion.brendel_bethge import BrendelBethge
from hauberk.attacks.evasion.fmn import FMN
from hauberk.attacks.evasion.jsma import JSMA
from hauberk.attacks.evasion.sigma_zero import SigmaZero
from hauberk.attacks.evasion.sparsefool import SparseFool
from hauberk.attacks.evasion.vfga import VFGA
from hauberk.core.threat import NORMS, Norm, Threat
from hauberk.targets import from_torch

CLASSES, PAIRS = 10, 39
FEW, SOME = 20, 50


def towards_the_next_class(model: nn.Module) -> Run:
    """JSMA at torchattacks' default goal, class after class."""
    target, attack = from_torch(model, bounds=(0.0, 1.0)), JSMA(steps=PAIRS, way="up")

    def run(x: torch.Tensor, y: torch.Tensor, seed: int) -> torch.Tensor:
        found = x.clone()
        for wanted in range(CLASSES):
            rows = ((y + 1) % CLASSES == wanted).nonzero().squeeze(1)
            threat = Threat(name="any distance", target_class=wanted)
            found[rows] = attack.run(target, x[rows], y[rows], threat, torch.Generator().manual_seed(seed))
        return found

    return run


def art_jsma(model: nn.Module) -> Run:
    from art.attacks.evasion import SaliencyMapMethod
    from art.estimators.classification import PyTorchClassifier

    wrapped = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), (1, 28, 28), CLASSES, clip_values=(0.0, 1.0), device_type="cpu"
    )
    attack = SaliencyMapMethod(wrapped, theta=1.0, gamma=0.1, batch_size=BATCH, verbose=False)
    return lambda x, y, seed: torch.from_numpy(  # noqa: ARG005
        attack.generate(x.numpy(), np.eye(CLASSES, dtype=np.float32)[((y + 1) % CLASSES).numpy()])
    )


def bethge(model: nn.Module, norm: Norm) -> Run:
    foolbox(model, "LinfPGD")  # makes Foolbox importable without its model zoo
    import foolbox as fb

    wrapped = fb.PyTorchModel(model, bounds=(0, 1), device="cpu")
    name = {"linf": "Linfinity"}.get(norm, norm.upper())
    first = fb.attacks.LinearSearchBlendedUniformNoiseAttack(directions=50, steps=50)
    attack = getattr(fb.attacks, f"{name}BrendelBethgeAttack")(steps=100, init_attack=first)
    return by_batch(lambda x, y: attack.run(wrapped, x, fb.criteria.Misclassification(y)), BATCH)


def few_changes(model: nn.Module, steps: int) -> dict[str, Make]:
    own, adv = partial(ours, model), partial(adv_lib, model)
    return {
        "adv-lib σ-zero": partial(adv, "sigma_zero", num_steps=steps),
        "hauberk σ-zero": partial(own, SigmaZero(steps=steps)),
        "hauberk SparseFool": partial(own, SparseFool(steps=steps)),
        "adv-lib VFGA": partial(adv, "vfga", targeted=False, max_iter=steps),
        "hauberk VFGA": partial(own, VFGA(steps=steps)),
        "adv-lib FMN": partial(adv, "fmn", norm=0, steps=steps),
        "hauberk FMN": partial(own, FMN(steps=steps, norm="l0")),
    }


def classics(model: nn.Module) -> dict[str, Make]:
    return {
        "torchattacks JSMA": partial(torchattacks, model, "JSMA", theta=1.0, gamma=0.1),
        "hauberk JSMA": partial(towards_the_next_class, model),
        "art JSMA": partial(art_jsma, model),
        "torchattacks SparseFool": partial(torchattacks, model, "SparseFool", steps=10, lam=3),
    }


def groups(model: nn.Module) -> list[tuple[str, Norm, int, dict[str, Make]]]:
    """Title, norm, digits, entrants."""
    made: list[tuple[str, Norm, int, dict[str, Make]]] = [
        ("l0, 30 gradients", "l0", SAMPLES, few_changes(model, 30)),
        ("l0, 100 gradients", "l0", SAMPLES, few_changes(model, 100)),
        ("l1, 30 gradients", "l1", SAMPLES, {"hauberk SparseFool": partial(ours, model, SparseFool(norm="l1"))}),
    ]
    for norm in NORMS:
        entrants: dict[str, Make] = {
            "foolbox Brendel–Bethge": partial(bethge, model, norm),
            "hauberk Brendel–Bethge": partial(ours, model, BrendelBethge(norm=norm)),
        }
        made.append((f"{norm}, Brendel–Bethge, 100 steps", norm, SOME, entrants))
    return [*made, ("l0, classics", "l0", FEW, classics(model))]


def measured(
    found_rows: Callable[..., dict[str, object]],
    entrants: dict[str, Make],
    repetitions: int,
    x: torch.Tensor,
    y: torch.Tensor,
) -> tuple[str, list[dict[str, object]]]:
    seconds, found, missing = timed(entrants, x, y, repetitions)
    base = next(name for name in entrants if name in found)
    return base, [
        {"name": name, "status": missing[name]}
        if name in missing
        else found_rows(name, seconds=seconds, found=found[name], base=base)
        for name in entrants
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--weights", type=Path, help="keep the trained net in this folder and use it again")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "results" / "attacks_sparse.json")
    choice = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    np.random.seed(0)
    x, y = digits()
    model = trained("robust net", x[:TRAIN], y[:TRAIN], 0.3, 20, choice.weights)
    x, y = x[TRAIN + FIRST :], y[TRAIN + FIRST :]
    with torch.no_grad():
        right = model(x).argmax(1) == y
    x, y = x[right][:SAMPLES], y[right][:SAMPLES]
    report: dict[str, object] = {"question": (__doc__ or "").partition("\n")[0], "repetitions": choice.repetitions}
    for title, norm, count, entrants in groups(model):
        some, labels = x[:count], y[:count]
        judge = partial(row, model=model, x=some, y=labels, norm=norm)
        base, rows = measured(judge, entrants, choice.repetitions, some, labels)
        report[title] = {"base": base, "rows": rows}
        show(title, rows)
    packages = ("adv-lib", "foolbox", "torchattacks", "adversarial-robustness-toolbox")
    report["versions"], report["machine"] = versions(*packages), machine()
    choice.output.parent.mkdir(parents=True, exist_ok=True)
    choice.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
