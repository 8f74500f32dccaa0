"""Any Python callable that takes a batch and gives scores or labels: a black box."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.errors import ProjectError
from hauberk.core.project import ModelSection
from hauberk.core.protocols import TargetSpec
from hauberk.crypto.digests import of_bytes
from hauberk.targets.answers import Answers
from hauberk.targets.guarded import Guard
from hauberk.targets.hints import Hints, guard_of, spec_of


class PythonCallable:
    """A callable of a numpy array or a torch tensor (n, *shape) float32: scores or labels only.

    It gets a tensor where its first parameter is annotated so, an array otherwise; one that refuses an array is given
    a tensor from then on. It always gets a copy. guard: checks, batches, counts and times what is asked.
    """

    card: ClassVar[Card] = Card(
        title="Python callable",
        summary="Reaches any Python function from a batch to scores or labels; nothing but its answers is seen.",
        wraps=("builtins.object",),
        extra="models",
    )

    def __init__(self, function: Callable[..., object], guard: Guard) -> None:
        self.guard = guard
        self._function = function
        self._takes_tensor: bool | None = _annotated(function)

    @classmethod
    def open(cls, section: ModelSection, folder: Path, hints: Hints) -> PythonCallable:  # noqa: ARG003
        """Wrap what the source named; raises ProjectError where it cannot be called."""
        if not callable(hints.made):
            raise ProjectError(
                f"{section.source} is a {type(hints.made).__name__}, which cannot be called",
                where="model.source",
                fix='name a function of one batch, or say kind = "scikit" for an object with predict',
            )
        note = "a black box: its digest is of its source text, not of what it computes with"
        spec = spec_of(section, hints, "python_callable", of_bytes(_text(hints.made).encode()), note)
        return cls(hints.made, guard_of(section, spec, hints, standardise=True))

    @property
    def spec(self) -> TargetSpec:
        """What it is."""
        return self.guard.spec

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Score x (n, *shape); what comes back has been checked."""
        return self.guard.ask(self._answer, x)

    def _answer(self, x: torch.Tensor) -> object:
        if self._takes_tensor is None:
            return self._first_answer(x)
        return self._function(x.clone() if self._takes_tensor else x.clone().cpu().numpy())

    def _first_answer(self, x: torch.Tensor) -> object:
        """Learn which kind of batch it takes. Where it takes neither, the array's fault is the one to show."""
        try:
            answer = self._function(x.clone().cpu().numpy())
            self._takes_tensor = False
        except (TypeError, AttributeError) as refusal:
            try:
                answer = self._function(x.clone())
                self._takes_tensor = True
            except (TypeError, AttributeError):
                raise refusal from None
        return answer


def from_callable(
    function: Callable[..., object],
    shape: tuple[int, ...],
    classes: int | None,
    bounds: tuple[float, float],
    answers: Answers = "probabilities",
    *,
    name: str = "",
    labels: tuple[str, ...] = (),
    timeout: float | None = None,
    queries: int | None = None,
) -> PythonCallable:
    """Make a target of a Python callable: batch (n, *shape) → scores (n, classes), or class indices (n,).

    bounds: of every input value. queries: inputs it may be asked in all. timeout: seconds one answer may take.
    """
    section = ModelSection(
        source=name or getattr(function, "__name__", type(function).__name__),
        bounds=bounds,
        shape=shape,
        classes=classes,
        labels=labels,
        answers=answers,
        timeout=timeout or 0.0,
        queries=queries,
    )
    return PythonCallable.open(section, Path(), Hints(made=function))


def _annotated(function: Callable[..., object]) -> bool | None:
    """Read from the first parameter's annotation whether a tensor is wanted; None where it does not say."""
    try:
        first = next(iter(inspect.signature(function).parameters.values()))
    except (TypeError, ValueError, StopIteration):
        return None
    words = str(first.annotation)
    if "torch" in words or "Tensor" in words:
        return True
    return False if "numpy" in words or "np." in words or "NDArray" in words else None


def _text(function: Callable[..., object]) -> str:
    """Return the source text of a callable, or its name where there is none."""
    try:
        return inspect.getsource(function if inspect.isroutine(function) else type(function))
    except (OSError, TypeError):
        return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__qualname__)}"
