"""How radius and learning rate run over training, and the optimiser they drive."""

from __future__ import annotations

import math

import torch

from hauberk.core.threat import Threat
from hauberk.defenses.training_plan import Training

RISE = 0.1
"""Share of training during which the learning rate rises."""


def grown(threat: Threat, share: float, ramp: float) -> Threat:
    """Return the threat with the radius of this moment; sets other than a ball do not grow."""
    if threat.kind != "ball" or threat.ball is None or threat.ball.norm == "l0":
        return threat
    return threat.radius(threat.ball.radius * min(1.0, share / ramp if ramp > 0 else 1.0))


def rate(share: float) -> float:
    """Rise for a tenth of training, then fall along a half cosine."""
    if share < RISE:
        return max(share / RISE, 1e-3)
    return (1 + math.cos(math.pi * (share - RISE) / (1 - RISE))) / 2


def optimizer_of(trained: list[torch.nn.Parameter], plan: Training) -> torch.optim.Optimizer:
    """Make Adam with decoupled weight decay on matrices; biases and the scales of norms are left to themselves."""
    decayed = [parameter for parameter in trained if parameter.ndim > 1]
    plain = [parameter for parameter in trained if parameter.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": plan.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=plan.learning_rate)
