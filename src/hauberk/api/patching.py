"""The verb `patch`: the smallest safe upgrades as a difference, tried on a copy, written only when asked."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hauberk.api.dependency_files import DependencyFile, dependency_files
from hauberk.api.trying import Trial, try_out
from hauberk.api.upgrades import Change, Left, Plan, plan
from hauberk.core.errors import StoreError
from hauberk.core.progress import Silent
from hauberk.core.protocols import Progress
from hauberk.scanning.known_vulnerable import snapshot
from hauberk.scanning.release_index import ReleaseIndex, release_index, unpack

_SILENT = Silent()


class Patch(NamedTuple):
    """What was proposed. difference: a unified diff. dates: of the advisories. trial: how the tests went, if they ran.

    dropped: changes given up because the tests failed with them. applied: whether the files were written.
    """

    difference: str
    changes: tuple[Change, ...]
    left: tuple[Left, ...]
    dates: str
    trial: Trial | None = None
    dropped: tuple[Change, ...] = ()
    applied: bool = False

    @property
    def exit_status(self) -> int:
        """0: nothing vulnerable is left; 1: something is, or waits to be applied; 3: the tests could not be run."""
        if self.trial is not None and self.trial.status == "not run":
            return 3
        waiting = bool(self.changes) and not self.applied
        return int(bool(self.left or self.dropped or waiting))


def patch(
    path: str | os.PathLike[str] = ".",
    *,
    apply: bool = False,
    test: str = "",
    index_file: str | os.PathLike[str] | None = None,
    progress: Progress = _SILENT,
) -> Patch:
    """Propose the lowest release without a known weakness for every vulnerable pin under `path`.

    test: a command that must pass on a copy of the project with the upgrades installed in an environment of its own;
    upgrades that make it fail are given up one by one. The project itself is written only with `apply`, and only after
    that. Only `test` uses a network, through pip.
    """
    root = Path(path)
    base = root if root.is_dir() else root.parent
    index = unpack(Path(index_file)) if index_file is not None else release_index()
    files = tuple(dependency_files(root))
    known = snapshot()
    found = plan(files, known, index)
    result = Patch(_difference(files, found), found.changes, found.left, known.dates)
    if test and found.changes:
        result, found = _tried(base, files, found, test, index, progress)
    if apply and found.texts:
        _write(files, found)
        result = result._replace(applied=True)
    return result


def dependencies(path: str | os.PathLike[str] = ".") -> tuple[str, ...]:
    """Name everything the project depends on."""
    rows = (item.name for file in dependency_files(Path(path)) for item in file.artifact.requirements)
    return tuple(sorted({name for name in rows if name and ":" not in name}))


def _tried(
    base: Path, files: Sequence[DependencyFile], found: Plan, test: str, index: ReleaseIndex, progress: Progress
) -> tuple[Patch, Plan]:
    """Run the tests with all upgrades; if they fail, with each one added to those that passed."""
    known = snapshot()
    trial = try_out(base, _bytes(found), test, progress)
    dropped: list[Change] = []
    if trial.status == "failed" and len(found.changes) > 1:
        every = [f"{change.path}:{change.line}" for change in found.changes]
        kept: list[str] = []
        best: Plan = plan(files, known, index, every)
        for change, place in zip(found.changes, every, strict=True):
            more = plan(files, known, index, [other for other in every if other not in (*kept, place)])
            one = try_out(base, _bytes(more), test, progress)
            if one.status == "passed":
                kept.append(place)
                best, trial = more, one
            else:
                dropped.append(change)
        found = best
    elif trial.status != "passed":
        dropped = list(found.changes)
        found = Plan({}, (), found.left)
    patched = Patch(_difference(files, found), found.changes, found.left, known.dates, trial, tuple(dropped))
    return patched, found


def _bytes(found: Plan) -> dict[str, bytes]:
    return {path: text.encode("utf-8", errors="surrogateescape") for path, text in found.texts.items()}


def _difference(files: Sequence[DependencyFile], found: Plan) -> str:
    rows: list[str] = []
    for file in files:
        new = found.texts.get(file.path)
        if new is not None:
            old, fresh = file.text.splitlines(keepends=True), new.splitlines(keepends=True)
            for line in difflib.unified_diff(old, fresh, f"a/{file.path}", f"b/{file.path}"):
                rows.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    return "".join(rows)


def _write(files: Sequence[DependencyFile], found: Plan) -> None:
    """Replace every file in one step each; if one cannot be, those already replaced are put back."""
    done: list[DependencyFile] = []
    try:
        for file in files:
            text = found.texts.get(file.path)
            if text is not None:
                _replace(file.file, text, file.text)
                done.append(file)
    except BaseException as error:
        for file in done:
            _replace(file.file, file.text, found.texts[file.path])
        if isinstance(error, OSError):
            raise StoreError(f"cannot be written: {error.strerror}; nothing was changed", where=file.path) from error
        raise


def _replace(file: Path, text: str, expected: str) -> None:
    """Write beside the file and move it over, unless somebody changed it meanwhile."""
    if file.read_bytes() != expected.encode("utf-8", errors="surrogateescape"):
        raise OSError(0, "it changed while the upgrades were tried")
    beside = file.with_name(f".{file.name}.hauberk-new")
    try:
        beside.write_bytes(text.encode("utf-8", errors="surrogateescape"))
        beside.chmod(file.stat().st_mode & 0o7777)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
