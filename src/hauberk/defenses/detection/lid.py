"""LID: how fast do neighbours become more when one looks further around hidden activations?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.defending import Detector
from hauberk.core.errors import UsageError
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.detecting import Fitted, broken
from hauberk.defenses.detecting_features import Features, Scale
from hauberk.defenses.detecting_pairs import told_apart
from hauberk.defenses.transforming_training import tensors

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class LID:
    """Estimate the local intrinsic dimensionality in every layer and weigh the layers by logistic regression.

    Learns from attacks of the kind it is given. Falls to: high-confidence and adaptive attacks (Athalye et al. 2018,
    arXiv:1802.00420, §5.2.1). neighbours: among the references the estimate rests on. references: clean samples, at
    most half of the data. epochs: of the regression.
    """

    card: ClassVar[Card] = Card(
        title="Local intrinsic dimensionality",
        summary="Estimates the dimension around activations; learns from attacks, falls to confident ones.",
        paper="Ma et al. 2018, arXiv:1801.02613",
        needs=("gradients", "module"),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    neighbours: int = 20
    references: int = 500
    epochs: int = 40

    def fit(
        self,
        target: Target,
        data: Split,
        threat: Threat,
        rng: torch.Generator,
        *,
        attack: EvasionAttack,
        progress: Progress,
    ) -> Detector:
        """Learn from half of the data, attacked and not, with neighbours in the other half.

        Raises MissingPower for a target without a module, UsageError for too few samples or attacks that break too few.
        """
        x, y = tensors(data, "the LID detector", fewest=4 * self.neighbours)
        target.predict(x[:2])
        features = Features(target)
        order = torch.randperm(len(y), generator=rng)
        ground, rest = order[: min(self.references, len(y) // 2)], order[len(y) // 2 :]
        known = features.rows(x[ground])
        if self.neighbours >= len(ground):
            raise UsageError(f"{len(ground)} references have no {self.neighbours} neighbours", fix="ask for fewer")
        wrong, right = broken(target, attack, x[rest], y[rest], threat, rng)

        def dimensions(points: Tensor) -> Tensor:
            return torch.stack(
                [
                    _dimension(rows, near, self.neighbours)
                    for rows, near in zip(features(points)[1], known, strict=True)
                ],
                dim=1,
            )

        with torch.no_grad():
            clean, attacked = (
                torch.cat([dimensions(part) for part in torch.split(rows, 256)]) for rows in (right, wrong)
            )
        scale = Scale(clean)
        net = torch.nn.Linear(len(known), 1)
        told_apart(net, scale(clean), scale(attacked), self.epochs, 3e-2, rng, progress, "the LID detector")

        def score(points: Tensor) -> Tensor:
            found: Tensor = net(scale(dimensions(points))).squeeze(1)
            return found

        return Fitted(score)


def _dimension(rows: Tensor, known: Tensor, k: int) -> Tensor:
    """Estimate log LID (n,) of rows (n, d) by the distances to their k nearest among known (m, d): equation 4."""
    near = torch.cdist(rows, known).clamp(min=1e-9).topk(k, dim=1, largest=False).values
    share = (near / near[:, -1:]).log().mean(1)
    return -(-share).clamp(min=1e-9).log()
