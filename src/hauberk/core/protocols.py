"""What the parts of the house ask of each other: targets, data, attacks, defenses, stores, progress."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

import msgspec

from hauberk.core.card import Card
from hauberk.core.evidence import Entry
from hauberk.core.schema import DatasetSpec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    from hauberk.core.threat import Threat
    from hauberk.numeric.tree import Forest

    Floats: TypeAlias = npt.NDArray[np.float32]
    Labels: TypeAlias = npt.NDArray[np.int64]


# --- targets


class TargetSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a model under test is.

    shape: of one input, (c, h, w), (d,) or as another layout of `core.schema` says. classes: how many.
    bounds: [low, high] every input value lies in.
    answers: "logits", "probabilities" (rows sum to 1) or "labels" (predict gives one-hot rows).
    digest: of its weights or file, "sha256:…"; of its address for a remote one. labels: class names, or empty.
    notes: what a report must say of how it was reached (loaded with trust, ran over the network).
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    classes: int
    bounds: tuple[float, float]
    answers: Literal["logits", "probabilities", "labels"] = "logits"
    digest: str = ""
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@runtime_checkable
class Target(Protocol):
    """A model under test. Preprocessing and input bounds belong to it."""

    @property
    def spec(self) -> TargetSpec:
        """What it is."""
        ...

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Score inputs x (n, *shape) float32 → (n, classes) float32 without gradient.

        Raises TargetError, TargetTimeout or TargetOutput; never returns NaN.
        """
        ...


@runtime_checkable
class Differentiable(Target, Protocol):
    """A target whose scores are a plain autograd function of the input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute logits (n, classes) under autograd; parameters need no gradient and get none."""
        ...


@runtime_checkable
class Searchable(Differentiable, Protocol):
    """A target with a quicker form to search with; what is found is asked of the target itself."""

    def search_copy(self, x: torch.Tensor) -> Differentiable | None:
        """Return a target that answers alike but for rounding, perhaps this one; x (n, *shape) are inputs to try it on.

        None where the model is so small that neither a quicker form nor a shorter float type would be felt.
        """
        ...


@runtime_checkable
class Modular(Differentiable, Protocol):
    """A target that is a torch module and can be rebuilt around another one of the same interface."""

    def module(self) -> torch.nn.Module:
        """Return a deep copy, preprocessing included, parameters trainable: inputs in `bounds` → logits."""
        ...

    def rebuild(self, module: torch.nn.Module, name: str) -> Target:
        """Return a target like this one around `module` (the same interface as `module()` gives)."""
        ...


@runtime_checkable
class Trainable(Target, Protocol):
    """A target that can be trained anew."""

    def refit(self, x: torch.Tensor, y: torch.Tensor, rng: torch.Generator) -> Target:
        """Train a fresh model of the same architecture on x (n, *shape), y (n,); this one stays as it is."""
        ...


@runtime_checkable
class Ensemble(Target, Protocol):
    """A target that is a tree ensemble and shows its trees."""

    def trees(self) -> Forest:
        """Return its trees; for every input the class they answer is the one `predict` scores highest."""
        ...


# --- data


class Split(NamedTuple):
    """Inputs x (n, *shape) float32 and labels y (n,) int64."""

    x: Floats
    y: Labels


@runtime_checkable
class Dataset(Protocol):
    """Labelled data in memory, already checked: no NaN, labels in range, inputs in bounds."""

    @property
    def spec(self) -> DatasetSpec:
        """What it is."""
        ...

    @property
    def train(self) -> Split:
        """What the model was trained on; empty where it is not known."""
        ...

    @property
    def test(self) -> Split:
        """What the model has not seen."""
        ...


# --- progress


