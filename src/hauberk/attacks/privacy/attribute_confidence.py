"""Attribute inference by trying values: the true one makes the model right and sure (CSMIA)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.attributes import Hidden
from hauberk.attacks.recording import answers
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.numeric.membership import log_odds

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class AttributeConfidence:
    """Ask about each record with every value of the hidden column, and compare the answers.

    Mehnaz et al. 2022, arXiv:2201.09370, §4.1 (CSMIA): if one value alone makes the model right, it is that one; if
    several do, the surest of them; if none does, the least sure. With `prior` the probability of the label is weighed
    by how often the value occurs instead (Fredrikson et al. 2014; Yeom et al. 2018, §5, the Bayes choice).
    """

    card: ClassVar[Card] = Card(
        title="Attribute inference by confidence (CSMIA)",
        summary="Tries every value of the hidden column; needs no data to learn from, one query for each value.",
        paper="Mehnaz et al. 2022, arXiv:2201.09370, §4.1",
        inputs=("row",),
        threats=("AML.T0024.001", "OWASP-ML03"),
        extra="models",
    )

    prior: bool = False

    def infer(self, target: Target, hidden: Hidden, rng: torch.Generator) -> Tensor:  # noqa: ARG002
        """Return guesses (n,), the place of a value in hidden.values each."""
        kind = target.spec.answers
        odds, right, sure = [], [], []
        for value in hidden.values:
            told = answers(target, hidden.guessed(value))
            odds.append(log_odds(told, hidden.y, kind))
            best = told.argmax(1)
            right.append(best == hidden.y)
            sure.append(log_odds(told, best, kind))
        if self.prior:
            likelihood = torch.nn.functional.logsigmoid(torch.stack(odds, 1))
            return (likelihood + hidden.frequencies.log()).argmax(1)
        hits, confidence = torch.stack(right, 1), torch.stack(sure, 1)
        among = torch.where(hits, confidence, -torch.inf).argmax(1)
        none = confidence.argmin(1)
        return torch.where(hits.any(1), among, none)
