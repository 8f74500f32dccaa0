"""The verb `data influence`: how many training rows hold decisions of a project's model, and which."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from hauberk.api.assembling import Frame, assemble
from hauberk.api.harden_checkpoints import write_whole
from hauberk.api.subject import open_subject
from hauberk.attacks.examining_turns import Turned, find_turns
from hauberk.core.progress import Silent
from hauberk.core.project import read
from hauberk.core.protocols import Progress
from hauberk.core.provenance import Clock, Stamp, utc_now
from hauberk.core.report import Report

_SILENT = Silent()


class Influence(NamedTuple):
    """The report, and for each test row looked at the training rows that hold its decision."""

    report: Report
    turned: tuple[Turned, ...]


def influence(
    folder: str | os.PathLike[str] = ".",
    *,
    inputs: int = 50,
    checked: int = 10,
    neighbours: int = 5,
    rows: Path | None = None,
    seed: int | None = None,
    progress: Progress = _SILENT,
    clock: Clock = utc_now,
) -> Influence:
    """Count and name the training rows that turn decisions of a project's model on its test rows.

    inputs: test rows looked at. checked: of these, how many the model is trained anew for, without the rows.
    neighbours: how many vote. rows: a JSON Lines file to write the rows to; evidence names rows, never their values.
    Raises UsageError for faults the caller can mend.

    Example:
        >>> hauberk.api.influence.influence("examples/digits").turned  # doctest: +SKIP
    """
    root = Path(folder)
    project = read(root)
    number = project.run.seed if seed is None else seed
    subject = open_subject(project, root)
    stamp = Stamp(clock=clock, seed=number, digests=subject.digests)
    # What the policy asks of measurements under threats is not asked here.
    project = msgspec.structs.replace(project, policy=msgspec.structs.replace(project.policy, require=()))
    frame = Frame.open(project, root, f"hauberk data influence {root.as_posix()}", clock=clock)
    found = find_turns(
        subject.target,
        subject.dataset,
        stamp=stamp,
        seed=number,
        inputs=inputs,
        checked=checked,
        neighbours=neighbours,
        progress=progress,
    )
    if rows is not None:
        write_whole(rows, "".join(f"{_line(row)}\n" for row in found.turned).encode())
    return Influence(assemble(frame, list(found.entries), clock=clock), found.turned)


def _line(row: Turned) -> str:
    turned = {"turns to": row.rival, "needed": row.needed, "rows": list(row.rows)} if row.rows else {"rows": []}
    asked = {"retrained": row.retrained} if row.asked else {}
    return json.dumps({"input": row.input, "decided": row.decided, **turned, **asked})
