"""The error tree: what went wrong, where, and what to do about it.

HauberkError
├─ UsageError            the caller can mend it            exit status 2
│  ├─ ProjectError       hauberk.toml is missing or wrong
│  ├─ DataError          the data set cannot be used
│  ├─ UnknownName        no plug-in, threat or preset of that name
│  └─ MissingExtra       an optional dependency is not installed
└─ MeasurementError      the answer could not be measured  exit status 3
   ├─ TargetError        the model under test misbehaved
   │  ├─ TargetTimeout   … did not answer in time
   │  ├─ TargetMemory    … had not memory enough for so many inputs at once
   │  └─ TargetOutput    … answered with NaN, a wrong shape or a wrong type
   ├─ MissingPower       the target lacks what the attack needs
   ├─ BudgetSpent        the threat's query budget is used up
   ├─ LimitExceeded      hostile or huge input met a safety bound
   └─ StoreError         evidence could not be kept or read
      └─ TamperError     kept evidence does not match its proof
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HauberkError(Exception):
    """Carry what happened, where, and what the user can do.

    Args:
        what: one sentence, the fault itself.
        where: file, key path, sample or stage; empty where there is none.
        fix: one sentence in the imperative; empty where nothing can be done.
    """

    exit_status = 3

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.fix = what, where, fix

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f"\n  → {self.fix}" if self.fix else ""
        return f"{place}{self.what}{remedy}"


class UsageError(HauberkError):
    """A fault the caller can mend."""

    exit_status = 2


class ProjectError(UsageError):
    """The project file is missing, malformed or names something that is not there."""


class DataError(UsageError):
    """The data set cannot be used as declared."""


class UnknownName(UsageError):
    """No plug-in, threat or preset has that name; the nearest one is offered."""


class MissingExtra(UsageError):
    """An optional dependency is needed and not installed."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"{module} is not installed", fix=f'pip install "hauberk[{extra}]"')


class MeasurementError(HauberkError):
    """The answer could not be measured."""


class TargetError(MeasurementError):
    """The model under test raised or misbehaved."""


class TargetTimeout(TargetError):
    """The model under test did not answer in time."""


class TargetMemory(TargetError):
    """The model under test had not memory enough for so many inputs at once; who asks tries fewer."""


class TargetOutput(TargetError):
    """The model under test answered with NaN, a wrong shape or a wrong type."""


class MissingPower(MeasurementError):
    """The target lacks a power that the attack or defense needs; becomes a Skipped."""


class BudgetSpent(MeasurementError):
    """The threat's query budget is used up."""


class LimitExceeded(MeasurementError):
    """Hostile or huge input met a safety bound of `core/limits.py`."""


class StoreError(MeasurementError):
    """Evidence could not be kept or read."""


class TamperError(StoreError):
    """Kept evidence does not match its proof."""


def nearest(name: str, names: Iterable[str]) -> str:
    """Word a hint with the closest known name, or the whole list where none is close."""
    known = sorted(names)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"known: {', '.join(known)}" if known else "none is known"
