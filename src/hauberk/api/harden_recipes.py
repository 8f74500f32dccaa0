"""Which defense to take where none is named: by what the target can do, the threat, and how much a budget pays for."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
import torch

from hauberk.core.errors import MissingPower, TargetError, UsageError, nearest
from hauberk.core.evidence import Scalar
from hauberk.core.plugins import Settings, catalog
from hauberk.core.protocols import Modular, Split, Target, powers
from hauberk.core.threat import Kind, Threat

MANY = 12.0
"""Epochs of PGD-7 a budget must pay for before TRADES is worth more than what makes more of each gradient."""
_PROBE = 64
"""Inputs of the probe that tells what a step costs."""


ATTACKS: dict[Kind, str] = {
    "": "evasion.pgd",
    "ball": "evasion.pgd",
    "constraints": "evasion.projected_rows",
    "patch": "evasion.patch",
    "transform": "evasion.transform",
}
"""What chooses the best state, and makes training inputs where the threat is no ball."""


class Recipe(NamedTuple):
    """A defense by name, its settings, and why it was taken."""

    defense: str
    settings: dict[str, Scalar]
    why: str


def resolve(name: str) -> str:
    """Return a defense's full name; that of a training defense may leave out its folder. Raises UnknownName."""
    from hauberk.core.errors import UnknownName

    known = [entry.name for entry in catalog("defenses")]
    found = next((full for full in (name, f"training.{name}") if full in known), None)
    if found is None:
        raise UnknownName(
            f'no defense "{name}"', fix=nearest(name, [*known, *(row.partition(".")[2] for row in known)])
        )
    if found.startswith("detection."):
        raise UsageError(f"{found} detects attacks and hardens nothing", fix="name a defense of another group")
    return found


def choose(target: Target, data: Split, threat: Threat, budget: float) -> Recipe:
    """Choose a training defense; raises MissingPower, naming what could be used, where the target cannot be trained."""
    if not isinstance(target, Modular):
        able = powers(target)
        fit = [entry.name for entry in catalog("defenses") if set(entry.card.needs) <= able]
        usable = [name for name in fit if not name.startswith(("detection.", "training."))]
        raise MissingPower(
            f"{target.spec.name} is no torch module that could be trained",
            fix=f"name one of {', '.join(usable)} by --defense" if usable else "load the model as a torch module",
        )
    plain = "training.adversarial_training"
    if threat.kind != "ball":
        return Recipe(plain, {"inner": "attack"}, f"the threat is no ball: inputs come from {ATTACKS[threat.kind]}")
    if threat.ball is not None and threat.ball.norm not in ("linf", "l2"):
        return Recipe(plain, {}, f"it works in {threat.ball.norm}")
    if not budget:
        return Recipe(plain, {}, "no budget is given: the method most is known of")
    epochs = _affordable(target, data, budget)
    if epochs >= MANY:
        return Recipe("training.trades", {}, f"the budget pays for about {epochs:.0f} epochs, enough for TRADES")
    why = (
        f"the budget pays for about {epochs:.2g} epochs of PGD-7: one gradient for weights and inputs makes more of it"
    )
    return Recipe("training.free_adversarial_training", {}, why)


def training_settings(name: str, settings: Settings, budget: float) -> dict[str, Scalar]:
    """Let settings of the training be named without their record, and put the budget among them."""
    from hauberk.core.plugins import knobs, load

    known = {knob.name for knob in knobs(load("defenses", name))}
    found: dict[str, Scalar] = {}
    for key, value in settings.items():
        assert isinstance(value, str | int | float | bool | None)
        inner = f"training.{key}"
        found[inner if key not in known and inner in known else key] = value
    if budget and "training.budget" not in known:
        raise UsageError(f"{name} does not train: a budget says nothing to it", fix="leave --budget out")
    if budget:
        found["training.budget"] = budget
    return found


def seconds(text: str) -> float:
    """Read a span such as "10m", "90s", "1h30m" or "600"; raises UsageError."""
    import re

    match = re.fullmatch(r"(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s?)?", text.strip().lower())
    try:
        parts = [float(part or 0) for part in match.groups()] if match and text.strip() else []
    except ValueError:
        parts = []
    total = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if total <= 0:
        raise UsageError(f'"{text}" is no span of time', where="--budget", fix="write 10m, 90s or 1h30m")
    return total


def _affordable(target: Modular, data: Split, budget: float) -> float:
    """Estimate the epochs of PGD-7 that a budget pays for, by the quickest of three forward and backward passes."""
    module = target.module()
    weights = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if not weights or not len(data.y):
        raise MissingPower(f"{target.spec.name} has no trainable parameters", fix="give a model with weights")
    x = torch.from_numpy(np.array(data.x[:_PROBE])).to(weights[0].device)
    spans = []
    for _ in range(3):
        begun = time.perf_counter()
        loss = module(x).square().mean()
        torch.autograd.grad(loss, weights, allow_unused=True)
        spans.append(time.perf_counter() - begun)
    if not bool(torch.isfinite(loss)):
        raise TargetError(f"{target.spec.name} gives no numbers", fix="look at its weights")
    each = min(spans) / len(x) * (7 + 1) * 1.3  # a third more for measuring, averaging and the optimiser
    return budget / (each * len(data.y))
