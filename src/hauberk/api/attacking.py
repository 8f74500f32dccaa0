"""The verb `attack`: the dynamic half alone, on a project or on a model and data named directly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hauberk.api.assembling import Frame, assemble
from hauberk.api.executing import executor_for, threads_of
from hauberk.api.running import Run
from hauberk.api.subject import Subject, fitted, open_subject, threads_for
from hauberk.api.threats import Setting, work
from hauberk.core.errors import ProjectError, UnknownName, UsageError, nearest
from hauberk.core.evidence import Entry, Evidence, Measurement, Scalar
from hauberk.core.policy import Requirement
from hauberk.core.progress import Silent
from hauberk.core.project import DataSection, ModelSection, Profile, Project, RunSection, ThreatSection, read
from hauberk.core.protocols import Dataset, Progress, Receipt, Target
from hauberk.core.provenance import Clock, Stamp, utc_now
from hauberk.core.report import Report
from hauberk.core.threat import PRESETS, Threat

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SILENT = Silent()


def attack(
    target: Target,
    data: Dataset,
    threat: Threat,
    *,
    attacks: tuple[str, ...] = (),
    settings: Mapping[str, Mapping[str, Scalar]] | None = None,
    samples: int = 500,
    precision: float | None = None,
    seed: int = 0,
    progress: Progress = _SILENT,
    clock: Clock = utc_now,
) -> Report:
    """Attack a target in memory under one threat and report what was measured.

    attacks: plug-in names instead of the family's default cascade. samples: at most so many test samples.
    Raises UsageError where target and data do not fit; what fails while measuring is a Skipped in the report.

    Example:
        >>> from hauberk.targets import from_torch
        >>> report = hauberk.attack(from_torch(net, bounds=(0, 1)), data, LINF_8_255)  # doctest: +SKIP
    """
    fitted(target, data)
    section = ThreatSection(
        family=threat.family,
        knowledge=threat.knowledge,
        norm=threat.ball.norm if threat.ball else None,
        radius=threat.ball.radius if threat.ball else None,
        changed=threat.constraints.changed if threat.constraints else None,
        patch=threat.patch,
        transform=threat.transform,
        queries=threat.queries,
        poison_rate=threat.poison_rate,
        target_class=threat.target_class,
        attacks=attacks,
        samples=samples,
        precision=precision,
        settings={name: dict(values) for name, values in (settings or {}).items()},
    )
    project = Project(name=target.spec.name, threats={threat.name: section}, run=RunSection(seed=seed))
    return _carried_out(project, Path(), Subject(target, data), progress, clock)


def attack_project(
    project: Project,
    folder: Path,
    *,
    threats: tuple[str, ...] = (),
    attacks: tuple[str, ...] = (),
    norm: str | None = None,
    radius: str | float | None = None,
    queries: int | None = None,
    samples: int | None = None,
    precision: float | None = None,
    profile: Profile | None = None,
    settings: Mapping[str, Scalar] | None = None,
    command: str = "hauberk.attack",
    progress: Progress = _SILENT,
    clock: Clock = utc_now,
) -> Report:
    """Attack a project's model under its threats, some of them, presets, or a ball given here.

    command: how the caller would do it again, for the report.
    """
    chosen = _chosen(project, threats, norm, radius)
    given = {"attacks": attacks or None, "norm": norm, "radius": radius, "queries": queries}
    given |= {"samples": samples, "precision": precision, "profile": profile}
    changes: dict[str, object] = {key: value for key, value in given.items() if value is not None}
    if settings and len(attacks) != 1:
        raise UsageError("--set needs exactly one --attack", fix="say which attack the setting is of")
    if settings:
        changes["settings"] = {attacks[0]: dict(settings)}
    sections = {name: msgspec.structs.replace(section, **changes) for name, section in chosen.items()}
    for name, section in sections.items():
        try:
            section.threat(name)
        except (ValueError, ZeroDivisionError) as error:
            raise UsageError(str(error), where=name, fix="give both --norm and --radius, or a preset") from error
    changed = msgspec.structs.replace(project, threats=sections)
    return _carried_out(changed, folder, open_subject(changed, folder), progress, clock, command)


def described(
    model: str,
    *,
    data: str | None,
    factory: str | None,
    label: str | None,
    bounds: tuple[float, float] | None,
    seed: int,
    trust: bool,
) -> tuple[Project, Path]:
    """Read the project a folder holds, or describe one by a model's source and a data source."""
    path = Path(model)
    if path.is_dir() or path.suffix == ".toml":
        if data:
            raise UsageError("--data goes with a model's source, not with a project", fix="edit [data] of hauberk.toml")
        project = read(path)
        run = msgspec.structs.replace(project.run, seed=seed or project.run.seed)
        return msgspec.structs.replace(project, run=run), path if path.is_dir() else path.parent
    if not data:
        raise UsageError("--data is missing", where=model, fix="name labelled data, such as --data test.npz")
    section = ModelSection(source=model, factory=factory or "", bounds=bounds, trust=trust)
    described = Project(
        name=path.stem,
        model=section,
        data=DataSection(source=data, label=label or ""),
        run=RunSection(seed=seed),
    )
    return described, Path()


