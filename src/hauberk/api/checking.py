"""The verb `check`, the main job: scan and attack, judged against the policy, kept as evidence."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NoReturn

import msgspec

from hauberk.api.assembling import Frame, assemble
from hauberk.api.auditing import in_check as audited
from hauberk.api.executing import asked as executed
from hauberk.api.executing import executor_for, threads_of
from hauberk.api.kept_reports import ENVELOPE, envelope
from hauberk.api.running import NOTHING, Earlier, Run, Work, earlier, key_of
from hauberk.api.scanning import entries
from hauberk.api.sealed_models import evidence
from hauberk.api.subject import Subject, open_subject, threads_for
from hauberk.api.threats import Setting, work
from hauberk.core.encoding import canonical
from hauberk.core.errors import TargetError, UnknownName, UsageError, nearest
from hauberk.core.evidence import Entry, Scalar, Skipped
from hauberk.core.executing import Executor, ExecutorName
from hauberk.core.inventory import Component
from hauberk.core.progress import Silent
from hauberk.core.project import Profile, Project, read
from hauberk.core.protocols import Progress
from hauberk.core.provenance import Clock, Stamp, utc_now
from hauberk.core.report import Report
from hauberk.core.version import __version__
from hauberk.stores.evidence import EvidenceStore, RunHeader, open_store

_SILENT = Silent()


def check(
    folder: str | os.PathLike[str] = ".",
    *,
    resume: bool = False,
    samples: int | None = None,
    precision: float | None = None,
    decide: bool = False,
    profile: Profile | None = None,
    only: tuple[str, ...] = (),
    seed: int | None = None,
    store: str | None = None,
    executor: ExecutorName | None = None,
    workers: int | None = None,
    address: str | None = None,
    progress: Progress = _SILENT,
    clock: Clock = utc_now,
) -> Report:
    """Scan a project, attack its model under each threat, keep the evidence, and return the report.

    resume: go on with the last run that was broken off. samples, precision, decide, profile: instead of what the
    threats say; decide stops a threat's attack once its figure lies clearly on one side of the policy's bound.
    only: names of threats (or "scan"); the others are named as not tested. store: instead of [store] url.
    executor, workers, address: instead of what [run] says.
    Raises UsageError for faults the caller can mend; what fails while measuring is a Skipped in the report.

    Example:
        >>> hauberk.check("examples/credit").verdict().status  # doctest: +SKIP
    """
    path = Path(folder)
    root = path if path.is_dir() else path.parent
    asked = {"samples": samples, "precision": precision, "decide": decide or None, "profile": profile}
    asked = {key: value for key, value in asked.items() if value is not None}
    project = _changed(read(path), asked, seed=seed, store=store)
    project = executed(project, executor=executor, workers=workers, address=address)
    _known(project, only)
    subject, fault = _open(project, root)
    stamp = Stamp(clock=clock, seed=project.run.seed, digests=subject.digests if subject else ())
    inventory: list[Component] = []
    with ExitStack() as open_:
        places = open_.enter_context(executor_for(project.run))
        pieces = tuple(_pieces(project, root, subject, fault, stamp, progress, only, inventory, places))
        # Only now: a fault in what is asked must leave no trace in the store.
        kept = open_.enter_context(open_store(project.store.url, root, clock=clock))
        name, before = _unfinished(kept, project.name or path.resolve().name) if resume else ("", NOTHING)
        frame = Frame.open(project, path, _command(path, asked, only, seed), clock=clock, run=name)
        if not name:
            kept.begin(_header(frame))
        run = Run(frame.run, kept, stamp, before)
        with threads_for(subject, threads_of(project.run)):
            for piece in pieces:
                run.carry_out(piece)
        report = _assembled(frame, run, subject, inventory, clock)
        run.note(ENVELOPE, envelope(report, run.steps))
        run.finish(partial(kept.finish, frame.run, report.verdict().status))
    return msgspec.structs.replace(report, evidence=tuple(run.evidence))


def _assembled(frame: Frame, run: Run, subject: Subject | None, inventory: list[Component], clock: Clock) -> Report:
    return assemble(
        frame,
        run.evidence,
        clock=clock,
        target=subject.target.spec if subject else None,
        dataset=subject.dataset.spec if subject else None,
        timings=run.timings,
        interrupted=run.interrupted,
        root=run.root,
        inventory=inventory,
    )


def _changed(project: Project, asked: Mapping[str, Scalar], *, seed: int | None, store: str | None) -> Project:
    """Return the project with what the caller wants otherwise; asked: keys of every threat."""
    threats = {name: msgspec.structs.replace(section, **asked) for name, section in project.threats.items()}
    run = project.run if seed is None else msgspec.structs.replace(project.run, seed=seed)
    kept = project.store if store is None else msgspec.structs.replace(project.store, url=store)
    return msgspec.structs.replace(project, threats=threats, run=run, store=kept)


def _known(project: Project, only: tuple[str, ...]) -> None:
    for name in only:
        if name != "scan" and name not in project.threats:
            raise UnknownName(f'no threat "{name}"', where="--only", fix=nearest(name, [*project.threats, "scan"]))


def _open(project: Project, root: Path) -> tuple[Subject | None, TargetError | None]:
    """Open model and data before anything else, so that a typing fault costs a second, not the scan."""
    if project.model is None or project.data is None or not project.threats:
        return None, None
    try:
        return open_subject(project, root), None
    except TargetError as error:
        return None, error


def _command(path: Path, asked: Mapping[str, Scalar], only: tuple[str, ...], seed: int | None) -> str:
    rows = [f"hauberk check {path.as_posix()}"]
    rows += [f"--{key}" if value is True else f"--{key} {value}" for key, value in asked.items()]
    rows += [f"--only {name}" for name in only]
    rows += [f"--seed {seed}"] if seed is not None else []
    return " ".join(rows)


def _header(frame: Frame) -> RunHeader:
    return RunHeader(
        run=frame.run,
        project=frame.name,
        command=frame.command,
        started=frame.started.isoformat(timespec="seconds"),
        version=__version__,
        digests=frame.digests,
        settings=canonical(frame.project).decode(),
    )


def _unfinished(kept: EvidenceStore, project: str) -> tuple[str, Earlier]:
    """Find the newest run, if it was broken off; raises UsageError where there is nothing to go on with."""
    for summary in kept.runs():
        if summary.project == project and summary.finished:
            break
        if summary.project == project:
            return summary.run, earlier(kept.entries(summary.run))
    raise UsageError("no run was broken off here", fix="run `hauberk check` without --resume")


def _pieces(
    project: Project,
    root: Path,
    subject: Subject | None,
    fault: TargetError | None,
    stamp: Stamp,
    progress: Progress,
    only: tuple[str, ...],
    inventory: list[Component],
    places: Executor | None,
) -> Iterator[Work]:
    """Say what there is to do: the scan, then each threat; what is left out says why."""
    scanning = Work(
        "scan",
        key_of("scan", __version__, project.scan),
        lambda _: _scan(project, root, stamp, progress, inventory),
    )
    yield scanning if not only or "scan" in only else _left_out("scan", stamp, "left out by --only")
    if project.data is not None and project.data.audit and (not only or "scan" in only):
        key = key_of("data", __version__, project.data, project.scan.rules_off, project.run.seed)
        yield Work("data", key, lambda _: audited(project, root, stamp, progress))
    if project.model is not None and not only:
        yield Work("seal", key_of("seal", __version__, project.seal), lambda _: evidence(project, root, stamp))
    if project.model is None or project.data is None:
        missing = "model" if project.model is None else "data"
        yield _left_out("attacks", stamp, f"hauberk.toml names no [{missing}]", f"add [{missing}], see `hauberk init`")
    elif not project.threats:
        yield _left_out("attacks", stamp, "hauberk.toml names no [threats]", "add one, see `hauberk list threats`")
    setting = None
    if subject is not None:
        first = next((name for name in _evasion(project) if not only or name in only), "")
        shown = project.report.exhibits
        setting = Setting(subject, stamp, project.run.seed, progress, shown, first, project.policy, project, root)
        setting = setting._replace(executor=places)
    for name, section in project.threats.items():
        if only and name not in only:
            yield _left_out(name, stamp, "left out by --only")
        elif fault is not None:
            yield Work(name, key_of(name, "fault"), _raise(fault))
        elif setting is not None:
            yield work(name, section, setting)


def _evasion(project: Project) -> list[str]:
    """Name the threats of family evasion; the first one reports clean accuracy too."""
    return [name for name, section in project.threats.items() if section.threat(name).family == "evasion"]


def _scan(
    project: Project, root: Path, stamp: Stamp, progress: Progress, inventory: list[Component]
) -> Iterator[Entry]:
    own = project.report.folder
    section = msgspec.structs.replace(project.scan, exclude=(*project.scan.exclude, own))
    yield from entries(root, section, stamp=stamp, progress=progress, inventory=inventory)


def _left_out(name: str, stamp: Stamp, reason: str, fix: str = "") -> Work:
    gap = Skipped(subject=name, reason=reason, fix=fix, provenance=stamp.of("check"))
    return Work(name, key_of(name, reason), lambda _: (gap,))


def _raise(fault: TargetError) -> Callable[[object], Iterator[Entry]]:
    """Make work that fails as opening the model did, so that each threat says so."""

    def produce(_: object) -> NoReturn:
        raise fault

    return produce
