"""General Python security rules, from ruff's own copy of bandit's: an optional engine, run beside ours.

It is found only beside the running interpreter (extra `[code]`), reads no configuration, keeps no cache, and runs
nothing of the project.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias

import msgspec

from hauberk.core.evidence import Finding, Location, Severity, Skipped
from hauberk.core.plugins import catalog, listing, load
from hauberk.core.provenance import Stamp
from hauberk.scanning.printable import plain
from hauberk.scanning.tree import Listed

RECIPE = "scanning.general"
SECONDS = 120.0
_BATCH = 64 << 10
"""Bytes of file names of one run: the system's own limit is several times as much."""
_OUTPUT = 64 << 20
_MEDIUM = frozenset(
    ["S501", "S502", "S503", "S505", "S507", "S508", "S509", "S612", "S701", "S702", "S604", "S602", "S605"]
)
_DROPPED = frozenset(["S101", "S311", "S403", "S404", "S405", "S406", "S407", "S408", "S409", "S410", "S411", "S412",
                      "S413", "S415", "S110", "S112", "S603", "S607", "S310", "S113", "S104", "S108"])  # fmt: skip
"""Rules that fire on most sound programs (asserts, imports, any subprocess), and those that ours say better."""

Entry: TypeAlias = Finding | Skipped


class _Place(msgspec.Struct):
    row: int
    column: int


class _Row(msgspec.Struct):
    code: str | None
    message: str
    filename: str
    location: _Place
    end_location: _Place
    cell: int | None = None
    url: str | None = None


def general_findings(
    root: Path,
    files: Sequence[Listed],
    stamp: Stamp,
    *,
    said: Iterable[tuple[str, str, int]] = (),
    noqa: bool = True,
    engine: Path | None = None,
) -> Iterator[Entry]:
    """Yield what the engine finds in the project's Python files and notebooks; one Skipped where it is not there.

    said: (path, part, line) where our own rules have spoken already. noqa: whether the project's own `# noqa` counts.
    engine: the program to run, instead of the one beside the interpreter.
    """
    wanted = [listed for listed in files if listed.path.endswith((".py", ".pyw", ".ipynb"))]
    if not wanted:
        return
    program = engine or _beside_interpreter()
    if program is None:
        reason = "general Python rules were not run: their engine is not installed"
        yield _skip(root, reason, 'pip install "hauberk[code]"', stamp)
        return
    known = {os.path.realpath(listed.file): listed.path for listed in wanted}
    spoken = set(said)
    for batch in _batches(list(known)):
        rows = _run(program, batch, noqa)
        if isinstance(rows, str):
            yield _skip(root, f"general Python rules were not run on {len(batch)} files: {rows}", "", stamp)
            continue
        for row in rows:
            finding = _finding(row, known, stamp)
            if finding is not None and _key(finding) not in spoken:
                yield finding


def _key(finding: Finding) -> tuple[str, str, int]:
    return (finding.location.path, finding.location.part, finding.location.line or 0)


def _beside_interpreter() -> Path | None:
    folder = Path(sys.executable).parent
    return next((path for name in ("ruff", "ruff.exe") if (path := folder / name).is_file()), None)


def _batches(names: list[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for name in names:
        size += len(os.fsencode(name)) + 1
        if batch and size > _BATCH:
            yield batch
            batch, size = [], len(os.fsencode(name)) + 1
        batch.append(name)
    if batch:
        yield batch


def _run(program: Path, names: list[str], noqa: bool) -> list[_Row] | str:
    """Run the engine on absolute names, which no option can be; return what it found, or why it could not."""
    options = [
        "check",
        "--isolated",
        "--no-cache",
        "--select",
        "S",
        "--output-format",
        "json",
        "--exit-zero",
        "--quiet",
    ]
    options += ["--no-respect-gitignore", "--target-version", "py311", *(() if noqa else ("--ignore-noqa",))]
    environment = {"PATH": "", "HOME": os.devnull, "NO_COLOR": "1"}
    if "SYSTEMROOT" in os.environ:
        environment["SYSTEMROOT"] = os.environ["SYSTEMROOT"]
    try:
        done = subprocess.run(  # noqa: S603 - the program beside the interpreter, absolute names after "--"
            [os.fspath(program), *options, "--", *names],
            capture_output=True,
            timeout=SECONDS,
            check=False,
            env=environment,
            cwd=program.parent,
        )
    except subprocess.TimeoutExpired:
        return f"not done within {SECONDS:.0f} seconds"
    except OSError as error:
        return f"cannot be started: {error.strerror or error}"
    if len(done.stdout) > _OUTPUT:
        return f"more than {_OUTPUT >> 20} MiB of answers"
    try:
        return msgspec.json.decode(done.stdout or b"[]", type=list[_Row])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"its answer is not readable (exit status {done.returncode})"


def _finding(row: _Row, known: dict[str, str], stamp: Stamp) -> Finding | None:
    path = known.get(os.path.realpath(row.filename))
    if path is None or row.code is None or not row.code.startswith("S") or row.code in _DROPPED:
        return None
    severity: Severity = "medium" if row.code in _MEDIUM else "low"
    rule = f"general.{_group(row.code)}"
    return Finding(
        rule=rule,
        severity=severity,
        confidence="low",
        location=Location(
            path=path,
            part=f"cell {row.cell}" if row.cell is not None else "",
            line=row.location.row,
            column=row.location.column,
            end_line=row.end_location.row,
        ),
        message=f"{plain(row.message)} ({row.code})",
        fix=f"see {row.url}" if row.url else "",
        provenance=stamp.of(rule),
        references=listing("rules", rule).card.threats,
    )


@cache
def _group(code: str) -> str:
    """Name the rule that a code of the engine belongs to."""
    for entry in catalog("rules"):
        if entry.name.startswith("general.") and code in load("rules", entry.name).codes:  # type: ignore[attr-defined]
            return entry.name.removeprefix("general.")
    return "habits"


def _skip(root: Path, reason: str, fix: str, stamp: Stamp) -> Skipped:
    return Skipped(
        subject=root.name or str(root), reason=plain(reason), kind="scope", fix=fix, provenance=stamp.of(RECIPE)
    )
