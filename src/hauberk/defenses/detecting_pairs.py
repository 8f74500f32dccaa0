"""A small network that tells two kinds of rows or inputs apart: clean from attacked."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from hauberk.core.protocols import Progress
from hauberk.defenses.transforming_training import descend, started

Tensor = torch.Tensor


def told_apart(
    net: nn.Module,
    clean: Tensor,
    attacked: Tensor,
    epochs: int,
    rate: float,
    rng: torch.Generator,
    progress: Progress,
    what: str,
) -> nn.Module:
    """Train `net` (n, …) → (n, 1) to answer above 0 for attacked rows, both kinds weighing alike; returns it frozen."""
    x = torch.cat((clean, attacked))
    y = torch.cat((torch.zeros(len(clean)), torch.ones(len(attacked))))
    heavier = torch.tensor(len(clean) / len(attacked))
    started(net, rng)
    descend(
        net,
        lambda part, kind: binary_cross_entropy_with_logits(net(part).squeeze(1), kind, pos_weight=heavier),
        x,
        y,
        epochs,
        rate,
        rng,
        progress,
        what,
    )
    return net
