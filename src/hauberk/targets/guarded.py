"""Stand between the house and a model: check what goes in and what comes out, batch, count, and keep to the time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import msgspec
import torch

from hauberk.core.errors import BudgetSpent, DataError, HauberkError, TargetError, TargetMemory
from hauberk.core.protocols import TargetSpec
from hauberk.targets.answers import Answers, Form, read
from hauberk.targets.deadline import within

Result = TypeVar("Result")
_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "bad allocation", "std::bad_alloc")
"""How torch on a CPU and other runtimes say it; torch on an accelerator has an exception of its own."""
BATCH_VALUES, BATCH_INPUTS = 1 << 22, 4096
"""An answer is asked of at most so many input values (16 MiB in float32) and inputs at once."""


class Guard:
    """What every target keeps beside its model. It learns shape, classes and kind of answers from the first answer.

    spec: shape () and classes 0 stand for not known yet. answers: None where they are to be learned.
    seconds: of one answer (one batch). queries: inputs that may be asked in all, forward passes included.
    batch: inputs at once, where the model has a limit of its own. guess: how many classes the data has.
    mean, std: per channel, applied to what a black box is asked; a torch module does it itself, under autograd.
    """

    def __init__(
        self,
        spec: TargetSpec,
        answers: Answers | None = None,
        *,
        seconds: float | None = None,
        queries: int | None = None,
        batch: int | None = None,
        guess: int = 0,
        mean: tuple[float, ...] = (),
        std: tuple[float, ...] = (),
    ) -> None:
        self.spec = spec
        self.asked = 0
        self._form = Form(spec.classes, answers, spec.labels, guess)
        self._seconds, self._queries, self._batch = seconds, queries, batch
        self._mean, self._std = mean, std

    @property
    def learned(self) -> bool:
        """Whether shape, classes and kind of answers are known."""
        return bool(self.spec.shape and self._form.classes and self._form.answers)

    @property
    def where(self) -> str:
        """How messages name the model."""
        return f"model {self.spec.name}"

    def ask(self, answer: Callable[[torch.Tensor], object], x: torch.Tensor) -> torch.Tensor:
        """Score x (n, *shape) → (n, classes) float32 on x's device, by batches, without gradient.

        Raises DataError on inputs the model is not made for, BudgetSpent, TargetError, TargetTimeout, TargetOutput.
        """
        self.check(x)
        if len(x) == 0:
            return torch.zeros(0, self.spec.classes, device=x.device)
        x, parts, first = x.detach().to(torch.float32), [], 0
        while first < len(x):
            part = x[first : first + self.batch]
            try:
                raw = self._answer(answer, part)
            except TargetMemory:
                if len(part) == 1:
                    raise
                self._batch = math.ceil(len(part) / 2)
                continue
            scores, form = read(raw, len(part), self._form, self.where, first)
            self._learn(form)
            parts.append(scores.to(x.device))
            first += len(part)
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def _answer(self, answer: Callable[[torch.Tensor], object], part: torch.Tensor) -> object:
        self.spend(len(part))
        with torch.no_grad():
            ready = self.standardised(part)
            return self.call(lambda: answer(ready))

    def standardised(self, x: torch.Tensor) -> torch.Tensor:
        """Apply mean and std per channel, where the guard has them."""
        if not (self._mean or self._std):
            return x
        channels = (-1, *(1 for _ in x.shape[2:]))
        mean, std = torch.tensor(self._mean or (0.0,)), torch.tensor(self._std or (1.0,))
        return (x - mean.to(x).view(channels)) / std.to(x).view(channels)

    def call(self, work: Callable[[], Result]) -> Result:
        """Run a piece of the user's code in time; whatever it raises becomes a TargetError that chains it.

        Where memory was short it is a TargetMemory.
        """
        try:
            return within(self._seconds, work, self.where)
        except HauberkError:
            raise
        except (Exception, SystemExit) as error:
            if _out_of_memory(error):
                raise TargetMemory(
                    "memory is too small for this many inputs at once",
                    where=self.where,
                    fix="free memory, or use a machine or an accelerator with more",
                ) from error
            raise TargetError(f"raised {type(error).__name__}: {error}", where=self.where) from error

    def check(self, x: torch.Tensor) -> None:
        """Hold inputs against the shape; the first ones teach it. Raises DataError."""
        if not isinstance(x, torch.Tensor):
            raise DataError(f"inputs are a {type(x).__name__}", where=self.where, fix="give a torch tensor (n, *shape)")
        shape = tuple(x.shape[1:])
        if not self.spec.shape and shape:
            self.spec = msgspec.structs.replace(self.spec, shape=shape)
        if x.ndim == 0 or shape != self.spec.shape:
            raise DataError(
                f"inputs have shape {tuple(x.shape)}",
                where=self.where,
                fix=f"it takes (n, {', '.join(map(str, self.spec.shape))})",
            )

    @property
    def batch(self) -> int:
        """How many inputs are asked at once."""
        values = max(1, torch.Size(self.spec.shape).numel())
        return self._batch or max(1, min(BATCH_INPUTS, BATCH_VALUES // values))

    def spend(self, n: int) -> None:
        """Count n inputs; raises BudgetSpent before the first one over the budget."""
        if self._queries is not None and self.asked + n > self._queries:
            raise BudgetSpent(
                f"{self.asked} of {self._queries} queries are used and {n} more were asked for",
                where=self.where,
                fix="raise model.queries, or lower the threats' queries or samples",
            )
        self.asked += n

    def fresh(self, spec: TargetSpec, answers: Answers | None = None) -> Guard:
        """Return a guard for a model like this one: nothing asked yet, no budget, the same time and preprocessing."""
        return Guard(
            spec,
            answers or self._form.answers,
            seconds=self._seconds,
            batch=self._batch,
            mean=self._mean,
            std=self._std,
        )

    def note(self, *notes: str) -> None:
        """Add what a report must say of the model."""
        fresh = tuple(note for note in notes if note not in self.spec.notes)
        self.spec = msgspec.structs.replace(self.spec, notes=self.spec.notes + fresh)

    def _learn(self, form: Form) -> None:
        if form == self._form:
            return
        if self._form.answers is None and form.answers == "probabilities":
            self.note("its scores were read as probabilities, because its rows sum to 1")
        self._form = form
        self.spec = msgspec.structs.replace(self.spec, classes=form.classes, answers=form.answers or self.spec.answers)


def _out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _NO_MEMORY)
