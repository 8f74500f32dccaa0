"""What is asked of poison: attacks that change training rows, and detectors that find the rows that were changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from hauberk.core.card import Card
from hauberk.core.protocols import Target

if TYPE_CHECKING:
    import torch

    from hauberk.core.threat import Threat


class Poisoned(NamedTuple):
    """A poisoned training set: x, y whole, and the indices of the changed rows (m,)."""

    x: torch.Tensor
    y: torch.Tensor
    rows: torch.Tensor


@runtime_checkable
class PoisoningAttack(Protocol):
    """Change training rows so that the model trained on them misbehaves."""

    card: ClassVar[Card]

    def poison(
        self,
        x: torch.Tensor,
        y: torch.Tensor,
        bounds: tuple[float, float],
        threat: Threat,
        rng: torch.Generator,
    ) -> Poisoned:
        """Poison the threat's share of the rows; inputs are not changed in place."""
        ...


@runtime_checkable
class CraftingAttack(Protocol):
    """A poisoning attack that works out its rows on a model of the attacker's own."""

    card: ClassVar[Card]

    def craft(
        self, surrogate: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> Poisoned:
        """Poison the threat's share of the rows with the help of a model trained on clean rows."""
        ...


@runtime_checkable
class AimingAttack(Protocol):
    """A poisoning attack without trigger that has one chosen input decided as the attacker's class."""

    card: ClassVar[Card]

    def aim(
        self,
        surrogate: Target,
        x: torch.Tensor,
        y: torch.Tensor,
        chosen: torch.Tensor,
        threat: Threat,
        rng: torch.Generator,
    ) -> Poisoned:
        """Poison the threat's share of the rows x (n, *shape), y (n,) against chosen (k, *shape), none of them in x."""
        ...


@runtime_checkable
class Triggering(Protocol):
    """A poisoning attack that opens a backdoor: inputs with its trigger are to be decided as the attacker's class.

    An attack without one, that aims at no input either, is measured by what the model loses of its accuracy.
    """

    def trigger(self, x: torch.Tensor, bounds: tuple[float, float]) -> torch.Tensor:
        """Put the trigger on clean inputs."""
        ...


@runtime_checkable
class Retraining(Protocol):
    """A poisoning attack that says what of the victim is trained on its rows.

    retrains: "all" of the model from a fresh start, or its "last" linear layer alone on the features it has.
    """

    retrains: Literal["last", "all"]


Poisoning: TypeAlias = PoisoningAttack | CraftingAttack | AimingAttack


class Suspicion(NamedTuple):
    """What a detector of poison says of n training rows.

    scores: (n,) float64, higher is more suspicious; of use as a ranking even where nothing is flagged.
    flagged: (n,) bool, the rows to set aside. alarm: how far the strongest sign lies above what clean data show, 1 at
    the detector's threshold; below 1 nothing is flagged. aim: the class the rows seem to be planted for; None without
    alarm. note: the sign in one sentence, for people.
    """

    scores: torch.Tensor
    flagged: torch.Tensor
    alarm: float
    aim: int | None
    note: str


@runtime_checkable
class PoisonDetector(Protocol):
    """Find the rows of a training set that were planted.

    blind: the families of poison it cannot see, in words; a report prints them.
    """

    card: ClassVar[Card]
    blind: ClassVar[tuple[str, ...]]

    def suspect(self, x: torch.Tensor, y: torch.Tensor, target: Target | None, rng: torch.Generator) -> Suspicion:
        """Judge the rows x (n, *shape), y (n,). target: the model trained on them, where the card needs one.

        Raises MissingPower where it needs a target that is not given, DataError for too few rows.
        """
        ...
