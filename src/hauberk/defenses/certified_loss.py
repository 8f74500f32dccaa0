"""Losses over proven bounds instead of found points, and which samples are proven: what certified training shares."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.functional import cross_entropy

from hauberk.defenses.labelled import Labelled
from hauberk.defenses.student import Student
from hauberk.numeric.interval_bounds import Bounds, box_of, worst_case

Tensor = torch.Tensor


def bounded_loss(student: Student, box: Bounds, y: Tensor) -> Tensor:
    """Return the mean cross-entropy at the worst logits any input of the box can have; batch norms stand still."""
    with student.still() as module:
        return cross_entropy(worst_case(module, *box, y), y)


def mixed(student: Student, batch: Labelled, bounded: Tensor, last: float) -> Tensor:
    """Weigh clean cross-entropy with a bounded loss: 1 in the beginning, `last` once the radius is the threat's."""
    done = (student.threat.ball.radius / student.whole.ball.radius) if student.threat.ball and student.whole.ball else 1
    weight = 1 - (1 - last) * done
    return weight * cross_entropy(student.logits(batch.x), batch.y) + (1 - weight) * bounded


def proven(student: Student) -> Callable[[torch.nn.Module, Labelled], Tensor]:
    """Return the judge of held-out samples: right for every input of the threat's own ball, by interval bounds."""
    ball = student.whole.ball
    assert ball is not None

    def judge(module: torch.nn.Module, part: Labelled) -> Tensor:
        with torch.no_grad():
            leads = worst_case(module, *box_of(ball, part.x, student.spec.bounds), part.y)
        return (leads < 0).sum(1) == leads.shape[1] - 1

    return judge


def box_now(student: Student, x: Tensor) -> Bounds:
    """Return the box around the ball of this moment's radius; the threat must have one."""
    student.region(x[:1])  # raises where it has none
    assert student.threat.ball is not None
    return box_of(student.threat.ball, x, student.spec.bounds)
