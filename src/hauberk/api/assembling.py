"""Put a report together from a run's frame and its evidence."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hauberk.api.machine import machine
from hauberk.core.evidence import Digest, Evidence
from hauberk.core.inventory import Component
from hauberk.core.project import FILE_NAME, Project
from hauberk.core.protocols import TargetSpec
from hauberk.core.provenance import Clock
from hauberk.core.report import Report, Timing
from hauberk.core.schema import DatasetSpec
from hauberk.core.version import __version__


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run before it measures anything."""

    project: Project
    name: str
    run: str
    command: str
    started: dt.datetime
    digests: tuple[Digest, ...] = ()

    @classmethod
    def open(cls, project: Project, folder: Path, command: str, *, clock: Clock, run: str = "") -> Frame:
        """Name a run by its time and four random bytes; digest the project file."""
        now = clock()
        path = folder / FILE_NAME if folder.is_dir() else folder
        digests: tuple[Digest, ...] = ()
        if path.is_file():
            value = hashlib.sha256(path.read_bytes()).hexdigest()
            digests = (Digest(name=FILE_NAME, value=f"sha256:{value}"),)
        return cls(
            project=project,
            name=project.name or folder.resolve().name,
            run=run or f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}",
            command=command,
            started=now,
            digests=digests,
        )


def assemble(
    frame: Frame,
    evidence: Sequence[Evidence],
    *,
    clock: Clock,
    target: TargetSpec | None = None,
    dataset: DatasetSpec | None = None,
    timings: Sequence[Timing] = (),
    interrupted: bool = False,
    root: str = "",
    inventory: Sequence[Component] = (),
) -> Report:
    """Make the report."""
    found = [(name, spec.digest) for name, spec in (("model", target), ("data", dataset)) if spec and spec.digest]
    return Report(
        project=frame.name,
        run=frame.run,
        version=__version__,
        command=frame.command,
        seed=frame.project.run.seed,
        started=frame.started,
        finished=clock(),
        machine=machine(),
        policy=frame.project.policy,
        evidence=tuple(evidence),
        target=target,
        dataset=dataset,
        digests=(*frame.digests, *(Digest(name=name, value=value) for name, value in found)),
        timings=tuple(timings),
        interrupted=interrupted,
        root=root,
        inventory=tuple(inventory),
    )
