"""Fine-tuning: a few more epochs on clean rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.plain_training import Course, fit
from hauberk.defenses.repairing import bench


@dataclass(frozen=True, slots=True)
class FineTuning:
    """Train on with clean rows.

    The baseline of all repairs, and a weak one: on a small network with 200 clean rows it left the backdoor as it was.

    epochs: passes over the clean rows. rate: of AdamW.
    """

    card: ClassVar[Card] = Card(
        title="Fine-tuning",
        summary="Trains a backdoored model on with clean rows; the baseline, and mostly not enough.",
        paper="Liu et al. 2018, arXiv:1805.12185, §5",
        needs=("module",),
        threats=("AML.T0018", "OWASP-ML10"),
        extra="models",
    )

    epochs: int = 20
    rate: float = 1e-3

    def apply(
        self,
        target: Target,
        data: Split,
        threat: Threat,  # noqa: ARG002
        rng: torch.Generator,
        *,
        attack: EvasionAttack | None = None,  # noqa: ARG002
        progress: Progress | None = None,  # noqa: ARG002
    ) -> Target:
        """Return the model trained on; raises MissingPower, DataError."""
        work = bench(target, data)
        fit(work.module, work.x, work.y, Course(epochs=self.epochs, rate=self.rate), rng)
        return work.done("fine-tuned")
