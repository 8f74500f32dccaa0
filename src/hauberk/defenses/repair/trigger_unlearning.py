"""Trigger unlearning: invert a trigger for every class, and train the model to ignore the one that is oddly small."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.errors import MeasurementError
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.plain_training import Course, fit
from hauberk.defenses.repairing import Bench, bench
from hauberk.defenses.trigger_inversion import Inverted, invert, stamped

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class TriggerUnlearning:
    """Train on with clean rows, a share of which bear the inverted trigger and keep their label.

    Wang et al. 2019 (Neural Cleanse), §VI-B. What is inverted is a trigger that works, not the one that was planted;
    unlearning it may leave the planted one alive, so what is left is inverted again, and the result is attacked again.
    Rows keep the answer the model gave them, not their label: few clean rows teach it less than it knows.

    threshold, smallest: a class counts as backdoored where its anomaly index is above the one (the paper's 2) and its
    trigger at most the other as large as the median class's; without one nothing is done. rounds: of inverting and
    unlearning, fewer where no class is odd any more. steps, batch: of the inversion. share: of clean rows stamped.
    epochs, rate: of a round's training.
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

    threshold: float = 2.0
    smallest: float = 0.33
    rounds: int = 3
    steps: int = 200
    batch: int = 32
    share: float = 0.5
    epochs: int = 30
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
        answers = target.predict(work.x)
        shares = answers.softmax(1) if target.spec.answers == "logits" else answers
        rows = [work.x]
        for turn in range(self.rounds):
            found = self._inverted(work, target, rng)
            suspects = found.suspects(self.threshold, self.smallest)
            if not suspects and turn == 0:
                raise MeasurementError(
                    f"no class has an anomalous trigger: the smallest is {float(found.relative.min()):.2f} of a median",
                    where=target.spec.name,
                    fix="there may be no backdoor; raise `smallest` to unlearn the smallest trigger anyway",
                )
            if not suspects:
                break
            rows += [self._stamped(work.x, found, label, rng) for label in suspects]
            x = torch.cat(rows)
            fit(work.module, x, shares.repeat(len(rows), 1), Course(epochs=self.epochs, rate=self.rate), rng)
        return work.done("trigger unlearnt")

    def _inverted(self, work: Bench, target: Target, rng: torch.Generator) -> Inverted:
        """Invert a trigger for every class of the module as it is now."""
        frozen = copy.deepcopy(work.module).eval().requires_grad_(False)
        return invert(frozen, work.x, target.spec.classes, target.spec.bounds, rng, self.steps, self.batch)

    def _stamped(self, x: Tensor, found: Inverted, label: int, rng: torch.Generator) -> Tensor:
        """Put a class's trigger on a share of the rows x (n, *shape)."""
        both = x.clone()
        rows = torch.randperm(len(x), generator=rng)[: int(self.share * len(x))]
        both[rows] = stamped(x[rows], found, label)
        return both
