"""Plain training of a module for defenses that need one more network: Adam on labels or on another model's answers."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy, log_softmax

from hauberk.core.errors import TargetError


@dataclass(frozen=True, slots=True)
class Course:
    """How to train. epochs: passes. weight_decay: decoupled. smoothing: share of a label spread over all classes.

    held_out: share of rows by whose loss the state is chosen; 0 to take the last. patience: passes without improvement
    that end it. rate: Adam's.
    """

    epochs: int = 30
    batch: int = 64
    rate: float = 3e-3
    weight_decay: float = 0.0
    smoothing: float = 0.0
    held_out: float = 0.0
    patience: int = 5


def fit(module: nn.Module, x: torch.Tensor, y: torch.Tensor, course: Course, rng: torch.Generator) -> int:
    """Train in place on x (n, …) and labels y (n,) or shares y (n, classes); returns the passes done.

    Raises TargetError where the loss is no number.
    """
    order = torch.randperm(len(x), generator=rng)
    held = order[: round(course.held_out * len(x))]
    rest = order[len(held) :]
    optimizer = torch.optim.AdamW(
        [value for value in module.parameters() if value.requires_grad],
        lr=course.rate,
        weight_decay=course.weight_decay,
    )
    best, kept, stale, done = float("inf"), copy.deepcopy(module.state_dict()), 0, 0
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.random.manual_seed(int(torch.randint(2**62, (1,), generator=rng)))
        while done < course.epochs:
            done += 1
            module.train()
            for rows in torch.split(rest[torch.randperm(len(rest), generator=rng)], course.batch):
                if len(rows) < 2 and len(rest) > 1:  # batch normalisation has no variance of one row
                    continue
                loss = cross_entropy(module(x[rows]), y[rows], label_smoothing=course.smoothing)
                if not bool(loss.isfinite()):
                    raise TargetError("the loss is not a number: training diverged", fix="set a lower rate")
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
            if not len(held):
                continue
            now = _loss(module, x[held], y[held])
            stale = 0 if now < best else stale + 1
            if now < best:
                best, kept = now, copy.deepcopy(module.state_dict())
            if stale >= course.patience:
                break
    if len(held):
        module.load_state_dict(kept)
    module.eval()
    return done


def _loss(module: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    module.eval()
    with torch.no_grad():
        logits = log_softmax(module(x), 1)
        if y.is_floating_point():
            return -float((logits * y).sum(1).mean())
        return float(cross_entropy(logits, y))
