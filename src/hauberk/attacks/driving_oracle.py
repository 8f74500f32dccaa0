"""How the driver asks a target: in batches that fit cache and memory, by input gradient only, in the cheapest dtype."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch

from hauberk.core.errors import MissingPower, TargetMemory, TargetOutput
from hauberk.core.protocols import Differentiable
from hauberk.numeric.losses import Aim, Climb, Loss

Tensor = torch.Tensor

_CLEAR = 1e-6
"""A lead under this share of the largest logit may vanish when the same input is asked in another batch."""


Lens: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]
"""A differentiable, random view of points (m, *shape) → (m, …) the target takes."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the target said at n points.

    logits: (n, classes) float32. lead: (n,) float32, by how much the error leads; `hit`: (n,) bool, it clearly does.
    loss: (n,) and gradient (n, *shape) of the round's loss, or (n, m, *shape) where it asks for m directions;
    both are empty in the last look of a round.
    """

    logits: Tensor
    lead: Tensor
    hit: Tensor
    loss: Tensor
    gradient: Tensor


@dataclass(frozen=True, slots=True)
class Oracle:
    """A target as the driver asks it.

    batch: inputs per forward. low: search in bfloat16. lens: what a look sees points through. draws: looks whose mean
    is taken. rng: of the lens. searched: a quicker form of the target that looks are taken at; None for itself.
    """

    target: Differentiable
    batch: int
    low: bool = False
    lens: Lens | None = None
    draws: int = 1
    rng: torch.Generator | None = None
    searched: Differentiable | None = None

    @property
    def plain(self) -> bool:
        """Whether a look sees just what counts: the target itself, in float32, without a lens."""
        return not self.low and self.lens is None and self.searched in (None, self.target)

    def look(self, x: Tensor, aim: Aim, loss: Loss) -> Seen:
        """Ask for logits and the gradient of `loss` at x (n, *shape); parameters get no gradient."""
        parts = []
        for piece, (labels, wanted) in _pieces(x, aim, self.batch):
            part = Aim(labels, wanted, aim.strict)
            try:
                parts.append(self._mean(piece, part, loss) if self.draws > 1 else self._once(piece, part, loss))
            except TargetMemory:
                if len(piece) == 1:
                    raise
                return replace(self, batch=math.ceil(len(piece) / 2)).look(x, aim, loss)
        logits, values, slopes = (_joined(list(column)) for column in zip(*parts, strict=True))
        return self._seen(logits, aim, values, slopes)

    def _once(self, x: Tensor, aim: Aim, loss: Loss) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits, loss and gradient of one look at a piece that fits one forward."""
        point = x.detach().requires_grad_(True)
        with torch.enable_grad(), self._dtype(x.device):
            raw = (self.searched or self.target).forward(
                point if self.lens is None or self.rng is None else self.lens(point, self.rng)
            )
        scores = self._checked(raw, len(x))
        climb = loss(scores, aim)
        return scores, climb.value, _input_gradient(raw, point, climb)

    def _mean(self, x: Tensor, aim: Aim, loss: Loss) -> tuple[Tensor, Tensor, Tensor]:
        """Return the means of several looks: at a model that answers at random, or through a random lens."""
        scores, value, slope = self._once(x, aim, loss)
        for _ in range(1, self.draws):
            for total, more in zip((scores, value, slope), self._once(x, aim, loss), strict=True):
                total += more
        return scores / self.draws, value / self.draws, slope / self.draws

    def glance(self, x: Tensor, aim: Aim) -> Seen:
        """Ask for logits alone, in float32: the word that counts before a sample leaves."""
        logits = []
        for piece, _ in _pieces(x, aim, self.batch):
            try:
                with torch.no_grad():
                    logits.append(self._checked(self.target.forward(piece), len(piece)))
            except TargetMemory:
                if len(piece) == 1:
                    raise
                return replace(self, batch=math.ceil(len(piece) / 2)).glance(x, aim)
        nothing = x.new_empty(len(x), 0)
        return self._seen(_joined(logits), aim, nothing, nothing)

    def _dtype(self, device: torch.device) -> AbstractContextManager[object]:
        return torch.autocast(device.type, dtype=torch.bfloat16) if self.low else nullcontext()

    def _checked(self, raw: Tensor, rows: int) -> Tensor:
        expected = (rows, self.target.spec.classes)
        if tuple(raw.shape) != expected:
            raise TargetOutput(
                f"forward gave shape {tuple(raw.shape)}, expected {expected}", where=self.target.spec.name
            )
        scores = raw.detach().float()
        # A sum is one cheap pass, and finite unless a score is not or the sum overflows: only then all are looked at.
        if not math.isfinite(float(scores.sum())) and not bool(torch.isfinite(scores).all()):
            raise TargetOutput("forward gave NaN or infinite scores", where=self.target.spec.name)
        return scores

    def _seen(self, logits: Tensor, aim: Aim, loss: Tensor, gradient: Tensor) -> Seen:
        lead = aim.lead(logits)
        return Seen(logits, lead, lead > _CLEAR * logits.abs().amax(1), loss, gradient)


def batch_size(shape: tuple[int, ...], device: torch.device) -> int:
    """Choose inputs of `shape` per forward: what keeps a layer's activations near the cache, or fills an accelerator.

    Measured on CPU: 256 is best for small convolutional nets, 32 for ResNets; rows of a table are tiny.
    """
    values = math.prod(shape)
    if device.type != "cpu":
        return max(16, min(1024, 2**26 // max(1, values)))
    if len(shape) < 3:
        return 1024
    return 256 if values <= 1024 else 32


def _pieces(x: Tensor, aim: Aim, batch: int) -> list[tuple[Tensor, tuple[Tensor, Tensor | None]]]:
    """Cut n samples into the fewest even pieces of at most `batch`."""
    count = math.ceil(len(x) / batch)
    if count <= 1:
        return [(x, (aim.labels, aim.wanted))]
    inputs, labels = x.tensor_split(count), aim.labels.tensor_split(count)
    wanted: tuple[Tensor | None, ...] = (None,) * count if aim.wanted is None else aim.wanted.tensor_split(count)
    return list(zip(inputs, zip(labels, wanted, strict=True), strict=True))


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _input_gradient(raw: Tensor, point: Tensor, climb: Climb) -> Tensor:
    """Pull the slope by the logits back to the input; a direction without number counts as flat."""
    if not raw.requires_grad:
        raise MissingPower(
            "the target's scores do not depend on its input by autograd", fix="choose a black-box attack"
        )
    slope = climb.slope.to(raw.dtype)
    if slope.ndim == 2:
        return _pull(raw, point, slope, keep=False)
    last = slope.shape[1] - 1
    return torch.stack([_pull(raw, point, slope[:, j], keep=j < last) for j in range(last + 1)], dim=1)


def _pull(raw: Tensor, point: Tensor, slope: Tensor, *, keep: bool) -> Tensor:
    # The gradient of ⟨raw, slope⟩ is the same to the bit, and spares what autograd imports to compare two shapes.
    (gradient,) = torch.autograd.grad(torch.dot(raw.flatten(), slope.flatten()), point, retain_graph=keep)
    return gradient.nan_to_num(nan=0.0)
