"""Reports of past runs: kept in the store beside the evidence, put together again from it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from hauberk.api.evidence import opened
from hauberk.api.reporting import load
from hauberk.api.running import pieces
from hauberk.core.encoding import canonical, decode
from hauberk.core.errors import UsageError
from hauberk.core.evidence import Entry, Evidence
from hauberk.core.report import Report

ENVELOPE = "report"
"""The step of the checkpoint that keeps a report without its evidence, which the store has already."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A report without its evidence, and the pieces of work whose evidence belongs to it, in order."""

    report: Report
    steps: tuple[str, ...]


def envelope(source: Report, steps: Sequence[str]) -> str:
    """Encode a report as the store keeps it."""
    return canonical(Envelope(report=msgspec.structs.replace(source, evidence=()), steps=tuple(steps))).decode()


def restored(entries: Iterable[Entry]) -> Report:
    """Put a past report together from a run's entries; raises UsageError for a run that never got so far."""
    kept: dict[str, tuple[Evidence, ...]] = {}
    last = ""
    for piece in pieces(entries):
        if piece.step == ENVELOPE:
            last = piece.state
        elif piece.part < 0:
            kept[piece.step] = piece.evidence
    if not last:
        raise UsageError("this run was broken off before its report", fix="run `hauberk check --resume`")
    cover = decode(last, Envelope)
    evidence = tuple(item for step in cover.steps for item in kept.get(step, ()))
    return msgspec.structs.replace(cover.report, evidence=evidence)


def past(name: str, project: str | os.PathLike[str], store: str | None = None) -> Report:
    """Find a past report: a report.json by its path, a run by its name, or the last one for an empty name."""
    if name.endswith(".json") or os.sep in name:
        return load(Path(name))
    with opened(Path(project), store) as kept:
        return restored(kept.entries(kept.find(name or "latest").run))
