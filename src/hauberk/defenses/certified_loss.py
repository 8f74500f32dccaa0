"""Losses over proven bounds instead of found points, and which samples are proven: what certified training shares."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.functional import cross_entropy

from hauberk.defenses.labelled import Labelled
from hauberk.defenses.student import Student
from hauberk.numeric.crown_chain import crown_leads
from hauberk.numeric.interval_bounds import Bounds, box_of, worst_case

Tensor = torch.Tensor


def bounded_loss(student: Student, box: Bounds, y: Tensor) -> Tensor:
    """Return the mean cross-entropy at the worst logits any input of the box can have; batch norms stand still."""
    with student.still() as module:
        return cross_entropy(worst_case(module, *box, y), y)


def lines_loss(student: Student, box: Bounds, y: Tensor, lines: float) -> Tensor:
    """As `bounded_loss`, with the leads bounded by CROWN's lines in the share `lines` (0–1) and by intervals else."""
    with student.still() as module:
        leads = worst_case(module, *box, y)
        if lines > 0:
            leads = torch.lerp(leads, crown_leads(module, *box, y), lines)
        return cross_entropy(leads, y)


def grown(student: Student) -> float:
    """Say how much of its radius the threat has at this moment, 0–1."""
    now, whole = student.threat.ball, student.whole.ball
    return now.radius / whole.radius if now is not None and whole is not None else 1.0


def mixed(student: Student, batch: Labelled, bounded: Tensor, last: float) -> Tensor:
    """Weigh clean cross-entropy with a bounded loss: 1 in the beginning, `last` once the radius is the threat's."""
    weight = 1 - (1 - last) * grown(student)
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