class Step(Protocol):
    """One running piece of long work."""

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Say that `amount` more units are done; `note` is a short figure such as "robust 74 %"."""
        ...


class Progress(Protocol):
    """Where engines say how far they are; a silent one is `hauberk.core.progress.Silent`."""

    def step(self, name: str, total: int | None, unit: str) -> AbstractContextManager[Step]:
        """Open a step of `total` units."""
        ...


# --- attacks and defenses


class EvasionAttack(Protocol):
    """Change inputs within the threat's set so that the target errs."""

    card: ClassVar[Card]

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return candidates of x's shape.

        A sample the attack could not break may come back in any state inside the set.
        """
        ...


@runtime_checkable
class PosingAttack(EvasionAttack, Protocol):
    """An evasion attack that transforms inputs as a whole: it says how, and who examines it renders them himself."""

    def parameters(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return a pose for each input (n, k), as `hauberk.numeric.transforms.PARAMETERS` orders them."""
        ...


class Claim(NamedTuple):
    """What an attack returns that judges itself: candidates x (n, *shape), and which it calls broken (n,) bool."""

    x: torch.Tensor
    broken: torch.Tensor


@runtime_checkable
class Claiming(Protocol):
    """An evasion attack of somebody else's, whose word is kept beside what the examiner finds."""

    def claim(self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator) -> Claim:
        """Return what `run` returns, and what the attack says of it."""
        ...


@runtime_checkable
class MembershipAttack(Protocol):
    """Tell training members from others."""

    card: ClassVar[Card]

    def score(self, target: Target, x: torch.Tensor, y: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Score (n,): higher means more likely a member."""
        ...


class References(NamedTuple):
    """What a membership attacker has of his own: models trained as he thinks the target was, and a population.

    models: k targets. member: (k, n) bool, whether audited record i was in the training data of model j.
    x (m, *shape), y (m,): records he knows to be outside the target's training data, none of them audited; may be
    empty.
    """

    models: tuple[Target, ...]
    member: torch.Tensor
    x: torch.Tensor
    y: torch.Tensor


@runtime_checkable
class ReferenceAttack(Protocol):
    """A membership attack that compares the target's answers with those of reference models or on a population.

    uses: "models" or "population": without it the attack is skipped.
    """

    card: ClassVar[Card]
    uses: ClassVar[Literal["models", "population"]]

    def compare(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, references: References, rng: torch.Generator
    ) -> torch.Tensor:
        """Score audited records x (n, *shape), y (n,): higher means more likely a member (n,)."""
        ...


class ExtractionAttack(Protocol):
    """Steal the model's function with queries."""

    card: ClassVar[Card]

    def steal(self, target: Target, pool: torch.Tensor, threat: Threat, rng: torch.Generator) -> Target:
        """Train a surrogate from at most threat.queries answers of the target on inputs drawn from `pool`."""
        ...


class Defense(Protocol):
    """Turn a target into a harder one."""

    card: ClassVar[Card]

    def apply(
        self,
        target: Target,
        data: Split,
        threat: Threat,
        rng: torch.Generator,
        *,
        attack: EvasionAttack,
        progress: Progress,
    ) -> Target:
        """Return a hardened target; `target` stays as it is. Raises MissingPower where it cannot be applied."""
        ...


# --- stores


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What the store answers once entries are safe on disk: the log's size and root after them."""

    first: int
    size: int
    root: str


class Store(Protocol):
    """An append-only, tamper-evident log of evidence."""

    def append(self, run: str, entries: Sequence[Entry]) -> Receipt:
        """Keep entries of a run durably, all or none; returns only once they would survive kill -9."""
        ...

    def entries(self, run: str) -> Iterator[Entry]:
        """Read back a run's entries in order; raises TamperError where they do not match the log."""
        ...


# --- powers

Power: TypeAlias = Literal["scores", "gradients", "module", "refit", "trees"]


def powers(target: Target) -> frozenset[Power]:
    """Name what the target can do; a card's `needs` is a subset of these or the attack is Skipped."""
    found: set[Power] = set()
    if target.spec.answers != "labels":
        found.add("scores")
    if isinstance(target, Differentiable):
        found.add("gradients")
    if isinstance(target, Modular):
        found.add("module")
    if isinstance(target, Trainable):
        found.add("refit")
    if isinstance(target, Ensemble):
        found.add("trees")
    return frozenset(found)
