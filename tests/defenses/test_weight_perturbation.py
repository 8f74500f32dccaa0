"""Adversarial weight perturbation: the gradient is that of worse weights, and the weights come back."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from hauberk.defenses.labelled import Labelled
from hauberk.defenses.student import Student
from hauberk.defenses.weight_perturbation import WARM, perturbing


def student(threat, target) -> Student:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    data = Labelled(torch.rand(6, 4, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1, 2, 0, 1, 2]))
    return Student(module, target.spec, data, threat, None, torch.Generator())


def test_the_step_is_taken_where_the_weights_are_worse(threat, target) -> None:
    learner, losses = student(threat, target), []

    def loss(batch, x):
        value = cross_entropy(learner.logits(x), batch.y)
        losses.append(float(value.detach()))
        return value

    lesson = perturbing(learner, lambda batch: batch.x, loss, 0.05)
    before = [row.clone() for row in learner.module.parameters()]
    lesson.loss(learner.data).backward()
    lesson.after()
    assert len(losses) == 1, "in the beginning weights are left alone"
    learner.share = WARM
    value = lesson.loss(learner.data)
    moved = [float((now - old).norm() / old.norm()) for now, old in zip(learner.trained, before, strict=True)]
    assert losses[-1] > losses[-2], "worse by design"
    assert abs(moved[0] - 0.05) < 1e-4
    assert moved[1] == 0.0, "vectors stay"
    value.backward()
    lesson.after()
    assert all(torch.allclose(now, old, atol=1e-6) for now, old in zip(learner.trained, before, strict=True))


def test_without_a_radius_nothing_is_done_afterwards(threat, target) -> None:
    learner = student(threat, target)
    assert perturbing(learner, lambda batch: batch.x, lambda *_: torch.zeros(()), 0.0).after is None
