"""The verb `data suspects`: which training rows look planted, by every detector that can run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import torch

from hauberk.api.assembling import Frame, assemble
from hauberk.api.harden_checkpoints import write_whole
from hauberk.api.subject import open_subject
from hauberk.core.errors import DataError, MeasurementError, MissingPower, ProjectError, UsageError
from hauberk.core.evidence import Evidence, Finding, Location, Provenance, Skipped
from hauberk.core.plugins import build, catalog, listing, settings_of
from hauberk.core.poisoning import PoisonDetector, Suspicion
from hauberk.core.progress import Silent
from hauberk.core.project import Project, read
from hauberk.core.protocols import Progress, Split, Target, powers
from hauberk.core.provenance import Clock, Stamp, utc_now
from hauberk.core.report import Report
from hauberk.datasets.opening import open_dataset
from hauberk.scanning.rules.data.planted_rows import PlantedRows

_SILENT = Silent()
_SHOWN = 20
"""Rows a finding names; all of them are in the file of rows."""


class Suspected(NamedTuple):
    """The report, and the flagged rows: their index among the training rows, and who flagged them."""

    report: Report
    rows: dict[int, tuple[str, ...]]


def suspects(
    folder: str | os.PathLike[str] = ".",
    *,
    detectors: Sequence[str] = (),
    model: bool = False,
    rows: Path | None = None,
    seed: int | None = None,
    progress: Progress = _SILENT,
    clock: Clock = utc_now,
) -> Suspected:
    """Look for planted rows in a project's training data.

    detectors: by name; empty for all that need no model, and with `model` for those too that need the project's model,
    some of which train it anew. rows: a JSON Lines file to write the flagged rows to. Evidence names rows, never their
    values. Raises UsageError for faults the caller can mend.

    Example:
        >>> hauberk.api.suspecting.suspects("examples/digits").rows  # doctest: +SKIP
    """
    root = Path(folder)
    project = read(root)
    if project.data is None:
        raise ProjectError("[data] is missing", where=str(root), fix="name the training data")
    names = _chosen(detectors, model)
    train, target = _opened(project, root, names)
    number = project.run.seed if seed is None else seed
    stamp = Stamp(clock=clock, seed=number)
    # What the policy asks of measurements of the model is not asked of the data alone.
    project = msgspec.structs.replace(project, policy=msgspec.structs.replace(project.policy, require=()))
    frame = Frame.open(project, root, f"hauberk data suspects {root.as_posix()}", clock=clock)
    evidence: list[Evidence] = []
    flagged: dict[int, tuple[str, ...]] = {}
    with progress.step("suspects", len(names), "detectors") as step:
        for name in names:
            for entry, found in _looked(name, train, target, project, stamp, number):
                evidence.append(entry)
                for row in found:
                    flagged[row] = (*flagged.get(row, ()), name)
            step.advance(note=f"{len(flagged)} rows")
    evidence.append(_unseen(names, stamp))
    if rows is not None:
        lines = (json.dumps({"row": row, "by": list(by)}) for row, by in sorted(flagged.items()))
        write_whole(rows, "".join(f"{line}\n" for line in lines).encode())
    return Suspected(assemble(frame, evidence, clock=clock), flagged)


def _chosen(detectors: Sequence[str], model: bool) -> tuple[str, ...]:
    """Name the detectors to run; raises UnknownName, UsageError."""
    for name in detectors:
        listing("defenses", name)
        if not name.startswith("poison."):
            raise UsageError(f"{name} finds no planted rows", fix="name one of `hauberk list defenses` under poison.")
    known = (entry for entry in catalog("defenses") if entry.name.startswith("poison."))
    return tuple(detectors) or tuple(entry.name for entry in known if model or not entry.card.needs)


def _opened(project: Project, root: Path, names: Sequence[str]) -> tuple[Split, Target | None]:
    """Open the training rows, and the model where a detector needs it."""
    if any(listing("defenses", name).card.needs for name in names):
        subject = open_subject(project, root)
        return subject.dataset.train, subject.target
    assert project.data is not None
    bounds = project.model.bounds if project.model else None
    return open_dataset(project.data, root, bounds=bounds).train, None


def _looked(
    name: str, train: Split, target: Target | None, project: Project, stamp: Stamp, seed: int
) -> Iterator[tuple[Evidence, Sequence[int]]]:
    """Run one detector: a finding with its rows, a Skipped, or nothing to report."""
    detector = build("defenses", name)
    if not isinstance(detector, PoisonDetector):
        raise UsageError(f"{name} finds no planted rows")
    provenance = stamp.of(f"defenses.{name}", settings_of(detector), seed)
    missing = sorted(set(detector.card.needs) - powers(target)) if target is not None else []
    if missing:
        reason = f"the model cannot give {', '.join(missing)}"
        yield Skipped(subject=name, reason=reason, kind="power", provenance=provenance), ()
        return
    try:
        x, y = torch.from_numpy(np.array(train.x)), torch.from_numpy(np.array(train.y))
        found = detector.suspect(x, y, target, torch.Generator().manual_seed(seed))
    except (MeasurementError, MissingPower, DataError) as error:
        yield Skipped(subject=name, reason=error.what, kind="error", fix=error.fix, provenance=provenance), ()
        return
    if found.aim is not None:
        source = project.data.source if project.data else ""
        rows = found.flagged.nonzero().squeeze(1).tolist()
        yield _finding(name, found, rows, source, detector, provenance), rows


def _finding(
    name: str, found: Suspicion, rows: Sequence[int], source: str, detector: PoisonDetector, provenance: Provenance
) -> Finding:
    order = sorted(rows, key=lambda row: -float(found.scores[row]))[:_SHOWN]
    sure = found.alarm >= 2 and not detector.card.needs
    return Finding(
        rule="data.planted_rows",
        severity="high",
        confidence="high" if sure else "medium",
        location=Location(path=source),
        message=f"{len(rows)} training rows of class {found.aim} look planted ({name}): {found.note}",
        fix=PlantedRows.fix,
        provenance=provenance,
        trace=(
            f"alarm {found.alarm:.1f} times the detector's threshold",
            "most suspicious rows: " + ", ".join(map(str, order)),
        ),
        references=detector.card.threats,
    )


def _unseen(names: Sequence[str], stamp: Stamp) -> Skipped:
    """Say which poison none of these detectors would have seen."""
    blind: list[frozenset[str]] = []
    for name in names:
        detector = build("defenses", name)
        blind.append(frozenset(getattr(detector, "blind", ())))
    common = sorted(frozenset.intersection(*blind)) if blind else []
    each = sorted({word for words in blind for word in words} - set(common))
    words = "; ".join(common) or "no family is unseen by all of them"
    reason = f"poison that no detector of this run can see: {words}. Some cannot see: {'; '.join(each)}"
    return Skipped(subject="planted rows", reason=reason, provenance=stamp.of("defenses.poison"))
