"""The verb `harden`: a harder model, measured before and after with the same attacks and seeds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, cast

import msgspec

from hauberk.api.assembling import Frame, assemble
from hauberk.api.subject import open_subject, threads_for
from hauberk.api.threats import Setting, work
from hauberk.core.errors import ProjectError, UnknownName, UsageError, nearest
from hauberk.core.evidence import Checkpoint, Entry, Evidence, Scalar, Skipped
from hauberk.core.plugins import build
from hauberk.core.progress import Silent
from hauberk.core.project import Project, ThreatSection, read
from hauberk.core.protocols import Defense, EvasionAttack, Modular, Progress, Target
from hauberk.core.provenance import Clock, Stamp, utc_now
from hauberk.core.report import Report
from hauberk.defenses import engine
from hauberk.targets.weights import tensor_names

_SILENT = Silent()


class Hardened(NamedTuple):
    """The report (before, after, change), the hardened target and the file of its weights; None where it failed."""

    report: Report
    target: Target | None
    weights: Path | None


def harden(
    folder: str | os.PathLike[str] = ".",
    *,
    threat: str | None = None,
    defense: str = "adversarial_training",
    attack: str = "evasion.pgd",
    settings: Mapping[str, Scalar] | None = None,
    weights: Path | None = None,
    samples: int | None = None,
    seed: int | None = None,
    progress: Progress = _SILENT,
    clock: Clock = utc_now,
) -> Hardened:
    """Harden a project's model against one of its evasion threats and save the weights as safetensors.

    weights: where to; by default beside the model, as NAME.hardened.safetensors. settings: of the defense.
    Ctrl-C while training keeps the best weights so far and says so. Raises UsageError for faults the caller can mend.

    Example:
        >>> hauberk.harden("examples/digits", threat="pixels").report.measurements  # doctest: +SKIP
    """
    root = Path(folder)
    project = read(root)
    name, section = _threat(project, threat)
    if samples is not None:
        section = msgspec.structs.replace(section, samples=samples)
    section = msgspec.structs.replace(section, curve=())
    subject = open_subject(project, root)
    number = project.run.seed if seed is None else seed
    stamp = Stamp(clock=clock, seed=number, digests=subject.digests)
    frame = Frame.open(project, root, f"hauberk harden {root.as_posix()} --threat {name}", clock=clock)

    def evaluate(target: Target) -> Iterator[Entry]:
        setting = Setting(subject._replace(target=target), stamp, number, progress)
        return iter(work(name, section, setting).produce({}))

    steps = engine.harden(
        subject.target,
        subject.dataset,
        cast(Defense, build("defenses", defense, dict(settings or {}))),
        cast(EvasionAttack, build("attacks", attack)),
        section.threat(name),
        evaluate=evaluate,
        stamp=stamp,
        seed=number,
        progress=progress,
    )
    with threads_for(subject, project.run.threads):
        evidence, hardened = _run(steps, stamp)
    path = None
    if isinstance(hardened, Modular):
        path = _save(hardened, weights or _beside(project, root), _names(project, root))
    report = assemble(
        frame, evidence, clock=clock, target=(hardened or subject.target).spec, dataset=subject.dataset.spec
    )
    return Hardened(report, hardened, path)


def _threat(project: Project, name: str | None) -> tuple[str, ThreatSection]:
    """Choose the threat to harden against; raises UsageError."""
    evasion = {key: row for key, row in project.threats.items() if row.threat(key).family == "evasion"}
    if not evasion:
        raise ProjectError("hauberk.toml names no evasion threat", fix="add [threats.pixels] with norm and radius")
    if name is None:
        return next(iter(evasion.items()))
    if name not in evasion:
        raise UnknownName(f'no evasion threat "{name}"', fix=nearest(name, evasion))
    return name, evasion[name]


def _run(steps: Iterator[Entry], stamp: Stamp) -> tuple[list[Evidence], Target | None]:
    """Gather the evidence; on Ctrl-C keep the best target so far."""
    evidence: list[Evidence] = []
    while True:
        try:
            entry = next(steps)
        except StopIteration as stop:
            return evidence, stop.value
        except engine.Interrupted as stop:
            gap = Skipped(
                subject="harden",
                reason="stopped by the user; the best weights so far were kept, not measured",
                kind="interrupted",
                fix="run `hauberk harden` to its end",
                provenance=stamp.of("harden"),
            )
            return [*evidence, gap], stop.best
        if not isinstance(entry, Checkpoint):
            evidence.append(entry)


def _beside(project: Project, root: Path) -> Path:
    source = project.model.source if project.model else "model"
    stem = source.partition(":")[0] if ":" in source else str(Path(source).with_suffix(""))
    return root / f"{stem}.hardened.safetensors"


def _names(project: Project, root: Path) -> tuple[str, ...]:
    """Name the tensors of the project's own weights, so that its factory can load the new file in their place."""
    source = project.model.source if project.model else ""
    return tensor_names(root / source) if source.endswith(".safetensors") else ()


def _save(target: Modular, path: Path, names: tuple[str, ...]) -> Path:
    """Write weights whole or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(engine.weights(target, names))
        part.replace(path)
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}", where=str(path), fix="name another file by --weights"
        ) from error
    return path
