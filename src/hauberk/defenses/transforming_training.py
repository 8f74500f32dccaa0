"""Small trainings of defenses: go down a loss over shuffled batches, alike for the same generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import nn

from hauberk.core.errors import TargetError, UsageError
from hauberk.core.protocols import Progress, Split
from hauberk.numeric.adam import Adam

Tensor = torch.Tensor
LossOf: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(inputs (m, *shape), labels (m,)) → a scalar."""

BATCH = 64
FEWEST = 32
"""Samples below which a network of the defense's own would learn them by heart."""


def tensors(data: Split, what: str, fewest: int = FEWEST) -> tuple[Tensor, Tensor]:
    """Copy a split; raises UsageError where there are fewer samples than `what` needs."""
    if len(data.y) < fewest:
        raise UsageError(f"{len(data.y)} training samples are too few for {what}", fix=f"give {fewest} or more")
    return torch.from_numpy(np.array(data.x, dtype=np.float32)), torch.from_numpy(np.array(data.y, dtype=np.int64))


def descend(
    module: nn.Module,
    loss: LossOf,
    x: Tensor,
    y: Tensor,
    epochs: int,
    rate: float,
    rng: torch.Generator,
    progress: Progress,
    what: str,
) -> None:
    """Train the module's parameters in place by Adam, the rate falling to a tenth; leaves it frozen in eval mode.

    Raises TargetError where the loss is no number.
    """
    adam, total, done = Adam(module.parameters(), rate), epochs * (-(-len(y) // BATCH)), 0
    with torch.random.fork_rng(devices=[]), progress.step(what, epochs, "epochs") as step:
        torch.random.manual_seed(int(torch.randint(2**62, (1,), generator=rng)))
        for _ in range(epochs):
            for rows in torch.split(torch.randperm(len(y), generator=rng), BATCH):
                done += 1
                if len(rows) < 2:  # batch normalisation has no variance of one sample
                    continue
                module.train()
                value = loss(x[rows], y[rows])
                if not bool(value.isfinite()):
                    raise TargetError(f"the loss of {what} is not a number", fix="set a lower rate")
                adam.rate = rate * (1 - 0.9 * done / total)
                adam.step(value)
            step.advance()
    module.eval().requires_grad_(False)


def started(module: nn.Module, rng: torch.Generator) -> nn.Module:
    """Draw fresh parameters from `rng` wherever a layer knows how; returns the module."""
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(int(torch.randint(2**62, (1,), generator=rng)))
        for part in module.modules():
            if callable(reset := getattr(part, "reset_parameters", None)):
                reset()
    return module
