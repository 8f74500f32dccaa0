"""Trigger unlearning: invert a trigger for every class, and train the model to ignore the one that is oddly small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.errors import MeasurementError
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.plain_training import Course, fit
from hauberk.defenses.repairing import bench
from hauberk.defenses.trigger_inversion import invert, stamped

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class TriggerUnlearning:
    """Train on with clean rows, a share of which bear the inverted trigger and keep their label.

    Wang et al. 2019 (Neural Cleanse), §VI-B. What is inverted is a trigger that works, not the one that was planted;
    unlearning it may leave the planted one alive, so the result is attacked again.

    threshold: anomaly index above which a class counts as backdoored; without one nothing is done. The paper's 2 raises
    false alarms on small networks. steps, batch: of the inversion. share: of clean rows stamped. epochs, rate: of the
    training.
    """

    card: ClassVar[Card] = Card(
        title="Trigger unlearning",
        summary="Finds a small trigger that leads everything to one class and trains the model to ignore it.",
        paper="Wang et al. 2019 (Neural Cleanse), §V and §VI-B",
        needs=("module",),
        inputs=("chw", "row"),
        threats=("AML.T0018", "OWASP-ML10"),
        extra="models",
    )

    threshold: float = 3.0
    steps: int = 200
    batch: int = 32
    share: float = 0.5
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
        """Return the model trained on; raises MissingPower, DataError, MeasurementError where no class is anomalous."""
        work = bench(target, data)
        frozen = bench(target, data).module.eval().requires_grad_(False)
        found = invert(frozen, work.x, target.spec.classes, target.spec.bounds, rng, self.steps, self.batch)
        suspects = [label for label in range(target.spec.classes) if float(found.anomaly[label]) > self.threshold]
        if not suspects:
            raise MeasurementError(
                f"no class has an anomalous trigger: the largest index is {float(found.anomaly.max()):.1f}",
                where=target.spec.name,
                fix="there may be no backdoor; lower the threshold to unlearn the smallest trigger anyway",
            )
        x = work.x.clone()
        for label in suspects:
            rows = torch.randperm(len(x), generator=rng)[: int(self.share * len(x))]
            x[rows] = stamped(work.x[rows], found, label)
        both, labels = torch.cat([work.x, x]), torch.cat([work.y, work.y])
        fit(work.module, both, labels, Course(epochs=self.epochs, rate=self.rate), rng)
        return work.done("trigger unlearnt")
