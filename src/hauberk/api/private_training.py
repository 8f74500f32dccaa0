"""Private training: of a project's model with its ledger, or of any torch module in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, cast

import torch
from torch import nn

from hauberk.api.assembling import Frame, assemble
from hauberk.api.ledger import spends, total
from hauberk.api.privacy_statement import statement
from hauberk.api.private_audit import AuditPlan, examine_run
from hauberk.api.private_hardening import data_digest, promising, purse_for
from hauberk.api.subject import Subject, open_subject, threads_for
from hauberk.core.errors import MeasurementError, StoreError, UnknownName, UsageError, nearest
from hauberk.core.evidence import Entry, Evidence, Scalar, Skipped
from hauberk.core.plugins import build, catalog
from hauberk.core.privacy_events import Event, Spend
from hauberk.core.progress import Silent
from hauberk.core.project import Project, read
from hauberk.core.protocols import Modular, Progress
from hauberk.core.provenance import Clock, Stamp, utc_now
from hauberk.core.report import Report
from hauberk.defenses import engine
from hauberk.defenses.private_defense import SEEDED, UNSEEN, Account, Private, PrivateDefense
from hauberk.defenses.private_gradients import Way
from hauberk.defenses.private_plans import Plan, usual_delta
from hauberk.defenses.private_refusals import without_batch_norm as without_batch_norm
from hauberk.defenses.private_spending import private_run
from hauberk.defenses.private_training import Trained, train_privately, within
from hauberk.numeric.clipped_sums import ExampleLoss, cross_entropy
from hauberk.numeric.private_noise import NoiseSource
from hauberk.stores.evidence import open_store
from hauberk.targets.weights import tensor_names

_SILENT = Silent()


class PrivateModule(NamedTuple):
    """A module trained in memory: what was done, what it cost, and that in words."""

    trained: Trained
    account: Account
    text: str


@dataclass(frozen=True, slots=True)
class PrivateTraining:
    """A trained project model: report, file of weights (None where it failed), account and statement."""

    report: Report
    weights: Path | None
    account: Account | None
    text: str


def train_module(
    module: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    epsilon: float,
    delta: float | None = None,
    steps: int = 500,
    batch: int = 256,
    clip: float = 1.0,
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer] | None = None,
    loss: ExampleLoss = cross_entropy,
    plan: Plan | None = None,
    way: Way = "book_keeping",
    seed: int | None = None,
    unit: str = "record",
    rows_per_unit: int = 1,
    progress: Progress = _SILENT,
) -> PrivateModule:
    """Train any torch module in place with DP-SGD (or another optimiser), never wrapping it.

    x (n, …), y (n, …): one row a unit of privacy, or rows_per_unit of them. loss: (module, x, y) → (b,), one number an
    example. plan: instead of steps, batch and clip, for other sampling, clipping or noise. seed: to repeat a run in a
    test; it then promises nothing. Frozen parameters stay so. Raises MissingPower for layers that mix examples.

    Example:
        >>> made = train_module(net, x, y, epsilon=3.0, steps=300, batch=256)  # doctest: +SKIP
        >>> print(made.text)  # doctest: +SKIP
    """
    wanted = plan or Plan(len(y), steps, min(batch, len(y)), clip=clip)
    promised = delta or usual_delta(len(y))
    if rows_per_unit > 1 and wanted.noise == 0:
        from hauberk.api.accounting import noise

        found = noise(wanted, epsilon, delta=promised, rows_per_unit=rows_per_unit).noise
        wanted = replace(wanted, noise=found)
    wanted, allowed = within(wanted, epsilon, promised)
    trained_values = [value for value in module.parameters() if value.requires_grad]
    chosen = optimizer(trained_values) if optimizer else torch.optim.SGD(trained_values, lr=0.5)
    source = NoiseSource() if seed is None else NoiseSource.seeded(torch.Generator().manual_seed(seed))
    trained = train_privately(
        module, x, y, wanted, chosen, source=source, loss=loss, way=way, limit=allowed, progress=progress
    )
    account = Account(
        events=trained.events,
        relation=wanted.relation,
        delta=promised,
        rows=len(y),
        sampling=wanted.sampling_words,
        noise_source=UNSEEN if seed is None else SEEDED,
        clip=wanted.clip,
        noise=wanted.noise,
        tuned=("steps", "batch", "learning rate", "clipping norm"),
        notes=trained.notes,
        why=trained.why,
        mechanism=f"{trained.steps} steps of {wanted.batch} rows expected, noise multiplier {wanted.noise:.4g}",
    )
    return PrivateModule(trained, account, statement(account, unit=unit, rows_per_unit=rows_per_unit))


def train(
    folder: str | os.PathLike[str] = ".",
    *,
    defense: str = "privacy.dp_sgd",
    settings: Mapping[str, Scalar] | None = None,
    weights: Path | None = None,
    audit: int = 0,
    seed: int | None = None,
    progress: Progress = _SILENT,
    clock: Clock = utc_now,
) -> PrivateTraining:
    """Train a project's model privately, keep the account in its ledger, and save the weights as safetensors.

    defense: privacy.dp_sgd, privacy.dp_adam, privacy.dp_ftrl or another of `hauberk list defenses` that is accounted.
    settings: its own. audit: canaries to audit a second run of the same recipe with; 0 for none. weights: where to;
    by default beside the model, as NAME.private.safetensors. Raises UsageError for faults the caller can mend.
    """
    root = Path(folder)
    project = read(root)
    defense = defense if "." in defense else f"privacy.{defense}"
    rule = promising(_defense(defense, settings), project.privacy)
    subject = open_subject(project, root)
    number = project.run.seed if seed is None else seed
    stamp = Stamp(clock=clock, seed=number, digests=subject.digests)
    frame = Frame.open(project, root, f"hauberk privacy train {root.as_posix()}", clock=clock)
    path = weights or _beside(project, root)
    purse = purse_for(rule, defense, frame, root, subject, stamp, clock)
    assert purse is not None
    before = purse.budget().before
    rng = torch.Generator().manual_seed(number)
    with threads_for(subject, project.run.threads):
        steps = private_run(rule, subject.target, subject.dataset.train, rng, purse, progress)
        evidence, private = _gathered(steps, stamp)
        if private is not None:
            evidence += _accuracies(private, subject, stamp, number)
            if audit:
                evidence += examine_run(rule, subject, private, AuditPlan(canaries=audit), stamp, number, progress)
    report = assemble(frame, evidence, clock=clock, target=subject.target.spec, dataset=subject.dataset.spec)
    if private is None:
        return PrivateTraining(report, None, None, "")
    section = project.privacy
    text = statement(private.account, unit=section.unit, rows_per_unit=section.rows_per_unit, before=before)
    written = _save(private, path, project, root) if isinstance(private.target, Modular) else None
    return PrivateTraining(report, written, private.account, text)


def _defense(name: str, settings: Mapping[str, Scalar] | None) -> PrivateDefense:
    rule = build("defenses", name, dict(settings or {}))
    if not isinstance(rule, PrivateDefense):
        known = [row.name for row in catalog("defenses") if row.name.startswith("privacy.")]
        raise UnknownName(f"{name} is not accounted: it proves nothing", fix=nearest(name, known))
    return rule


def _gathered(steps: Iterator[Entry], stamp: Stamp) -> tuple[list[Evidence], Private | None]:
    evidence: list[Evidence] = []
    while True:
        try:
            entry = next(steps)
        except StopIteration as stop:
            return evidence, stop.value
        except MeasurementError as error:
            gap = Skipped(
                subject="private training",
                reason=f"{error.where}: {error.what}" if error.where else error.what,
                provenance=stamp.of("privacy.train"),
                kind="power",
                fix=error.fix,
            )
            return [*evidence, gap], None
        evidence.append(cast(Evidence, entry))


def _accuracies(private: Private, subject: Subject, stamp: Stamp, seed: int) -> list[Evidence]:
    """Measure accuracy on rows neither has seen, before and after: what privacy costs here."""
    from hauberk.core.evidence import Measurement
    from hauberk.numeric.intervals import clopper_pearson

    x, y = (torch.from_numpy(part.copy()) for part in subject.dataset.test)
    rows: list[Evidence] = []
    for name, target in (("accuracy_before", subject.target), ("accuracy_private", private.target)):
        if not len(y):
            break
        right = int((target.predict(x).argmax(1) == y).sum())
        found = clopper_pearson(right, len(y))
        rows.append(
            Measurement(
                name=name,
                subject=target.spec.name,
                value=found.value,
                low=found.low,
                high=found.high,
                level=0.95,
                method="clopper-pearson",
                n=len(y),
                unit="share",
                better="higher",
                provenance=stamp.of("privacy.train", seed=seed),
                role="diagnostic" if name == "accuracy_before" else "headline",
                note="on test rows, which the private model has not seen; the figure itself is not private to them",
            )
        )
    return rows


def _beside(project: Project, root: Path) -> Path:
    source = project.model.source if project.model else "model"
    stem = source.partition(":")[0] if ":" in source else str(Path(source).with_suffix(""))
    return root / f"{stem}.private.safetensors"


def _save(private: Private, path: Path, project: Project, root: Path) -> Path:
    assert isinstance(private.target, Modular)
    source = project.model.source if project.model else ""
    if source and (root / source).is_file() and path.resolve() == (root / source).resolve():
        raise UsageError("that is the model itself", where=str(path), fix="name another file by --weights")
    names = tensor_names(root / source) if source.endswith(".safetensors") else ()
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(engine.weights(private.target, names))
        part.replace(path)
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}", where=str(path), fix="name another file by --weights"
        ) from error
    return path


class Spent(NamedTuple):
    """What the ledger says of a project's data. limit: of the project file; None where there is none."""

    data: str
    lines: int
    open: int
    epsilon: float
    delta: float
    limit: float | None
    text: str


