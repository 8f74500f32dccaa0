"""A report: the evidence of one run and what is needed to read it, repeat it and judge it."""

from __future__ import annotations

import datetime as dt

import msgspec

from hauberk.core.evidence import Digest, Evidence, Exhibit, Finding, Measurement, Skipped
from hauberk.core.inventory import Component
from hauberk.core.policy import Policy, Verdict, judge
from hauberk.core.protocols import TargetSpec
from hauberk.core.schema import DatasetSpec

SCHEMA_VERSION = 1


class Machine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the run ran on. libraries: "name==version" of what computed the numbers."""

    system: str
    processor: str
    python: str
    libraries: tuple[str, ...] = ()


class Timing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Wall seconds of one part of the run."""

    name: str
    seconds: float


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One run. command: how to repeat it. digests: of project file, model and data. root.

    The store's log root after it. inventory: what the project consists of, for a bill of materials.
    """

    project: str
    run: str
    version: str
    command: str
    seed: int
    started: dt.datetime
    finished: dt.datetime
    machine: Machine
    policy: Policy
    evidence: tuple[Evidence, ...]
    target: TargetSpec | None = None
    dataset: DatasetSpec | None = None
    digests: tuple[Digest, ...] = ()
    timings: tuple[Timing, ...] = ()
    interrupted: bool = False
    root: str = ""
    inventory: tuple[Component, ...] = ()
    schema_version: int = SCHEMA_VERSION

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings."""
        return tuple(item for item in self.evidence if isinstance(item, Finding))

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """All measurements of every role."""
        return tuple(item for item in self.evidence if isinstance(item, Measurement))

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Everything that was not looked at."""
        return tuple(item for item in self.evidence if isinstance(item, Skipped))

    @property
    def exhibits(self) -> tuple[Exhibit, ...]:
        """All examples."""
        return tuple(item for item in self.evidence if isinstance(item, Exhibit))

    def verdict(self) -> Verdict:
        """Judge the evidence by the report's own policy as of the day the run finished."""
        return judge(self.evidence, self.policy, self.finished.date())
