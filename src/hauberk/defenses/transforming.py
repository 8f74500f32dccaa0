"""A target behind a transformation of its inputs or answers: as it is deployed, and as one who knows it attacks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import msgspec
import torch

from hauberk.core.defending import Defended
from hauberk.core.errors import MissingPower
from hauberk.core.protocols import Differentiable, Target, TargetSpec
from hauberk.numeric.bpda import Step, straight_through

Tensor = torch.Tensor
Look: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]
"""What is done to inputs (n, *shape), which need not be done alike twice."""

LEAST = 1e-30
"""Probabilities below it count as it under the logarithm, as targets read them."""


@dataclass(frozen=True, slots=True)
class Transformation:
    """What a defense does. before: to inputs (n, *shape). after: to probabilities (n, classes).

    stand_in: a step whose gradient takes the place of that of `before` for an adaptive attacker; None where autograd's
    own leads somewhere. He ignores `after`, which must not change the order of scores but for ties: he climbs the
    scores behind it. draws: looks whose mean he takes: 1 where `before` draws nothing at random.
    """

    before: Look | None = None
    after: Step | None = None
    stand_in: Step | None = None
    draws: int = 1

    @property
    def answers(self) -> bool:
        """Whether it changes what is answered."""
        return self.after is not None


class Transformed:
    """A target behind a transformation.

    It answers as deployed. seed: of what the transformation draws. smooth: whether gradients are those of stand-ins.
    """

    def __init__(
        self, target: Target, name: str, how: Transformation, rng: torch.Generator, *, smooth: bool = False
    ) -> None:
        self._target, self._name, self._how, self._rng, self._smooth = target, name, how, rng, smooth

    @property
    def spec(self) -> TargetSpec:
        """What it is: the target's own but for its name, and probabilities where those are what it changes."""
        own = self._target.spec
        answers = "probabilities" if self._how.answers else own.answers
        return msgspec.structs.replace(own, name=f"{own.name} + {self._name}", answers=answers)

    @property
    def draws(self) -> int:
        """Looks whose mean a search should take."""
        return self._how.draws

    def predict(self, x: Tensor) -> Tensor:
        """Score x (n, *shape) without gradient, through the defense."""
        with torch.no_grad():
            scores = self._target.predict(self._seen(x))
            if self._how.after is None:
                return scores
            logits = self._target.spec.answers == "logits"
            return self._how.after(scores.softmax(1) if logits else scores)

    def bare(self) -> Target:
        """Return the target without the defense."""
        return self._target

    def adaptive(self) -> Target:
        """Return this defense with its stand-ins' gradients; it draws from the same stream."""
        return type(self)(self._target, self._name, self._how, self._rng, smooth=True)

    def _seen(self, x: Tensor) -> Tensor:
        how = self._how
        if how.before is None:
            return x
        look: Step = partial(_looked, how.before, self._rng)
        return straight_through(look, how.stand_in)(x) if self._smooth and how.stand_in else look(x)


def _looked(before: Look, rng: torch.Generator, x: Tensor) -> Tensor:
    return before(x, rng)


class SmoothTransformed(Transformed):
    """One whose target gives gradients; they are what autograd makes of the defense, be it nothing at all."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits (n, classes) under autograd."""
        assert isinstance(self._target, Differentiable)
        logits = self._target.forward(self._seen(x))
        if self._how.after is None or self._smooth:
            return logits
        return self._how.after(logits.softmax(1)).clamp_min(LEAST).log()


def transformed(target: Target, name: str, how: Transformation, rng: torch.Generator) -> Defended:
    """Put a target behind a transformation; it has gradients where the target has them.

    Raises MissingPower where answers are to be changed that are labels only.
    """
    if how.answers and target.spec.answers == "labels":
        raise MissingPower(
            f"{target.spec.name} answers with labels only: there are no scores to change",
            fix="choose a defense that changes inputs",
        )
    own = torch.Generator().manual_seed(int(torch.randint(2**62, (1,), generator=rng)))
    kind = SmoothTransformed if isinstance(target, Differentiable) else Transformed
    return kind(target, name, how, own)


class Paired:
    """A defense inside the network: the model as deployed, and the same one with stand-ins' gradients."""

    def __init__(self, deployed: Differentiable, smooth: Differentiable, bare: Target, draws: int = 1) -> None:
        self._deployed, self._smooth, self._bare, self._draws = deployed, smooth, bare, draws

    @property
    def spec(self) -> TargetSpec:
        """What the deployed model is."""
        return self._deployed.spec

    @property
    def draws(self) -> int:
        """Looks whose mean a search should take."""
        return self._draws

    def predict(self, x: Tensor) -> Tensor:
        """Score x (n, *shape) without gradient."""
        return self._deployed.predict(x)

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits (n, classes) under autograd as the deployed model gives them."""
        return self._deployed.forward(x)

    def bare(self) -> Target:
        """Return the model without the defense."""
        return self._bare

    def adaptive(self) -> Target:
        """Return the same model with stand-ins' gradients."""
        return self._smooth
