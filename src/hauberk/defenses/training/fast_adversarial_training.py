"""Fast adversarial training: one long step from a random start, watched for catastrophic overfitting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn.functional import cross_entropy

from hauberk.core.card import Card
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.inner_maximisation import Inner
from hauberk.defenses.labelled import Labelled
from hauberk.defenses.student import Student
from hauberk.defenses.training_driver import train
from hauberk.defenses.training_plan import DEFAULT, Derailed, Lesson, Training
from hauberk.defenses.training_task import Task


@dataclass(frozen=True, slots=True)
class FastAdversarialTraining:
    """FGSM from a random start, with a watchman.

    Wong et al. 2020, arXiv:2001.03994, algorithm 3. One step may suddenly be learned by heart: accuracy against it
    rises while accuracy against PGD falls to nothing (their section 5.4). Every `watch` steps the batch is also
    attacked by PGD-7; when what withstands falls below half of the best so far, training goes back to its last good
    state with half the step, and takes one gradient more an input from there. Breaks where the threat is another than
    the one trained on.

    pace: of the step, in radii. watch: steps between two looks; 0 for none.
    """

    card: ClassVar[Card] = Card(
        title="Fast adversarial training",
        summary="One gradient an input, guarded against catastrophic overfitting; when there is time for few epochs.",
        paper="Wong et al. 2020, arXiv:2001.03994",
        needs=("gradients", "module"),
        norms=("linf", "l2"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    pace: float = 1.25
    watch: int = 25
    training: Training = DEFAULT

    def apply(
        self,
        target: Target,
        data: Split,
        threat: Threat,
        rng: torch.Generator,
        *,
        attack: EvasionAttack,
        progress: Progress,
    ) -> Target:
        """Return a target like this one, trained so; raises what `train` raises."""
        return train(self, Task(target, data, threat, attack), rng, progress=progress).target

    def lesson(self, student: Student) -> Lesson:
        """Descend cross-entropy at the end of the step."""
        memory = {"steps": 1.0, "best": 0.0, "count": 0.0}

        def loss(batch: Labelled) -> torch.Tensor:
            memory["count"] += 1
            if self.watch and memory["count"] % self.watch == 0:
                _look(student, batch, memory)
            steps = int(memory["steps"])
            x = student.climbed(batch, Inner(steps, None if steps > 1 else self.pace))
            return cross_entropy(student.logits(x), batch.y)

        return Lesson(loss, memory=memory)


SOUND = 0.2
"""Share right under PGD-7 below which no fall is called overfitting: there is nothing to fall from."""


def _look(student: Student, batch: Labelled, memory: dict[str, float]) -> None:
    """Attack the batch with PGD-7; raises Derailed where what withstands has collapsed."""
    x = student.climbed(batch, Inner(7))
    with student.still() as module, torch.no_grad():
        right = float((module(x).argmax(1) == batch.y).float().mean())
    if memory["best"] >= SOUND and right < memory["best"] / 2:
        memory["steps"] += 1
        memory["best"] = 0.0
        raise Derailed(f"catastrophic overfitting, {right:.0%} right under PGD-7: {memory['steps']:.0f} gradients now")
    memory["best"] = max(memory["best"], right)
