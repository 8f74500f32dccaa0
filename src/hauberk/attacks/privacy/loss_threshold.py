"""Membership by loss: a model is surer of what it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn.functional import logsigmoid

from hauberk.core.card import Card
from hauberk.core.protocols import Target


@dataclass(frozen=True, slots=True)
class LossThreshold:
    """Score each sample by minus its cross-entropy loss under the target.

    Yeom et al. 2018, arXiv:1709.01604, §3.2. Where the target answers with labels only, the loss is 0 or 1 (the gap
    attack, ibid.): one query a sample, no model of the attacker's own.

    batch: samples asked at once.
    """

    card: ClassVar[Card] = Card(
        title="Loss threshold (membership inference)",
        summary="Tells training members by their low loss; one query a sample, the baseline every audit starts with.",
        paper="Yeom et al. 2018, arXiv:1709.01604, §3.2",
        inputs=("chw", "row"),
        threats=("AML.T0024.000", "OWASP-ML04"),
        extra="models",
    )

    batch: int = 512

    def score(self, target: Target, x: torch.Tensor, y: torch.Tensor, rng: torch.Generator) -> torch.Tensor:  # noqa: ARG002
        """Return minus the loss (n,) float64, at most 0."""
        cuts = [slice(start, start + self.batch) for start in range(0, len(x), self.batch)]
        return torch.cat([_score(target.predict(x[cut]), y[cut], target.spec.answers) for cut in cuts])


def _score(answer: torch.Tensor, y: torch.Tensor, kind: str) -> torch.Tensor:
    """Compute minus the loss from the log odds of the true class.

    log(p / (1 − p)) in double precision keeps apart members whose p rounds to 1; the usual log-softmax in float32
    makes them equal, and the attack loses exactly the samples it is surest of.
    """
    if kind == "labels":
        return (answer.argmax(1) == y).double() - 1
    scores = answer.detach().double()
    if kind == "probabilities":
        scores = scores.clamp_min(1e-300).log()
    true = scores.gather(1, y[:, None])[:, 0]
    rest = scores.scatter(1, y[:, None], -torch.inf).logsumexp(1)
    return logsigmoid(true - rest)
