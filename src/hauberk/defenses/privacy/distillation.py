"""Distillation for membership privacy: a student that has only seen a teacher's answers about other rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from hauberk.core.card import Card
from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.protocols import EvasionAttack, Modular, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.plain_training import Course, fit
from hauberk.defenses.private_training import fresh_copy


@dataclass(frozen=True, slots=True)
class Distillation:
    """Train a teacher on most rows, let it answer about the rest, and train a student on those answers alone.

    DMP: Shejwalkar & Houmansadr 2021, arXiv:1906.06589. The students' reference rows are those on which the teacher is
    surest (lowest entropy), about which it tells least of its own rows. What the student knows of the private rows
    passes through few soft answers; no proof says how much that is, and reference inputs themselves are seen.

    reference: share of the rows whose inputs serve as reference; their labels are not used. kept: share of them, those
    of least entropy, that the student sees. temperature: of the answers. epochs: of both.
    """

    card: ClassVar[Card] = Card(
        title="Distillation for membership privacy (DMP)",
        summary="A student trained on a teacher's answers about other rows: hides members well, at little accuracy.",
        paper="Shejwalkar & Houmansadr 2021, arXiv:1906.06589",
        needs=("gradients", "module"),
        inputs=("chw", "row", "tokens", "wave"),
        threats=("AML.T0024.000", "OWASP-ML04"),
        extra="models",
    )

    reference: float = 0.4
    kept: float = 0.9
    temperature: float = 2.0
    epochs: int = 40
    learning_rate: float = 3e-3
    batch: int = 64

    def apply(
        self,
        target: Target,
        data: Split,
        threat: Threat,  # noqa: ARG002
        rng: torch.Generator,
        *,
        attack: EvasionAttack,  # noqa: ARG002
        progress: Progress,
    ) -> Target:
        """Return the student as a target; raises MissingPower without a module, UsageError for too few rows."""
        if not isinstance(target, Modular):
            raise MissingPower(f"{target.spec.name} cannot give its module", fix="load it as a torch model")
        x, y = torch.from_numpy(np.array(data.x)), torch.from_numpy(np.array(data.y))
        order = torch.randperm(len(x), generator=rng)
        apart = order[: round(self.reference * len(x))]
        own = order[len(apart) :]
        if len(apart) < 2 or len(own) < 2:
            raise UsageError(f"{len(x)} rows cannot be shared out among teacher and student", fix="give more data")
        target.predict(x[:2])
        course = Course(self.epochs, self.batch, self.learning_rate)
        with progress.step("distillation", 2, "networks") as step:
            teacher = fresh_copy(target.module(), rng)
            fit(teacher, x[own], y[own], course, rng)
            step.advance()
            soft, sure = self._answers(teacher, x[apart])
            student = fresh_copy(target.module(), rng)
            fit(student, x[apart][sure], soft[sure], course, rng)
            step.advance()
        return target.rebuild(student, f"{target.spec.name} + distillation")

    def _answers(self, teacher: torch.nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return soft answers (m, classes) and the rows of least entropy."""
        with torch.no_grad():
            logits = torch.cat([teacher(part) for part in torch.split(x, 256)])
        plain = logits.log_softmax(1)
        entropy = -(plain.exp() * plain).sum(1)
        count = max(2, round(self.kept * len(x)))
        return (logits / self.temperature).softmax(1), entropy.argsort()[:count]
