"""The verb `privacy audit`: what a model, or an .npz of its answers, gives away of its training data."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from hauberk.api.assembling import Frame, assemble
from hauberk.api.executing import asked, executor_for, threads_of
from hauberk.api.executing_references import schools_for
from hauberk.api.privacy_arrays import Canaries, Recording, Texts, read_arrays
from hauberk.api.privacy_references import lender_for
from hauberk.api.subject import open_subject, threads_for
from hauberk.attacks.examining_privacy import examine_privacy
from hauberk.attacks.examining_records import Audit, risks
from hauberk.attacks.examining_sequences import SequenceAttack, examine_canaries, examine_sequences
from hauberk.attacks.shadows import Lender
from hauberk.core.errors import ProjectError, UsageError
from hauberk.core.evidence import Checkpoint, Digest, Entry, Evidence, Scalar
from hauberk.core.plugins import build
from hauberk.core.policy import Policy, Requirement
from hauberk.core.progress import Silent
from hauberk.core.project import PrivacySection, Project, read
from hauberk.core.protocols import (
    Dataset,
    MembershipAttack,
    Progress,
    ReferenceAttack,
    References,
    Split,
    Target,
)
from hauberk.core.provenance import Clock, Stamp, utc_now
from hauberk.core.report import Report
from hauberk.core.schema import DatasetSpec
from hauberk.core.threat import MEMBERSHIP

_SILENT = Silent()
ALONE = ("privacy.loss_threshold", "privacy.modified_entropy", "privacy.attack_p")
COMPARING = ("privacy.rmia", "privacy.lira", "privacy.loss_threshold")
"""What is run where no attack is named: without reference models, and with them, the strongest first."""
TEXTS = ("privacy.token_loss", "privacy.min_k", "privacy.min_k_plus", "privacy.zlib_ratio", "privacy.reference_ratio")

Examined: TypeAlias = tuple[list[Evidence], Audit | None]


class _Data(NamedTuple):
    """Recorded records as a data set."""

    train: Split
    test: Split
    spec: DatasetSpec


class _Case(NamedTuple):
    """A classifier to audit. rows: what to call each training and test record in the list of risks."""

    target: Target
    data: Dataset
    references: References | None
    lender: Lender | None
    rows: Callable[[bool, int], int]
    most: int


def audit(
    source: str | os.PathLike[str] = ".",
    *,
    attacks: tuple[str, ...] = (),
    settings: Mapping[str, Mapping[str, Scalar]] | None = None,
    references: int | None = None,
    seconds: float | None = None,
    records: Path | None = None,
    most_auc: float | None = None,
    seed: int | None = None,
    executor: str | None = None,
    workers: int | None = None,
    address: str | None = None,
    progress: Progress = _SILENT,
    clock: Clock = utc_now,
) -> Report:
    """Audit a project's model, or an .npz of what any model answered, for what it gives away of its training data.

    attacks: instead of the default ones. references: reference models to train, instead of [privacy]; seconds: begin
    no new one after so long. records: write every record's score and risk there as CSV, by index. most_auc: fail above.
    executor, workers, address: where reference models are trained, instead of what [run] says.
    Raises UsageError for what the caller can mend; what cannot be measured is a Skipped in the report.

    Example:
        >>> hauberk.api.privacy_audit.audit("answers.npz").measurements  # doctest: +SKIP
    """
    path = Path(source)
    arrays = path.suffix == ".npz"
    project, folder = (
        (Project(name=path.stem), None) if arrays else (read(path), path if path.is_dir() else path.parent)
    )
    project = _changed(project, references, seconds, most_auc, seed)
    project = asked(project, executor=executor, workers=workers, address=address)
    number, stamp = project.run.seed, Stamp(clock=clock, seed=project.run.seed)
    frame = Frame.open(project, folder or path, f"hauberk privacy audit {path.as_posix()}", clock=clock)
    made = dict(settings or {})
    if arrays:
        _here(executor)
        found = read_arrays(path)
        if not isinstance(found, Recording):
            entries = list(_scored(found, attacks, made, stamp, number))
            return assemble(frame, [row for row in entries if not isinstance(row, Checkpoint)], clock=clock)
        case = _recorded(found)
        stamp = msgspec.structs.replace(stamp, digests=(Digest(name="answers", value=found.spec.digest),))
        evidence, best = _examined(case, attacks, made, stamp, number, progress)
    else:
        assert folder is not None
        subject = open_subject(project, folder)
        stamp = msgspec.structs.replace(stamp, digests=subject.digests)
        with executor_for(project.run) as places, threads_for(subject, threads_of(project.run)):
            schools = schools_for(places, project, folder, subject)
            lender = lender_for(project, folder, subject.target, number, schools)
            case = _Case(subject.target, subject.dataset, None, lender, lambda _, row: row, project.privacy.records)
            evidence, best = _examined(case, attacks, made, stamp, number, progress)
    if records is not None and best is not None:
        _write(records, best, case.rows)
    return assemble(frame, evidence, clock=clock, target=case.target.spec, dataset=case.data.spec)


def _here(executor: str | None) -> None:
    """Refuse to go elsewhere with recorded answers."""
    if executor not in (None, "serial"):
        raise UsageError(
            "of recorded answers nothing is trained",
            where=f"--executor {executor}",
            fix="name a project, or leave the executor out",
        )


def _changed(
    project: Project, references: int | None, seconds: float | None, most_auc: float | None, seed: int | None
) -> Project:
    section: PrivacySection = project.privacy
    if references is not None:
        section = msgspec.structs.replace(section, references=references)
    if seconds is not None:
        section = msgspec.structs.replace(section, seconds=seconds, references=section.references or 64)
    bounds = () if most_auc is None else (Requirement(measurement="membership_auc", max=most_auc),)
    kept = tuple(
        need for need in project.policy.require if need.measurement.startswith("membership_") and not need.threat
    )
    policy = Policy(fail_on="never", require=(*bounds, *kept), incomplete=project.policy.incomplete)
    run = project.run if seed is None else msgspec.structs.replace(project.run, seed=seed)
    return msgspec.structs.replace(project, privacy=section, policy=policy, run=run)


def _recorded(found: Recording) -> _Case:
    data = _Data(found.train, found.test, found.spec)
    members, others = found.rows
    return _Case(
        found.target,
        data,
        found.references,
        None,
        lambda member, row: int((members if member else others)[row]),
        max(len(members), len(others)),
    )


def _examined(
    case: _Case,
    attacks: tuple[str, ...],
    settings: Mapping[str, Mapping[str, Scalar]],
    stamp: Stamp,
    seed: int,
    progress: Progress,
) -> Examined:
    """Run the attacks, each under a threat of its own name; the first one also names records and groups."""
    names = attacks or (COMPARING if case.references is not None or case.lender is not None else ALONE)
    evidence: list[Evidence] = []
    best: Audit | None = None
    for index, name in enumerate(names):
        attack = build("attacks", name, settings.get(name))
        if not isinstance(attack, MembershipAttack | ReferenceAttack):
            raise ProjectError(f"{name} is no membership attack on a classifier", fix="see `hauberk list attacks`")
        work = examine_privacy(
            case.target,
            case.data,
            attack,
            msgspec.structs.replace(MEMBERSHIP, name=name.partition(".")[2]),
            stamp=stamp,
            seed=seed,
            progress=progress,
            most=case.most,
            lender=case.lender,
            given=case.references,
            records=not index,
        )
        while True:
            try:
                entry = next(work)
            except StopIteration as stop:
                best = best or stop.value
                break
            if not isinstance(entry, Checkpoint):
                evidence.append(entry)
    return evidence, best


def _scored(
    found: Texts | Canaries,
    attacks: tuple[str, ...],
    settings: Mapping[str, Mapping[str, Scalar]],
    stamp: Stamp,
    seed: int,
) -> Iterator[Entry]:
    if isinstance(found, Canaries):
        threat = msgspec.structs.replace(MEMBERSHIP, name="canaries")
        yield from examine_canaries(found.name, found.canaries, found.references, threat, stamp=stamp, seed=seed)
        return
    for name in attacks or TEXTS:
        attack = build("attacks", name, settings.get(name))
        if not isinstance(attack, SequenceAttack):
            raise ProjectError(f"{name} is no attack on sequences", fix=f"one of {', '.join(TEXTS)}")
        threat = msgspec.structs.replace(MEMBERSHIP, name=name.partition(".")[2])
        yield from examine_sequences(found.name, found.sequences, found.member, attack, threat, stamp=stamp, seed=seed)


def _write(path: Path, found: Audit, name: Callable[[bool, int], int]) -> None:
    """Write index, membership, score and risk of every record; never a value of it."""
    risk = risks(found)
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            sheet = csv.writer(file)
            sheet.writerow(("record", "member", "score", "risk"))
            sheet.writerows(_lines(found, risk.tolist(), name))
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(path), fix="name another file") from error


def _lines(found: Audit, risk: list[float], name: Callable[[bool, int], int]) -> Iterable[tuple[int, int, str, str]]:
    places = [(True, int(row)) for row in found.rows] + [(False, int(row)) for row in found.other_rows]
    for (member, row), score, chance in zip(places, found.score.tolist(), risk, strict=True):
        yield name(member, row), int(member), f"{score:.6g}", f"{chance:.4f}"
