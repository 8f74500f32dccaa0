"""Mahalanobis: how far do the hidden activations lie from every class of clean data?"""

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
class Mahalanobis:
    """Score the distance to the nearest class in each layer, under one covariance for all classes, added up.

    Each layer's distance is brought to mean 0 and deviation 1 on clean data and all weigh alike, where Lee et al. learn
    weights from attacks. Falls to: an attack that descends the distance (Carlini & Wagner 2017, arXiv:1705.07263, for
    its like). shrinkage: share of the covariance replaced by its mean variance, 0–1.
    """

    card: ClassVar[Card] = Card(
        title="Mahalanobis distance",
        summary="Distance of hidden activations from every class; needs clean data only.",
        paper="Lee et al. 2018, arXiv:1807.03888, section 2",
        needs=("gradients", "module"),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    shrinkage: float = 0.05

    def fit(
        self,
        target: Target,
        data: Split,
        threat: Threat,  # noqa: ARG002
        rng: torch.Generator,
        *,
        attack: EvasionAttack,  # noqa: ARG002
        progress: Progress,  # noqa: ARG002
    ) -> Detector:
        """Estimate means and covariances; half of the data estimates them, the other half scales the distances.

        Raises MissingPower for a target without a module, UsageError where a class has fewer than 2 samples.
        """
        x, y = tensors(data, "the Mahalanobis detector")
        target.predict(x[:2])
        features = Features(target)
        order = torch.randperm(len(y), generator=rng)
        first, second = order[: len(y) // 2], order[len(y) // 2 :]
        scarce = [int(label) for label in torch.unique(y) if int((y[first] == label).sum()) < 2]
        if scarce:
            raise UsageError(f"class {scarce[0]} has too few samples for a covariance", fix="give more of each class")
        layers = [_Layer(rows, y[first], self.shrinkage) for rows in features.rows(x[first])]
        clean = [layer.nearest(rows) for layer, rows in zip(layers, features.rows(x[second]), strict=True)]
        scales = [(float(part.mean()), max(float(part.std()), 1e-6)) for part in clean]

        def score(points: Tensor) -> Tensor:
            far = [layer.nearest(rows) for layer, rows in zip(layers, features(points)[1], strict=True)]
            return torch.stack([(part - mean) / spread for part, (mean, spread) in zip(far, scales, strict=True)]).sum(
                0
            )

        return Fitted(score)


class _Layer:
    """The classes of one layer: their means, and the shared covariance's inverse as a square root."""

    def __init__(self, rows: Tensor, y: Tensor, shrinkage: float) -> None:
        rows = rows.double()
        classes = torch.unique(y)
        means = torch.stack([rows[y == label].mean(0) for label in classes])
        centred = rows - means[torch.searchsorted(classes, y)]
        cover = centred.T @ centred / len(rows)
        even = torch.eye(len(cover), dtype=cover.dtype) * cover.diagonal().mean().clamp(min=1e-9)
        factor = torch.linalg.cholesky((1 - shrinkage) * cover + shrinkage * even + 1e-9 * even)
        self._root = torch.linalg.inv(factor).T.float()
        self._means = (means @ self._root.double()).float()

    def nearest(self, rows: Tensor) -> Tensor:
        """Return the squared distance of rows (n, d) to the nearest class (n,)."""
        gaps = (rows @ self._root).unsqueeze(1) - self._means
        far: Tensor = gaps.square().sum(2).amin(1)
        return far
