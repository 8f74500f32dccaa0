"""Do searches for the nearest error find smaller norms than the other libraries' at the same number of gradients?

The robust net of pgd.py (PGD-7 at 0.3 on 4,000 MNIST digits); the first 100 it gets right of 500 digits that neither
a net nor a choice has seen; one thread. Repetitions are interleaved in one process, in rotating order; a ratio is the
median over repetitions of process CPU time / the base's in the same one: adv-lib, whose functions are as bare as a loop
can be, or where it lacks the attack Foolbox. Norms are taken anew in float32 from the inputs that came back, infinite
for one that does not err or lies outside the box; their median has a 95 % interval by order statistics. Every entrant
has the same gradients but DeepFool's and FAB's (steps, a gradient a class), SuperDeepFool's (its own stops) and
adv-lib's linf C&W (its own stop, up to several times more). ART's C&W, a line search some twenty times slower, is left
out.
A library that is not installed is a row that says so. Peers: pip install adv-lib foolbox eagerpy cleverhans
torchattacks adversarial-robustness-toolbox (--no-deps keeps torchvision out).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import types
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from _models import TRAIN, Run, by_batch, digits, machine, timed, versions, without_torchvision
from pgd import trained
from scipy.stats import binom
from torch import nn

from hauberk.attacks.evasion.alma import ALMA
from hauberk.attacks.evasion.carlini_wagner import CarliniWagner
from hauberk.attacks.evasion.ddn import DDN
from hauberk.attacks.evasion.deepfool import DeepFool
from hauberk.attacks.evasion.ead import EAD
from hauberk.attacks.evasion.fab import FAB
from hauberk.attacks.evasion.fmn import FMN
from hauberk.attacks.evasion.pdpgd import PDPGD
from hauberk.attacks.evasion.super_deepfool import SuperDeepFool
from hauberk.core.protocols import EvasionAttack
from hauberk.core.threat import Norm, Threat
from hauberk.numeric.balls import size
from hauberk.targets import from_torch

BATCH, FIRST, SAMPLES = 100, 500, 100
ORDER: dict[Norm, float] = {"linf": math.inf, "l2": 2, "l1": 1, "l0": 0}
Make = Callable[[], Run]


def ours(model: nn.Module, attack: EvasionAttack) -> Run:
    target = from_torch(model, bounds=(0.0, 1.0))

    def run(x: torch.Tensor, y: torch.Tensor, seed: int) -> torch.Tensor:
        return attack.run(target, x, y, Threat(name="any distance"), torch.Generator().manual_seed(seed))

    return run


def adv_lib(model: nn.Module, name: str, **settings: object) -> Run:
    without_torchvision()
    import adv_lib.attacks as peers

    return by_batch(lambda x, y: getattr(peers, name)(model, x, y, **settings), BATCH)


def foolbox(model: nn.Module, name: str, **settings: object) -> Run:
    try:
        import git  # noqa: F401
    except ImportError:  # Foolbox imports it for its model zoo
        sys.modules["git"] = types.ModuleType("git")
        vars(sys.modules["git"])["Repo"] = None
    import foolbox as fb

    wrapped, attack = fb.PyTorchModel(model, bounds=(0, 1), device="cpu"), getattr(fb.attacks, name)(**settings)
    return by_batch(lambda x, y: attack(wrapped, x, y, epsilons=None)[0], BATCH)


def cleverhans(model: nn.Module) -> Run:
    from cleverhans.torch.attacks.carlini_wagner_l2 import carlini_wagner_l2

    settings = {"lr": 0.05, "confidence": 0, "initial_const": 1.0, "binary_search_steps": 5, "max_iterations": 100}
    return by_batch(lambda x, y: carlini_wagner_l2(model, x, 10, y=y, **settings), BATCH)


def torchattacks(model: nn.Module, name: str, **settings: object) -> Run:
    import torchattacks as ta

    return by_batch(getattr(ta, name)(model, **settings), BATCH)


def art_deepfool(model: nn.Module) -> Run:
    from art.attacks.evasion import DeepFool as Peer
    from art.estimators.classification import PyTorchClassifier

    wrapped = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), (1, 28, 28), 10, clip_values=(0.0, 1.0), device_type="cpu"
    )
    attack = Peer(wrapped, max_iter=50, epsilon=0.02, nb_grads=10, batch_size=BATCH, verbose=False)
    return lambda x, y, seed: torch.from_numpy(attack.generate(x.numpy(), y.numpy()))  # noqa: ARG005


def at_steps(model: nn.Module, norm: Norm, steps: int) -> dict[str, Make]:
    """What takes a number of gradients."""
    own, adv, fool = (partial(each, model) for each in (ours, adv_lib, foolbox))
    made: dict[str, Make] = {
        "adv-lib FMN": partial(adv, "fmn", norm=ORDER[norm], steps=steps),
        "hauberk FMN": partial(own, FMN(steps=steps, norm=norm)),
        "foolbox FMN": partial(fool, f"{norm.capitalize().replace('inf', 'Inf')}FMNAttack", steps=steps),
    }
    if norm == "l2":
        made |= {
            "hauberk DDN": partial(own, DDN(steps=steps)),
            "adv-lib DDN": partial(adv, "ddn", steps=steps, levels=None),
            "foolbox DDN": partial(fool, "DDNAttack", steps=steps, init_epsilon=1.0),
        }
    if norm in ("l2", "l1"):
        first = 0.3 if norm == "l2" else 1.0
        made |= {
            "hauberk ALMA": partial(own, ALMA(steps=steps, norm="l2" if norm == "l2" else "l1")),
            "adv-lib ALMA": partial(adv, "alma", distance=norm, num_steps=steps, init_lr_distance=first, α=0.5),
        }
    return made


def primal_dual(model: nn.Module, norm: Norm) -> dict[str, Make]:
    operator = 23 if norm == "l0" else None
    peer = partial(adv_lib, model, "pdpgd", norm=ORDER[norm], num_steps=300, proximal_operator=operator)
    return {"adv-lib PDPGD": peer, "hauberk PDPGD": partial(ours, model, PDPGD(steps=300, norm=norm))}


def linearisations(model: nn.Module, norm: Norm) -> dict[str, Make]:
    own, adv = partial(ours, model), partial(adv_lib, model)
    kind = {"l2": "l2", "linf": "linf", "l1": "l1"}[norm]
    made: dict[str, Make] = {}
    if norm != "l1":
        made |= {
            "adv-lib DeepFool": partial(adv, "df", steps=50, norm=ORDER[norm]),
            "hauberk DeepFool": partial(own, DeepFool(norm=kind)),
        }
    made |= {
        "adv-lib FAB": partial(adv, "fab", norm=ORDER[norm], n_iter=20),
        "hauberk FAB": partial(own, FAB(norm=kind, steps=20)),
        "hauberk SuperDeepFool": partial(own, SuperDeepFool(norm=kind)),
    }
    if norm == "l2":
        made |= {
            "adv-lib SuperDeepFool": partial(adv, "sdf"),
            "foolbox DeepFool": partial(foolbox, model, "L2DeepFoolAttack", steps=50, candidates=10),
            "torchattacks DeepFool": partial(torchattacks, model, "DeepFool", steps=50, overshoot=0.02),
            "art DeepFool": partial(art_deepfool, model),
        }
    return made


def classics(model: nn.Module, norm: Norm) -> dict[str, Make]:
    """C&W and EAD with five searches of 100 gradients."""
    own, adv, fool = (partial(each, model) for each in (ours, adv_lib, foolbox))
    searched = {"binary_search_steps": 5, "initial_const": 1.0, "abort_early": False}
    if norm == "l1":
        return {
            "foolbox EAD": partial(fool, "EADAttack", steps=100, decision_rule="L1", **searched),
            "hauberk EAD": partial(own, EAD()),
        }
    if norm == "linf":
        peer = partial(adv, "carlini_wagner_linf", learning_rate=0.05, initial_const=1.0, max_iterations=100)
        return {"adv-lib C&W": peer, "hauberk C&W": partial(own, CarliniWagner(norm="linf"))}
    return {
        "adv-lib C&W": partial(adv, "carlini_wagner_l2", learning_rate=0.05, max_iterations=100, **searched),
        "hauberk C&W": partial(own, CarliniWagner()),
        "cleverhans C&W": partial(cleverhans, model),
        "foolbox C&W": partial(fool, "L2CarliniWagnerAttack", steps=100, stepsize=0.05, **searched),
        "torchattacks C&W": partial(torchattacks, model, "CW", c=10, steps=500, lr=0.05),
    }


def groups(model: nn.Module) -> list[tuple[str, Norm, dict[str, Make]]]:
    norms: tuple[Norm, ...] = ("l2", "linf", "l1", "l0")
    made = [(f"{norm}, {steps} gradients", norm, at_steps(model, norm, steps)) for norm in norms for steps in (30, 100)]
    made += [(f"{norm}, 300 gradients", norm, primal_dual(model, norm)) for norm in norms]
    made += [(f"{norm}, linearisations", norm, linearisations(model, norm)) for norm in norms[:3]]
    return made + [(f"{norm}, 5 × 100 gradients", norm, classics(model, norm)) for norm in norms[:3]]


def row(
    name: str,
    model: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    norm: Norm,
    seconds: dict[str, list[float]],
    found: torch.Tensor,
    base: str,
) -> dict[str, object]:
    """Take norms anew; the interval of the median are the order statistics that hold it with 95 %."""
    with torch.no_grad():
        broken = (model(found).argmax(1) != y) & ((found >= 0) & (found <= 1)).flatten(1).all(1)
    far = size(found - x, norm).masked_fill(~broken, math.inf).sort().values
    rank = int(binom.ppf(0.025, len(y), 0.5))
    low, middle, high = (float(far[place]) for place in (rank - 1, (len(y) - 1) // 2, len(y) - rank))
    ratios = [mine / other for mine, other in zip(seconds[name], seconds[base], strict=True)]
    return {
        "name": name,
        "status": "measured",
        "median_norm": round(middle, 4) if math.isfinite(middle) else "more than half unbroken",
        "median_low_95": round(low, 4) if math.isfinite(low) else "unbroken",
        "median_high_95": round(high, 4) if math.isfinite(high) else "unbroken",
        "broken": round(float(broken.float().mean()), 4),
        "ratio_to_base_median": round(statistics.median(ratios), 3),
        "ratio_lowest": round(min(ratios), 3),
        "ratio_highest": round(max(ratios), 3),
        "samples": len(y),
    }


def show(title: str, rows: list[dict[str, object]]) -> None:
    print(f"\n{title}\n{'':24}{'median norm (95 %)':>30}{'broken':>8}{'× base':>8}")
    for line in rows:
        if line["status"] != "measured":
            print(f"{line['name']:24}{line['status']}")
            continue
        norm = f"{line['median_norm']} [{line['median_low_95']}, {line['median_high_95']}]"
        print(f"{line['name']:24}{norm:>30}{line['broken']:8}{line['ratio_to_base_median']:8}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--weights", type=Path, help="keep the trained net in this folder and use it again")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "results" / "attacks_min_norm.json")
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
    for title, norm, entrants in groups(model):
        seconds, found, missing = timed(entrants, x, y, choice.repetitions)
        base = next(name for name in entrants if name in found)
        rows = [
            {"name": name, "status": missing[name]}
            if name in missing
            else row(name, model, x, y, norm, seconds, found[name], base)
            for name in entrants
        ]
        report[title] = {"base": base, "rows": rows}
        show(title, rows)
    packages = ("adv-lib", "foolbox", "cleverhans", "torchattacks", "adversarial-robustness-toolbox")
    report["versions"], report["machine"] = versions(*packages), machine()
    choice.output.parent.mkdir(parents=True, exist_ok=True)
    choice.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
