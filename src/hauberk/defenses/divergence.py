"""How far answers move: the Kullback–Leibler divergence of two predictions, and the inputs that make it largest."""

from __future__ import annotations

import torch

from hauberk.defenses.inner_maximisation import Inner
from hauberk.defenses.labelled import Labelled
from hauberk.defenses.student import Student

Tensor = torch.Tensor


def divergence(clean: Tensor, moved: Tensor) -> Tensor:
    """Compute KL(softmax(clean) ‖ softmax(moved)) in nats of logits (n, classes) → (n,)."""
    before, after = torch.log_softmax(clean, 1), torch.log_softmax(moved, 1)
    return (before.exp() * (before - after)).sum(1)


def diverging(student: Student, batch: Labelled, steps: int) -> Tensor:
    """Find the points (n, *shape) of the ball whose prediction is furthest from the clean one's.

    The start lies beside the clean input: at it the divergence has no slope (Zhang et al. 2019, algorithm 1).
    """
    with student.still() as module, torch.no_grad():
        clean: Tensor = module(batch.x)
    inner = Inner(steps, start="near")
    return student.climbed(batch, inner, lambda scores: divergence(clean, scores).sum())
