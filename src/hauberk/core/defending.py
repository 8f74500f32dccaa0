"""What is asked of defenses that leave the model as it is: targets behind them, targets that prove, and detectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, runtime_checkable

from hauberk.core.card import Card
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target

if TYPE_CHECKING:
    import torch

    from hauberk.core.threat import Threat


@runtime_checkable
class Defended(Target, Protocol):
    """A target behind a defense of inference time, which shows how somebody who knows the defense would attack it."""

    @property
    def draws(self) -> int:
        """Looks whose mean a search should take (expectation over transformation): 1 where it answers alike twice."""
        ...

    def bare(self) -> Target:
        """Return the model without the defense: what breaks it may break the defended one too."""
        ...

    def adaptive(self) -> Target:
        """Return the same defense, which answers alike, with a stand-in's gradient where its own leads nowhere."""
        ...


class Proof(NamedTuple):
    """What a target says of its own answers: safe (n,) bool, each wrong with probability `error` at most, and how."""

    safe: torch.Tensor
    error: float
    how: str


@runtime_checkable
class Certifying(Target, Protocol):
    """A target that can prove of an answer that no allowed change alters it."""

    def certifies(self, threat: Threat) -> bool:
        """Tell whether it proves anything under this threat."""
        ...

    def certify(self, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator) -> Proof:
        """Say of which x (n, *shape) it is proven that the answer is y (n,) under every allowed change."""
        ...


class Detector(Protocol):
    """A fitted detector of adversarial inputs."""

    def score(self, x: torch.Tensor) -> torch.Tensor:
        """Score inputs x (n, *shape) → (n,) float32 without gradient; higher is more suspicious."""
        ...

    def suspicion(self, x: torch.Tensor) -> torch.Tensor:
        """Compute a score (n,) under autograd that falls where `score` falls: what an adaptive attacker descends."""
        ...


class Detection(Protocol):
    """Fit a detector to a target."""

    card: ClassVar[Card]

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
        """Fit to clean training data, and to attacks on it where it needs any.

        Raises MissingPower where the target lacks what it needs, UsageError where there is too little data.
        """
        ...