def _chosen(
    project: Project, threats: tuple[str, ...], norm: str | None, radius: str | float | None
) -> dict[str, ThreatSection]:
    """Take the named threats of the project, or presets, or one made of norm and radius, or all of the project."""
    if not threats and (not project.threats or (norm is not None and radius is not None)):
        if norm is None or radius is None:
            raise ProjectError("no threat is named", fix="give --threat with a preset, or --norm and --radius")
        return {f"{norm}-{radius}": ThreatSection()}
    rows = {}
    for name in threats or tuple(project.threats):
        if name in project.threats:
            rows[name] = project.threats[name]
        elif name in PRESETS:
            rows[name] = ThreatSection(preset=name)
        else:
            raise UnknownName(f'no threat "{name}"', fix=nearest(name, [*project.threats, *PRESETS]))
    return rows


class _Unkept:
    """A store that keeps nothing: `attack` alone leaves no evidence behind."""

    def append(self, run: str, entries: Sequence[Entry]) -> Receipt:  # noqa: ARG002
        """Forget."""
        return Receipt(first=0, size=0, root="")

    def entries(self, run: str) -> Iterator[Entry]:  # noqa: ARG002
        """Remember nothing."""
        empty: Iterable[Entry] = ()
        return iter(empty)


def _carried_out(
    project: Project,
    folder: Path,
    subject: Subject,
    progress: Progress,
    clock: Clock,
    command: str = "hauberk.attack",
) -> Report:
    frame = Frame.open(project, folder, command, clock=clock)
    stamp = Stamp(clock=clock, seed=project.run.seed, digests=subject.digests)
    run = Run(frame.run, _Unkept(), stamp)
    first = next(iter(project.threats))
    setting = Setting(subject, stamp, project.run.seed, progress, clean_with=first, project=project, folder=folder)
    with executor_for(project.run) as executor, threads_for(subject, threads_of(project.run)):
        setting = setting._replace(executor=executor)
        for name, section in project.threats.items():
            run.carry_out(work(name, section, setting))
    asked = tuple(need for need in project.policy.require if _is_about(need, project, run.evidence))
    policy = msgspec.structs.replace(project.policy, require=asked)
    return assemble(
        msgspec.structs.replace(frame, project=msgspec.structs.replace(project, policy=policy)),
        run.evidence,
        clock=clock,
        target=subject.target.spec,
        dataset=subject.dataset.spec,
        timings=run.timings,
        interrupted=run.interrupted,
    )


def _is_about(need: Requirement, project: Project, evidence: Iterable[Evidence]) -> bool:
    """Say whether a requirement is about what was attacked: the policy's others wait for `hauberk check`."""
    if need.threat:
        return need.threat in project.threats
    return any(isinstance(row, Measurement) and row.name == need.measurement for row in evidence)
