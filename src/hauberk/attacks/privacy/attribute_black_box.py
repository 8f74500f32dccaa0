"""Attribute inference, black box: learn from records one knows what the model's answer says of a hidden column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.attributes import Hidden, guess
from hauberk.attacks.recording import answers
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.numeric.learners import Learner
from hauberk.numeric.membership import log_probabilities

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class AttributeBlackBox:
    """Train a classifier of the hidden column on the other columns, the label and the target's answer.

    Yeom et al. 2018, arXiv:1709.01604, §5; Jia & Gong 2018. The answer is to the record as it is: the attacker sees
    what the model told others of it. The examiner sets it beside the same classifier without the answer.

    learner: what is trained, one classifier for each value.
    """

    card: ClassVar[Card] = Card(
        title="Attribute inference (black box, learned)",
        summary="Guesses a hidden column from the rest and the model's answer; leaks what the answer depends on.",
        paper="Yeom et al. 2018, arXiv:1709.01604, §5",
        needs=("scores",),
        inputs=("row",),
        threats=("AML.T0024.001", "OWASP-ML03"),
        extra="models",
    )

    learner: Learner = "logistic"

    def infer(self, target: Target, hidden: Hidden, rng: torch.Generator) -> Tensor:
        """Return guesses (n,) of the hidden column, one of hidden.values each."""
        told = [
            log_probabilities(answers(target, x), target.spec.answers).clamp_min(-50)
            for x in (hidden.known_x, hidden.x)
        ]
        return guess(hidden, told[0], told[1], self.learner, rng)
