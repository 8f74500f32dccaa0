"""What is trained: a target's module, data and threat, looked over before the first step."""

from __future__ import annotations

import hashlib
import math
from typing import NamedTuple

import numpy as np
import torch

from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.plugins import settings_of
from hauberk.core.protocols import EvasionAttack, Modular, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.held_out import HeldOut
from hauberk.defenses.labelled import Labelled
from hauberk.defenses.training_plan import Teaching, Training


class Task(NamedTuple):
    """What is hardened, with what data, against whom, and the attack that chooses the best state."""

    target: Target
    data: Split
    threat: Threat
    attack: EvasionAttack


def module_of(target: Target) -> torch.nn.Module:
    """Return a trainable copy; raises MissingPower saying why there is none."""
    name = target.spec.name
    if not isinstance(target, Modular):
        raise MissingPower(f"{name} cannot give its module", fix="load it as a torch model")
    try:
        module = target.module()
    except RuntimeError as error:  # torch: only floating point tensors can require gradients
        raise MissingPower(f"{name} has weights that cannot be trained: {error}", fix="give the float model") from error
    if any(".quantized" in type(part).__module__ for part in module.modules()):
        raise MissingPower(
            f"{name} is quantised: its weights are integers", fix="harden the float model, then quantise it"
        )
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise MissingPower(f"{name} has no trainable parameters", fix="give a model with weights")
    return module


def parts_of(data: Split, plan: Training, rng: torch.Generator) -> tuple[Labelled, Labelled]:
    """Split the data into what is trained on and what is held out; raises UsageError for too few samples."""
    whole = Labelled(torch.from_numpy(np.array(data.x)), torch.from_numpy(np.array(data.y)))
    order = torch.randperm(len(whole.y), generator=rng)
    count = min(HeldOut.MOST, math.ceil(plan.held_out * len(whole.y)))
    if not 0 < count < len(whole.y):
        raise UsageError(f"{len(whole.y)} samples are too few to train on and to hold some out", fix="give more data")
    return whole.take(order[count:]), whole.take(order[:count])


def start_afresh(module: torch.nn.Module) -> None:
    """Draw new weights wherever a layer knows how."""
    for layer in module.modules():
        if callable(reset := getattr(layer, "reset_parameters", None)):
            reset()


def key_of(defense: Teaching, task: Task, seed: int) -> str:
    """Digest all that must be the same for a run to go on."""
    free = ("training.budget", "training.workers")  # more time and more hands may be given later
    own = [row for row in settings_of(defense) if row.name not in free]
    attack = (type(task.attack).__qualname__, settings_of(task.attack))
    parts = (type(defense).__qualname__, own, attack, repr(task.threat), task.target.spec.digest, seed)
    digest = hashlib.sha256(repr(parts).encode())
    digest.update(np.ascontiguousarray(task.data.x).tobytes())
    digest.update(np.ascontiguousarray(task.data.y).tobytes())
    return f"sha256:{digest.hexdigest()}"
