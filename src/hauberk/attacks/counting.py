"""A target as an attacker of some knowledge sees it: with no more powers than he has, and every question counted."""

from __future__ import annotations

from functools import cache

import msgspec
import torch

from hauberk.core.errors import BudgetSpent
from hauberk.core.protocols import Differentiable, Ensemble, Modular, Searchable, Target, TargetSpec, Trainable
from hauberk.core.threat import Knowledge
from hauberk.numeric.tree import Forest


class Ledger:
    """What was asked: inputs scored, and inputs a gradient was taken at. limit: inputs in all, None for no limit."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.queries = 0
        self.gradients = 0

    def spend(self, inputs: int) -> None:
        """Count inputs to be scored; raises BudgetSpent before the first one over the limit, counting none of them."""
        if self.limit is not None and self.queries + inputs > self.limit:
            raise BudgetSpent(
                f"{self.queries} of {self.limit} queries are used and {inputs} more were asked for",
                where="threat",
                fix="raise the threat's queries, or choose an attack that keeps to its budget",
            )
        self.queries += inputs


class _Seen:
    """What every view has; its subclasses are made to measure, so that no view claims a power its target lacks."""

    def __init__(self, target: Target, ledger: Ledger, *, labels_only: bool = False) -> None:
        self._target, self._ledger, self._labels_only = target, ledger, labels_only

    @property
    def spec(self) -> TargetSpec:
        """What the target is, as the attacker sees it."""
        spec = self._target.spec
        return msgspec.structs.replace(spec, answers="labels") if self._labels_only else spec

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Score inputs x (n, *shape) → (n, classes), counted; one-hot where only labels are seen."""
        self._ledger.spend(len(x))
        scores = self._target.predict(x)
        if not self._labels_only:
            return scores
        return torch.nn.functional.one_hot(scores.argmax(1), scores.shape[1]).to(scores.dtype)


class _Gradients(_Seen):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute logits (n, classes) under autograd, counted; a gradient counts where one is being recorded."""
        self._ledger.spend(len(x))
        if torch.is_grad_enabled() and x.requires_grad:
            self._ledger.gradients += len(x)
        assert isinstance(self._target, Differentiable)
        return self._target.forward(x)


class _Searched(_Seen):
    def search_copy(self, x: torch.Tensor) -> Differentiable | None:
        """Return the quicker form, counted on the same ledger; this view itself where the target says it is the one."""
        assert isinstance(self._target, Searchable)
        found = self._target.search_copy(x)
        if found is self._target and isinstance(self, Differentiable):
            return self
        return None if found is None else _Gradients(found, self._ledger)


class _Module(_Gradients):
    def module(self) -> torch.nn.Module:
        """Return a deep copy whose every forward is counted too."""
        assert isinstance(self._target, Modular)
        copy = self._target.module()
        copy.register_forward_pre_hook(self._count)
        return copy

    def rebuild(self, module: torch.nn.Module, name: str) -> Target:
        """Return a target around `module`; it is not the one under test, so it is not counted."""
        assert isinstance(self._target, Modular)
        return self._target.rebuild(module, name)

    def _count(self, _: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self._ledger.spend(len(inputs[0]))
        if torch.is_grad_enabled() and inputs[0].requires_grad:
            self._ledger.gradients += len(inputs[0])


class _Training(_Seen):
    def refit(self, x: torch.Tensor, y: torch.Tensor, rng: torch.Generator) -> Target:
        """Train a fresh model; it is not the one under test, so it is not counted."""
        assert isinstance(self._target, Trainable)
        return self._target.refit(x, y, rng)


class _Trees(_Seen):
    def trees(self) -> Forest:
        """Return its trees; who computes on them asks the target nothing."""
        assert isinstance(self._target, Ensemble)
        return self._target.trees()


def view(target: Target, knowledge: Knowledge, ledger: Ledger) -> Target:
    """Show a target to an attacker: all its powers for white-box, scores for score, labels for decision."""
    if knowledge != "white-box":
        return _Seen(target, ledger, labels_only=knowledge == "decision")
    kind = _kind(*(isinstance(target, power) for power in (Differentiable, Modular, Trainable, Ensemble, Searchable)))
    return kind(target, ledger)


@cache
def _kind(gradients: bool, module: bool, refit: bool, trees: bool, searched: bool) -> type[_Seen]:
    """Make a class that has just these powers: protocols are recognised by what a class defines."""
    bases: tuple[type[_Seen], ...] = (_Module,) if module else (_Gradients,) if gradients else ()
    bases += (_Training,) if refit else ()
    bases += (_Trees,) if trees else ()
    bases += (_Searched,) if searched else ()
    return type("View", bases or (_Seen,), {})
