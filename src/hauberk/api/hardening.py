"""The verb `harden`: a harder model, measured before and after with the same attacks and seeds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, cast

import msgspec

from hauberk.api.assembling import Frame, assemble
from hauberk.api.harden_card import model_card
from hauberk.api.harden_checkpoints import CheckpointFile, write_whole
from hauberk.api.harden_recipes import ATTACKS, Recipe, choose, resolve, seconds, training_settings
from hauberk.api.harden_strength import examination
from hauberk.api.private_hardening import promising, purse_for
from hauberk.api.subject import Subject, constrained, open_subject, threads_for
from hauberk.api.threats import Setting, work
from hauberk.core.encoding import canonical
from hauberk.core.errors import MissingPower, ProjectError, UnknownName, UsageError, nearest
from hauberk.core.evidence import Checkpoint, Entry, Evidence, Scalar, Skipped
from hauberk.core.plugins import build
from hauberk.core.progress import Silent
from hauberk.core.project import Project, ThreatSection, read
from hauberk.core.protocols import Defense, EvasionAttack, Modular, Progress, Target
from hauberk.core.provenance import Clock, Stamp, utc_now
from hauberk.core.report import Report
from hauberk.core.threat import Threat
from hauberk.defenses import engine
from hauberk.defenses.private_spending import Purse
from hauberk.targets.weights import tensor_names

_SILENT = Silent()


class Hardened(NamedTuple):
    """What came of it.

    report: before, after, change. target: the hardened one. weights, card: the files written; None where it failed.
    defense: full name of what was applied. why: it was chosen; empty where it was named.
    """

    report: Report
    target: Target | None
    weights: Path | None
    card: Path | None = None
    defense: str = ""
    why: str = ""


def harden(
    folder: str | os.PathLike[str] = ".",
    *,
    threat: str | None = None,
    defense: str | None = None,
    attack: str | None = None,
    settings: Mapping[str, Scalar] | None = None,
    budget: str | float | None = None,
    resume: bool = False,
    weights: Path | None = None,
    samples: int | None = None,
    seed: int | None = None,
    progress: Progress = _SILENT,
    clock: Clock = utc_now,
) -> Hardened:
    """Harden a project's model against one of its evasion threats; save weights, model card and report.

    defense: by name, None to choose by model, threat and budget. attack: chooses the best state while training; None
    for the one that fits the threat.
    settings: of the defense. budget: of training, such as "10m" or seconds. resume: go on from the checkpoint that a
    broken run left beside the weights. weights: where to; by default beside the model, as NAME.hardened.safetensors;
    card and report go beside it. Ctrl-C while training keeps the best weights so far and says so; the model's own file
    is never written. Raises UsageError for faults the caller can mend.

    Example:
        >>> hauberk.harden("examples/digits", threat="pixels").report.measurements  # doctest: +SKIP
    """
    root = Path(folder)
    project = read(root)
    name, section = _threat(project, threat, defense or "")
    if samples is not None:
        section = msgspec.structs.replace(section, samples=samples)
    subject = open_subject(project, root)
    path = weights or _beside(project, root)
    _not_the_model(path, project, root)
    number = project.run.seed if seed is None else seed
    stamp = Stamp(clock=clock, seed=number, digests=subject.digests)
    frame = Frame.open(project, root, f"hauberk harden {root.as_posix()} --threat {name}", clock=clock)
    enemy = constrained(section.threat(name), section.changed, subject.dataset)
    span = 0.0 if budget is None else seconds(str(budget))
    keeper = CheckpointFile(path.with_suffix(".checkpoint"), resume=resume)
    setting = Setting(subject, stamp, number, progress, project=project, folder=root)
    try:
        recipe = _recipe(subject, enemy, defense, span)
        rule = cast(Defense, build("defenses", recipe.defense, _settings(recipe, settings, span)))
        rule = promising(rule, project.privacy)
        purse = purse_for(rule, recipe.defense, frame, root, subject, stamp, clock)
        steps = _steps(setting, name, section, enemy, rule, attack or ATTACKS[enemy.kind], keeper, purse)
    except MissingPower as error:
        steps, recipe = _nothing(error, stamp), Recipe(defense or "", {}, "")
    with threads_for(subject, project.run.threads):
        evidence, hardened, whole = _run(steps, stamp)
    spec = (hardened or subject.target).spec
    report = assemble(frame, evidence, clock=clock, target=spec, dataset=subject.dataset.spec, interrupted=not whole)
    if not isinstance(hardened, Modular) or not isinstance(subject.target, Modular):
        return Hardened(report, hardened, None, None, recipe.defense, recipe.why)
    card = _save(hardened, path, _names(project, root), report, recipe)
    if whole:
        keeper.discard()
    return Hardened(report, hardened, path, card, recipe.defense, recipe.why)


def _threat(project: Project, name: str | None, defense: str = "") -> tuple[str, ThreatSection]:
    """Choose the threat to harden against, by family of the defense; raises UsageError."""
    families = ("privacy", "evasion") if defense.startswith("privacy.") else ("evasion",)
    evasion = {
        key: row for family in families for key, row in project.threats.items() if row.threat(key).family == family
    }
    if not evasion:
        raise ProjectError("hauberk.toml names no evasion threat", fix="add [threats.pixels] with norm and radius")
    if name is None:
        return next(iter(evasion.items()))
    if name not in evasion:
        raise UnknownName(f'no evasion threat "{name}"', fix=nearest(name, evasion))
    return name, evasion[name]


def _recipe(subject: Subject, threat: Threat, defense: str | None, budget: float) -> Recipe:
    if defense is not None:
        return Recipe(resolve(defense), {}, "")
    return choose(subject.target, subject.dataset.train, threat, budget)


def _settings(recipe: Recipe, settings: Mapping[str, Scalar] | None, budget: float) -> dict[str, Scalar]:
    return training_settings(recipe.defense, {**recipe.settings, **(settings or {})}, budget)


def _steps(
    run: Setting,
    name: str,
    section: ThreatSection,
    threat: Threat,
    defense: Defense,
    attack: str,
    keeper: CheckpointFile,
    purse: Purse | None,
) -> Iterator[Entry]:
    """Begin to harden; the same examination before and after, stronger than the training."""
    strength = None
    if threat.family == "evasion":
        section, strength = examination(section, threat, run.subject.target, run.subject.dataset, defense)

    def evaluate(target: Target) -> Iterator[Entry]:
        setting = run._replace(subject=run.subject._replace(target=target))
        return iter(work(name, section, setting).produce({}))

    return engine.harden(
        *run.subject,
        defense,
        cast(EvasionAttack, build("attacks", attack)),
        threat,
        evaluate=evaluate,
        **run.shared,
        keeper=keeper,
        strength=strength,
        purse=purse,
    )


def _nothing(error: MissingPower, stamp: Stamp) -> Iterator[Entry]:
    yield Skipped(subject="harden", reason=error.what, provenance=stamp.of("harden"), kind="power", fix=error.fix)


def _run(steps: Iterator[Entry], stamp: Stamp) -> tuple[list[Evidence], Target | None, bool]:
    """Gather the evidence; on Ctrl-C keep the best target so far. The last says whether it came to its end."""
    evidence: list[Evidence] = []
    while True:
        try:
            entry = next(steps)
        except StopIteration as stop:
            return evidence, stop.value, True
        except engine.Interrupted as stop:
            gap = Skipped(
                subject="harden",
                reason="stopped by the user; the best weights so far were kept, not measured",
                kind="interrupted",
                fix="run `hauberk harden --resume` to its end",
                provenance=stamp.of("harden"),
            )
            return [*evidence, gap], stop.best, False
        if not isinstance(entry, Checkpoint):
            evidence.append(entry)


def _beside(project: Project, root: Path) -> Path:
    source = project.model.source if project.model else "model"
    stem = source.partition(":")[0] if ":" in source else str(Path(source).with_suffix(""))
    return root / f"{stem}.hardened.safetensors"


def _not_the_model(path: Path, project: Project, root: Path) -> None:
    source = root / (project.model.source if project.model else "")
    if source.is_file() and path.resolve() == source.resolve():
        raise UsageError("that is the model itself", where=str(path), fix="name another file by --weights")


def _names(project: Project, root: Path) -> tuple[str, ...]:
    """Name the tensors of the project's own weights, so that its factory can load the new file in their place."""
    source = project.model.source if project.model else ""
    return tensor_names(root / source) if source.endswith(".safetensors") else ()


def _save(target: Modular, path: Path, names: tuple[str, ...], report: Report, recipe: Recipe) -> Path:
    """Write weights, card and report, each whole or not at all; returns the card's path. Raises UsageError."""
    data = engine.weights(target, names)
    card = path.with_suffix(".card.md")
    text = model_card(report, recipe.defense, recipe.why, data).encode()
    for place, content in ((path, data), (card, text), (path.with_suffix(".report.json"), canonical(report))):
        try:
            write_whole(place, content)
        except OSError as error:
            raise UsageError(
                f"cannot be written: {error.strerror}", where=str(place), fix="name another file by --weights"
            ) from error
    return card
