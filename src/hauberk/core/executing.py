"""What is carried out elsewhere: a job's parts, their answers as JSON, and who carries them out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol, TypeAlias

import msgspec

from hauberk.core import errors
from hauberk.core.errors import HauberkError, MeasurementError, MissingExtra

ExecutorName: TypeAlias = Literal["serial", "processes", "ray"]


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An error of the house that was raised elsewhere. kind: its class in `core.errors`."""

    kind: str
    what: str
    where: str = ""
    fix: str = ""

    @classmethod
    def of(cls, error: HauberkError) -> Fault:
        """Write an error down."""
        return cls(type(error).__name__, error.what, error.where, error.fix)

    def error(self) -> HauberkError:
        """Make the error again; a kind that is not known is a MeasurementError."""
        found: object = getattr(errors, self.kind, None)
        if isinstance(found, type) and issubclass(found, HauberkError) and found is not MissingExtra:
            return found(self.what, where=self.where, fix=self.fix)
        return MeasurementError(self.what, where=self.where, fix=self.fix)


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of work that falls into parts. task: what is done. recipe: canonical JSON of all that it depends on."""

    task: Literal["evasion", "references"]
    recipe: bytes


class Done(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part's answer: canonical JSON of its result, or the fault that it ended with."""

    part: int
    state: str = ""
    fault: Fault | None = None


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is sent to a worker: one part of a job."""

    job: Job
    part: int


class Executor(Protocol):
    """Carries out parts of a job in several places at once."""

    def map(self, job: Job, parts: Sequence[int]) -> Iterator[Done]:
        """Yield each part's answer as it comes, in any order; parts begin in the order given.

        A part whose worker dies is begun again elsewhere, a few times at most; after that it is a fault. Closing the
        iterator drops what still runs. An answer depends on job and part alone.
        """
        ...
