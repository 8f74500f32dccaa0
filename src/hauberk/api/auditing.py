"""Audit a data set: one pass, facts, rules; beside its training rows and an earlier version where there are any."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hauberk.api.assembling import Frame, assemble
from hauberk.core.errors import DataError, MissingExtra, UsageError
from hauberk.core.evidence import Evidence, Skipped
from hauberk.core.progress import Silent
from hauberk.core.project import FILE_NAME, DataSection, Project, read
from hauberk.core.protocols import Progress
from hauberk.core.provenance import Clock, Stamp, utc_now
from hauberk.core.relations import relation
from hauberk.core.report import Report
from hauberk.core.sources import is_named

if TYPE_CHECKING:
    from hauberk.core.tables import Personal
    from hauberk.scanning.tables.engine import Examined, Plan

_SILENT = Silent()
RECIPE = "scanning.data"


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How an audit goes about it, whatever the project says.

    label: the label column. earlier: an older version to measure drift against. train: rows the model learnt.
    sample: rows that are compared with each other; None for the engine's own number, 0 for none.
    """

    label: str = ""
    earlier: str = ""
    train: str = ""
    sample: int | None = None
    seed: int = 0


_MANNER = Manner()


def audit(
    source: str | os.PathLike[str] = "",
    *,
    folder: str | os.PathLike[str] = ".",
    manner: Manner = _MANNER,
    progress: Progress = _SILENT,
    clock: Clock = utc_now,
    seen: Callable[[Evidence], None] | None = None,
) -> Report:
    """Audit a data set and report what is wrong with it, by row.

    source: a file, a folder of images or Arrow files, "bundled:digits", or an SQL table by address; empty for the
    project's own. A hauberk.toml in `folder` gives the expectations where its data has that source, and the policy.
    Raises UsageError.

    Example:
        >>> hauberk.api.auditing.audit("train.csv", manner=Manner(label="y")).findings  # doctest: +SKIP
    """
    root = Path(folder)
    project = read(root) if (root / FILE_NAME).exists() else Project(name=root.resolve().name)
    section = _asked(section_for(project, os.fspath(source), root), manner)
    # What the policy asks of measurements of the model is not asked of the data alone.
    project = msgspec.structs.replace(project, policy=msgspec.structs.replace(project.policy, require=()))
    frame = Frame.open(project, root, _command(section.source, manner), clock=clock)
    stamp = Stamp(clock=clock, seed=manner.seed)
    evidence: list[Evidence] = []
    interrupted = False
    try:
        for entry in entries(root, section, stamp, manner=manner, progress=progress, rules_off=project.scan.rules_off):
            evidence.append(entry)
            if seen is not None:
                seen(entry)
    except KeyboardInterrupt:
        interrupted = True
        reason = "stopped before every row was read"
        evidence.append(Skipped(subject=section.source, reason=reason, kind="interrupted", provenance=stamp.of(RECIPE)))
    return assemble(frame, evidence, clock=clock, interrupted=interrupted)


def section_for(project: Project, source: str, root: Path) -> DataSection:
    """Return the project's [data] where it speaks of this source, else a section of its own; raises UsageError."""
    own = project.data
    if not source:
        if own is None:
            raise UsageError("no data set is named", fix="name one, or add [data] to hauberk.toml")
        return own
    if own is not None and (own.source == source or (root / own.source).resolve() == (root / source).resolve()):
        return own
    return DataSection(source=source)


def _asked(section: DataSection, manner: Manner) -> DataSection:
    asked = {key: getattr(manner, key) for key in ("label", "earlier", "train") if getattr(manner, key)}
    return msgspec.structs.replace(section, **asked)


def _command(source: str, manner: Manner) -> str:
    """Word the command that repeats an audit."""
    asked = (("--label", manner.label), ("--train", manner.train), ("--earlier", manner.earlier))
    given = [word for flag, value in asked if value for word in (flag, value)]
    if manner.sample is not None:
        given += ["--sample", str(manner.sample)]
    return shlex.join(["hauberk", "data", "audit", source, *given])


