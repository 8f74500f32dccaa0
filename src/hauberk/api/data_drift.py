"""Say how two versions of a data set differ, and nothing else."""

from __future__ import annotations

from pathlib import Path

from hauberk.api.assembling import Frame, assemble
from hauberk.core.errors import MissingExtra
from hauberk.core.evidence import Evidence, Finding, Measurement
from hauberk.core.progress import Silent
from hauberk.core.project import Project
from hauberk.core.protocols import Progress
from hauberk.core.provenance import Clock, Stamp, utc_now
from hauberk.core.report import Report

_SILENT = Silent()
RECIPE = "scanning.data.drift"


def drift(
    earlier: str,
    now: str,
    *,
    folder: str = ".",
    label: str = "",
    seed: int = 0,
    progress: Progress = _SILENT,
    clock: Clock = utc_now,
) -> Report:
    """Compare two data sets column by column and as a whole; raises UsageError.

    Findings are columns that differ certainly and much; every column's population stability index is a measurement.

    Example:
        >>> hauberk.api.data_drift.drift("january.csv", "february.csv").findings  # doctest: +SKIP
    """
    try:
        from hauberk.datasets.streaming import open_stream
        from hauberk.scanning.tables.comparing_sets import against_earlier
        from hauberk.scanning.tables.engine import Plan, examine
        from hauberk.scanning.tables.facts import TableFacts
        from hauberk.scanning.tables.judging import judged
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), "data") from error
    frame = Frame.open(Project(name=Path(now).name), Path(folder), f"hauberk data drift {earlier} {now}", clock=clock)
    stamp = Stamp(clock=clock, seed=seed)
    plan = Plan(label=label, seed=seed, texts=False, compare=False)
    before = examine(open_stream(Path(folder), earlier, key="EARLIER"), plan, progress=progress)
    after = examine(open_stream(Path(folder), now, key="NOW"), plan, progress=progress)
    found = against_earlier(after, before, seed)
    kept = ("data.drift", "data.unreadable", "data.empty")
    evidence: list[Evidence] = [
        entry for entry in judged(found, stamp) if not isinstance(entry, Finding) or entry.rule in kept
    ]
    facts: TableFacts = found.facts
    evidence += [
        Measurement(
            name="data_drift_area" if shift.test == "classifier" else "data_drift_psi",
            subject=f"{now} {shift.column}".strip(),
            value=shift.statistic if shift.test == "classifier" else shift.psi,
            low=shift.statistic if shift.test == "classifier" else shift.psi,
            high=shift.statistic if shift.test == "classifier" else shift.psi,
            level=1.0,
            method="none",
            n=shift.before + shift.now,
            unit="area" if shift.test == "classifier" else "index",
            better="lower",
            role="diagnostic",
            note=f"{shift.test} {shift.statistic:.3f}, p = {shift.p:.2g}, q = {shift.q:.2g}, JS {shift.js:.3f}, "
            f"Wasserstein {shift.wasserstein:.3f}",
            provenance=stamp.of(RECIPE),
        )
        for shift in facts.shifts
    ]
    return assemble(frame, evidence, clock=clock)
