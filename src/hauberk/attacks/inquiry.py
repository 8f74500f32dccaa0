"""How a black-box attack asks: in batches, for scores or labels, every sample charged alike, never past its budget."""

from __future__ import annotations

import math

import torch

from hauberk.core.errors import DataError
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.losses import Aim

Tensor = torch.Tensor

_BATCH_VALUES = 2**22
"""Input values per predict: 16 MiB of float32."""
_BATCH = 1024


class Inquiry:
    """Questions about n samples, counted per sample.

    x: inputs (n, *shape), y: labels (n,). queries: that each sample may cost; a threat's own budget goes before it.
    left: what remains of them. `rows` below are indices into the n samples, one for each point's sample.
    Raises DataError for labels that are no integers and for a target of one class.
    """

    def __init__(self, target: Target, x: Tensor, y: Tensor, threat: Threat, queries: int) -> None:
        if y.is_floating_point():
            raise DataError(f"labels are {y.dtype}", fix="give class indices as integers")
        if target.spec.classes == 1:
            raise DataError("the target has one class: there is no error to look for", where=target.spec.name)
        self._target, self._y, self._wanted, self._axes = target, y, threat.target_class, x.ndim - 1
        self.left = queries if threat.queries is None else min(queries, threat.queries)

    def charge(self, queries: int = 1) -> bool:
        """Charge queries to every sample; False, and nothing charged, where they cannot be paid."""
        if queries > self.left:
            return False
        self.left -= queries
        return True

    def scores(self, points: Tensor) -> Tensor:
        """Ask for points (m, *shape) → (m, classes), as the target answers: logits, probabilities or one-hot rows."""
        size = max(1, min(_BATCH, _BATCH_VALUES // max(1, math.prod(points.shape[1:]))))
        parts = [self._target.predict(part) for part in torch.split(points, size)]
        return torch.cat(parts) if parts else points.new_zeros(0, self._target.spec.classes)

    def lead(self, points: Tensor, rows: Tensor) -> Tensor:
        """Measure by how much the error leads, in scores: (m,) of points (m, *shape), or (m, k) of (m, k, *shape)."""
        scores, labels, shape = self._asked(points, rows)
        return self.lead_of(scores, labels).reshape(shape)

    def errs(self, points: Tensor, rows: Tensor) -> Tensor:
        """Tell which points the attacker would take: (m,) of points (m, *shape), or (m, k) of (m, k, *shape)."""
        scores, labels, shape = self._asked(points, rows)
        return self.takes(scores.argmax(1), labels).reshape(shape)

    def lead_of(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Measure by how much the error leads in scores (m, classes) of samples with these labels (m,)."""
        wanted = None if self._wanted is None else torch.full_like(labels, self._wanted)
        return Aim(labels, wanted, strict=wanted is not None).lead(scores)

    def takes(self, found: Tensor, labels: Tensor) -> Tensor:
        """Tell which classes found (m,) the attacker wants."""
        return found != labels if self._wanted is None else found == self._wanted

    def _asked(self, points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, tuple[int, ...]]:
        labels = self._y[rows]
        if points.ndim - 1 == self._axes:
            return self.scores(points), labels, (len(points),)
        count = points.shape[1]
        return self.scores(points.flatten(0, 1)), labels.repeat_interleave(count), (len(points), count)