def spent(folder: str | os.PathLike[str] = ".", *, delta: float | None = None) -> Spent:
    """Add up everything the ledger knows of the project's data, and say it in words."""
    root = Path(folder)
    project = read(root)
    subject = open_subject(project, root)
    data, rows = data_digest(subject.dataset), len(subject.dataset.train.y)
    promised = delta or project.privacy.delta or usual_delta(rows)
    lines = _kept_lines(project, root, data)
    sums = total(lines, promised, project.privacy.rows_per_unit)
    events: tuple[Event, ...] = tuple(event for line in lines for event in line.events)
    account = Account(
        events=events,
        relation=sums.relation,
        delta=promised,
        rows=rows,
        sampling="; ".join(sorted({line.sampling for line in lines if line.sampling})),
        noise_source="; ".join(sorted({line.noise_source for line in lines if line.noise_source})),
        notes=tuple(f"{line.what} by {line.recipe}, {line.state}, in run {line.run} on {line.time}" for line in lines),
        mechanism=f"{len(lines)} runs on this data",
    )
    text = statement(account, unit=project.privacy.unit, rows_per_unit=project.privacy.rows_per_unit)
    return Spent(data, len(lines), sums.open, sums.bound.epsilon, promised, project.privacy.epsilon, text)


def _kept_lines(project: Project, root: Path, data: str) -> tuple[Spend, ...]:
    try:
        with open_store(project.store.url, root, read_only=True) as kept:
            return spends(kept, data)
    except StoreError as error:
        if "no evidence" in error.what:
            return ()
        raise
