"""The verb `data fresh`: rows that came between two seals, weighed against the rows that were sealed before."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch

from hauberk.api.assembling import Frame, assemble
from hauberk.api.seal_differences import SealDifference, diff
from hauberk.core.errors import DataError, UsageError
from hauberk.core.evidence import Evidence, Finding, Location, Measurement, Skipped
from hauberk.core.project import DataSection, Project
from hauberk.core.provenance import Clock, Stamp, utc_now
from hauberk.core.report import Report
from hauberk.datasets import csv_file, parquet
from hauberk.datasets.table import from_frames
from hauberk.defenses.suspecting import scaled
from hauberk.numeric.fresh_influence import weighed
from hauberk.numeric.intervals import clopper_pearson
from hauberk.scanning.rules.data.fresh_rows import FreshRows

RECIPE = "data.fresh"
_FAR = 0.99
"""A row pulls far where it pulls more than this share of the trusted rows do."""
_SURE = 0.001
"""Chance below which so many such rows are no accident."""
_LEAST, _SHOWN = 50, 20


class _Sign(NamedTuple):
    """How many of the new rows show a sign, and how often trusted rows do. scores: (m,), of each new row."""

    name: str
    words: str
    hits: int
    usual: float
    scores: torch.Tensor


def fresh(
    old: str | os.PathLike[str],
    new: str | os.PathLike[str],
    *,
    label: str,
    neighbours: int = 10,
    clock: Clock = utc_now,
) -> Report:
    """Weigh the rows of sealed tables in `new` that `old` did not cover against the rows both cover.

    old, new: sealed folders or files, or for `old` the seal itself. label: the tables' label column. Signatures are not
    looked at: verify first. Raises UsageError where a seal cannot be read, or `new` is not the data itself.

    Example:
        >>> hauberk.api.fresh_rows.fresh("data-v1", "data-v2", label="y").findings  # doctest: +SKIP
    """
    place = Path(new)
    if place.suffix == ".sig" or not place.exists():
        raise UsageError("the new rows themselves are needed", where=str(place), fix="name the sealed folder or file")
    found = diff(old, new)
    root = place if place.is_dir() else place.parent
    asked = [os.fspath(old), os.fspath(new), "--label", label, "--neighbours", str(neighbours)]
    command = shlex.join(["hauberk", "data", "fresh", *asked])
    frame = Frame.open(Project(name=root.resolve().name), root, command, clock=clock)
    stamp = Stamp(clock=clock)
    evidence: list[Evidence] = list(_not_looked_at(found, stamp))
    for name, rows in found.fresh.items():
        try:
            evidence += _table(root / name, name, rows, label, neighbours, stamp)
        except DataError as error:
            evidence.append(_skipped(name, str(error).splitlines()[0], stamp))
    return assemble(frame, evidence, clock=clock)


def _not_looked_at(found: SealDifference, stamp: Stamp) -> Iterator[Skipped]:
    """Name what has no rows to weigh."""
    exact = {table.path for table in found.tables if table.exact}
    for name in found.added:
        yield _skipped(name, "is new as a whole: there are no trusted rows in it; audit it", stamp)
    for name in found.changed:
        if name not in exact:
            yield _skipped(name, "its rows cannot be told apart: one of the seals keeps no digests of rows", stamp)


def _skipped(name: str, reason: str, stamp: Stamp) -> Skipped:
    return Skipped(subject=name, reason=reason, kind="scope", provenance=stamp.of(RECIPE))


def _table(
    path: Path, name: str, rows: tuple[int, ...], label: str, neighbours: int, stamp: Stamp
) -> Iterator[Evidence]:
    """Weigh the new rows of one table; raises DataError."""
    frame = _read(path)
    is_new = np.isin(np.arange(len(frame)), rows)
    if int((~is_new).sum()) < _LEAST:
        raise DataError(f"{int((~is_new).sum())} trusted rows are too few to weigh new ones; {_LEAST} are needed")
    section = DataSection(source=name, label=label)
    data = from_frames(section, name, None, frame.filter(pl.Series(is_new)), frame.filter(pl.Series(~is_new)))
    x, y = (torch.from_numpy(np.array(part)) for part in data.train)
    come, labels = (torch.from_numpy(np.array(part)) for part in data.test)
    both = scaled(torch.cat((x, come)))
    classes = len(data.spec.classes)
    found = weighed(both[: len(x)], y, both[len(x) :], labels, classes, min(neighbours, len(x) - 1))
    bar = found.trusted_pull.quantile(_FAR)
    signs = (
        _Sign(
            "fresh_rows_pull",
            f"pull a fit of the trusted rows further than {_FAR:.0%} of those do",
            int((found.pull > bar).sum()),
            float((found.trusted_pull > bar).double().mean()),
            found.pull,
        ),
        _Sign(
            "fresh_rows_against",
            "have a label that most of their trusted neighbours deny",
            int((found.against > 0.5).sum()),
            float((found.trusted_against > 0.5).double().mean()),
            found.against,
        ),
    )
    for sign in signs:
        yield from _said(sign, name, np.flatnonzero(is_new), len(x), stamp)


def _read(path: Path) -> pl.DataFrame:
    """Read a table whose rows are those that the seal counted; raises DataError."""
    kind = path.suffix.lower()
    if kind == ".parquet":
        return parquet.frame(path)
    if kind not in (".csv", ".tsv"):
        raise DataError(f"rows of {kind} files are not weighed; CSV, TSV and Parquet are")
    table = csv_file.frame(path)
    with path.open("rb") as file:
        lines = sum(1 for line in file if line.strip()) - 1
    if lines != len(table):
        raise DataError(f"{lines} lines after the header hold {len(table)} rows: a seal's rows are lines")
    return table


def _said(sign: _Sign, name: str, rows: np.ndarray, trusted: int, stamp: Stamp) -> Iterator[Evidence]:
    """Measure one sign, and make it a finding where chance does not explain it."""
    n = len(rows)
    share = clopper_pearson(sign.hits, n)
    usual = clopper_pearson(round(sign.usual * trusted), trusted)
    provenance = stamp.of(RECIPE)
    yield Measurement(
        name=sign.name,
        subject=name,
        value=share.value,
        low=share.low,
        high=share.high,
        level=0.95,
        method="clopper-pearson",
        n=n,
        unit="share",
        better="lower",
        role="headline",
        note=f"of {n} new rows; of {trusted} trusted ones {usual.value:.3f}",
        provenance=provenance,
    )
    # The trusted rows' share is itself known from a sample: held against its upper end.
    if clopper_pearson(sign.hits, n, 1 - 2 * _SURE).low <= usual.high:
        return
    order = sign.scores.argsort(descending=True)[: min(_SHOWN, sign.hits)].tolist()
    yield Finding(
        rule="data.fresh_rows",
        severity="high",
        confidence="medium",
        location=Location(path=name),
        message=f"{sign.hits} of {n} new rows ({share.value:.0%}) {sign.words}; of the trusted ones {usual.value:.1%}",
        fix=FreshRows.fix,
        provenance=provenance,
        trace=("the farthest first: rows " + ", ".join(str(int(rows[place])) for place in order),),
        references=FreshRows.card.threats,
    )
