"""Adversarial weight perturbation: descend the loss where the weights, too, are a little worse than they are."""

from __future__ import annotations

from collections.abc import Callable

import torch

from hauberk.defenses.labelled import Labelled
from hauberk.defenses.student import Student
from hauberk.defenses.training_plan import Lesson

Tensor = torch.Tensor

WARM = 0.15
"""Share of training before weights are perturbed: in the beginning they have no shape yet (Wu et al., appendix)."""


def perturbing(
    student: Student,
    harder: Callable[[Labelled], Tensor],
    loss: Callable[[Labelled, Tensor], Tensor],
    radius: float,
) -> Lesson:
    """Make the lesson of a loss at harder points, its gradient taken at perturbed weights and used at the own ones.

    Wu et al. 2020, arXiv:2004.05884, section 4.2 with one step: each matrix moves by `radius` of its norm along its
    gradient. harder: batch → points (n, *shape). loss: batch and points → mean loss. radius 0: weights as they are.
    """
    moved: list[tuple[torch.nn.Parameter, Tensor]] = []

    def descend(batch: Labelled) -> Tensor:
        x = harder(batch)
        if radius > 0 and student.share >= WARM:
            _perturb(student, loss(batch, x), radius, moved)
        return loss(batch, x)

    def restore() -> None:
        with torch.no_grad():
            for parameter, step in moved:
                parameter.sub_(step)
        moved.clear()

    return Lesson(descend, after=restore if radius > 0 else None)


def _perturb(student: Student, value: Tensor, radius: float, moved: list[tuple[torch.nn.Parameter, Tensor]]) -> None:
    matrices = [parameter for parameter in student.trained if parameter.ndim > 1]
    slopes = torch.autograd.grad(value, matrices, allow_unused=True)
    with torch.no_grad():
        for parameter, slope in zip(matrices, slopes, strict=True):
            if slope is None or not bool(slope.any()):
                continue
            step = slope * (radius * parameter.norm() / slope.norm())
            parameter.add_(step)
            moved.append((parameter, step))
