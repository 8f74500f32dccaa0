"""k nearest neighbours: does the predicted class live where the hidden activation lies?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.defending import Detector
from hauberk.core.errors import UsageError
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.detecting import Fitted
from hauberk.defenses.detecting_features import Features
from hauberk.defenses.transforming_training import tensors

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class KNN:
    """Score the log ratio of distances: to the k nearest of the predicted class over the k nearest of all others.

    The last hidden layer is looked at, rows scaled to length 1. Papernot & McDaniel count neighbours of other classes,
    which has no gradient; the ratio orders alike and has one. Falls to: an attack that walks towards clean samples of
    another class (Sitawarin & Wagner 2019, arXiv:1903.08333). k: neighbours.
    """

    card: ClassVar[Card] = Card(
        title="Deep k nearest neighbours",
        summary="Compares distances to the predicted class and to others in the last hidden layer; clean data only.",
        paper="Papernot & McDaniel 2018, arXiv:1803.04765",
        needs=("gradients", "module"),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    k: int = 10

    def fit(
        self,
        target: Target,
        data: Split,
        threat: Threat,  # noqa: ARG002
        rng: torch.Generator,  # noqa: ARG002
        *,
        attack: EvasionAttack,  # noqa: ARG002
        progress: Progress,  # noqa: ARG002
    ) -> Detector:
        """Remember the clean data's activations.

        Raises MissingPower for a target without a module, UsageError where a class has fewer than k samples.
        """
        x, y = tensors(data, "the k-nearest-neighbour detector")
        target.predict(x[:2])
        features = Features(target, last=True)
        classes = torch.unique(y)
        scarce = [int(label) for label in classes if int((y == label).sum()) < self.k]
        if scarce or len(classes) < 2:
            raise UsageError(
                f"class {scarce[0] if scarce else int(classes[0])} has fewer than {self.k} samples, or no rival",
                fix="give more of each class, or fewer neighbours",
            )
        (known,) = (_unit(rows) for rows in features.rows(x))
        groups = [known[y == label] for label in classes]
        k = self.k

        def score(points: Tensor) -> Tensor:
            logits, (rows,) = features(points)
            place = _unit(rows)
            far = torch.stack(
                [torch.cdist(place, own).topk(k, dim=1, largest=False).values.mean(1) for own in groups], 1
            )
            told = logits[:, classes].argmax(1, keepdim=True)
            others = far.scatter(1, told, torch.inf).amin(1)
            return far.gather(1, told).squeeze(1).clamp(min=1e-6).log() - others.clamp(min=1e-6).log()

        return Fitted(score)


def _unit(rows: Tensor) -> Tensor:
    length: Tensor = rows.norm(dim=1, keepdim=True)
    return rows / length.clamp(min=1e-9)