def entries(
    root: Path,
    section: DataSection,
    stamp: Stamp,
    *,
    manner: Manner = _MANNER,
    progress: Progress = _SILENT,
    rules_off: tuple[str, ...] = (),
    personal: Callable[[], Personal] | None = None,
) -> Iterator[Evidence]:
    """Yield what an audit of [data] finds; raises UsageError for what the caller can mend."""
    if is_named(section.source) and not section.source.startswith("bundled:"):
        reason = "the data comes from a function of the project; the audit reads files, folders and databases"
        yield Skipped(subject=section.source, reason=reason, provenance=stamp.of(RECIPE))
        return
    try:
        from hauberk.scanning.tables.comparing_sets import against_earlier, against_train
        from hauberk.scanning.tables.judging import judged
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), "data") from error
    plan = plan_for(section, manner)
    found = _examined(root, section.source, "data.source", plan, progress, personal)
    if section.train:
        train = _examined(root, section.train, "data.train", plan, progress, personal)
        yield from judged(train, stamp, rules_off)
        found = against_train(found, train)
    if section.earlier:
        found = against_earlier(
            found, _examined(root, section.earlier, "data.earlier", plan, progress, None), manner.seed
        )
    yield from judged(found, stamp, rules_off)


def plan_for(section: DataSection, manner: Manner = _MANNER) -> Plan:
    """Say what a data set is held against; raises DataError for a relation that cannot be read."""
    from hauberk.scanning.tables.engine import SAMPLE, Plan

    relations = []
    for row, text in enumerate(section.relations):
        try:
            relations.append(relation(text))
        except ValueError as error:
            raise DataError(str(error), where=f"data.relations.{row}") from error
    return Plan(
        columns=section.columns,
        relations=tuple(relations),
        label=section.label,
        classes=section.classes,
        sample=SAMPLE if manner.sample is None else manner.sample,
        seed=manner.seed,
    )


def _examined(
    root: Path, source: str, key: str, plan: Plan, progress: Progress, personal: Callable[[], Personal] | None
) -> Examined:
    from hauberk.crypto.memory_files import unsealed
    from hauberk.datasets.streaming import open_stream
    from hauberk.scanning.pii.columns import PersonalColumns
    from hauberk.scanning.tables.engine import examine

    with unsealed(root, (source,)) as (plain,):  # what `hauberk seal --encrypt` wrote is read in memory
        stream = open_stream(root, plain, key=key)
        stream.name = stream.name if plain == source else source
        return examine(stream, plan, personal=(personal or PersonalColumns)(), progress=progress)


def beside_scan(project: Project, root: Path, source: str, stamp: Stamp, progress: Progress) -> Iterator[Evidence]:
    """Yield what an audit finds in a data set that a scan was asked about; what cannot be is a gap."""
    try:
        yield from entries(
            root, section_for(project, source, root), stamp, progress=progress, rules_off=project.scan.rules_off
        )
    except MissingExtra as error:
        yield _unaudited(source, error, stamp)


def _unaudited(source: str, error: MissingExtra, stamp: Stamp) -> Skipped:
    reason = f"the data was not audited: {error.what}"
    return Skipped(subject=source, reason=reason, kind="power", fix=error.fix, provenance=stamp.of(RECIPE))


def in_check(
    project: Project, root: Path, stamp: Stamp, progress: Progress, personal: Callable[[], Personal] | None = None
) -> Iterator[Evidence]:
    """Yield what `hauberk check` says of the project's data; a missing library is a gap, not a fault."""
    assert project.data is not None
    try:
        yield from entries(
            root, project.data, stamp, progress=progress, rules_off=project.scan.rules_off, personal=personal
        )
    except MissingExtra as error:
        yield _unaudited(project.data.source, error, stamp)
