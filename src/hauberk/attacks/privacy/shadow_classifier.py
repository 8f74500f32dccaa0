"""Shadow models: learn from models of one's own what an answer to a member looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.recording import answers
from hauberk.core.card import Card
from hauberk.core.protocols import References, Target
from hauberk.numeric.learners import LEARNERS, Learner
from hauberk.numeric.membership import Kind, entropy, log_odds, log_probabilities, modified_entropy

Tensor = torch.Tensor

TOP = 3
"""Largest log probabilities an attack model sees (Salem et al. 2019, §3.2: three are as good as all)."""


@dataclass(frozen=True, slots=True)
class ShadowClassifier:
    """Train a classifier on the shadow models' answers, labelled by who was in their training data.

    Shokri et al. 2017, arXiv:1610.05820, §V; one classifier for all classes and the largest probabilities alone, as in
    Salem et al. 2019, arXiv:1806.01246, §3. The answer is read as log probabilities whatever the target gives, so that
    one who returns logits is attacked as well as one who returns probabilities.

    learner: logistic regression, random forest, k nearest neighbours or a small network; all of this project's own
    making, deliberately plain. rows: answers learned from, at most, as many of members as of others.
    """

    card: ClassVar[Card] = Card(
        title="Shadow models (trained classifier)",
        summary="The classic membership attack; rarely better than a threshold, and never at low false positive rates.",
        paper="Shokri et al. 2017, arXiv:1610.05820, §V; Salem et al. 2019, arXiv:1806.01246, §3",
        needs=("scores",),
        inputs=("chw", "row", "wave", "frames", "tokens"),
        threats=("AML.T0024.000", "OWASP-ML04"),
        extra="models",
    )
    uses: ClassVar[Literal["models", "population"]] = "models"

    learner: Learner = "logistic"
    rows: int = 10_000

    def compare(self, target: Target, x: Tensor, y: Tensor, references: References, rng: torch.Generator) -> Tensor:
        """Return the classifier's score that each record is a member (n,) float64."""
        told = torch.cat([_features(answers(model, x), y, model.spec.answers) for model in references.models])
        member = references.member.flatten()
        inside, outside = member.nonzero()[:, 0], (~member).nonzero()[:, 0]
        each = min(len(inside), len(outside), self.rows // 2)
        chosen = torch.cat([part[torch.randperm(len(part), generator=rng)[:each]] for part in (inside, outside)])
        centre, scale = told[chosen].mean(0), told[chosen].std(0).clamp_min(1e-9)
        model = LEARNERS[self.learner]((told[chosen] - centre) / scale, member[chosen], rng)
        return model((_features(answers(target, x), y, target.spec.answers) - centre) / scale)


def _features(answer: Tensor, y: Tensor, kind: Kind) -> Tensor:
    """Read an answer as features (n, TOP + 4) float64."""
    logs = log_probabilities(answer, kind).clamp_min(-50.0)
    top = logs.topk(min(TOP, logs.shape[1]), dim=1).values
    right = (answer.argmax(1) == y).double()
    own = log_odds(answer, y, kind).clamp(-50, 50)
    rest = torch.stack((own, entropy(answer, kind), modified_entropy(answer, y, kind).clamp(max=50), right), 1)
    return torch.cat((top, rest), 1)
