"""Which files of a project are looked at, in a fixed order, and which are not and why."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from fnmatch import translate
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from hauberk.scanning.printable import plain

if TYPE_CHECKING:
    from hauberk.scanning.python_values import Known

SKIPPED_FOLDERS = frozenset(
    {
        ".git", ".hg", ".svn", ".venv", "venv", ".tox", ".nox", "node_modules", "__pycache__", ".mypy_cache",
        ".ruff_cache", ".pytest_cache", ".hypothesis", ".import_linter_cache",
    }
)  # fmt: skip
"""Folders that hold history, installed packages or caches: not looked at, and the report says so."""

OWN_FOLDERS = frozenset({".hauberk", "hauberk-report"})
"""What hauberk itself wrote: not part of the project."""


class Listed(NamedTuple):
    """A file to look at. path: relative to the root, POSIX. known: what the project's other modules say of it."""

    file: str | Path
    path: str
    known: Known | None = None


class Omitted(NamedTuple):
    """What is not looked at, and why."""

    subject: str
    reason: str
    kind: Literal["scope", "error"] = "scope"


class Tree(NamedTuple):
    """Everything under a root, decided."""

    files: tuple[Listed, ...]
    omitted: tuple[Omitted, ...]


def survey(root: Path, include: tuple[str, ...], exclude: tuple[str, ...]) -> Tree:
    """List what to look at under `root` (a folder, or one file), sorted by path; opens nothing.

    include: paths or patterns relative to the root. exclude: patterns matched against the path and each of its parents.
    """
    base = root if root.is_dir() else root.parent
    finder = _Finder(base, exclude)
    starts = [os.fspath(root)] if base != root else []
    for pattern in include if base == root else ():
        starts.extend(finder.starts(pattern))
    for start in starts:
        finder.visit(start)
    return finder.tree()


class _Finder:
    """A walk that keeps texts, not path objects: a million files are a folder like any other."""

    def __init__(self, base: Path, exclude: tuple[str, ...]) -> None:
        self._base = os.fspath(base)
        self._real = os.path.realpath(base)
        self._exclude = tuple((pattern, _excluding(pattern)) for pattern in exclude)
        self._files: dict[str, str] = {}
        self._omitted: dict[str, Omitted] = {}
        self._folders: Counter[str] = Counter()
        self._patterns: Counter[str] = Counter()

    def starts(self, pattern: str) -> list[str]:
        if pattern in (".", ""):
            return [self._base]
        direct = os.path.join(self._base, pattern)  # noqa: PTH118 - texts, see the class
        found = [direct] if os.path.lexists(direct) else self._glob(pattern)
        inside = [path for path in found if self._inside(path)]
        if not found:
            self._omit(pattern, "scan.include names nothing that is there", "error")
        elif len(inside) < len(found):
            self._omit(pattern, "scan.include leads out of the project")
        return sorted(inside)

    def _glob(self, pattern: str) -> list[str]:
        try:
            return [os.fspath(path) for path in Path(self._base).glob(pattern)]
        except (ValueError, NotImplementedError, OSError):
            return []

    def visit(self, start: str) -> None:
        """Take a file, or all files below a folder."""
        path = self._relative(start)
        if start != self._base and os.path.islink(start):  # noqa: PTH114
            self._take_link(start, path)
        elif not os.path.isdir(start):  # noqa: PTH112
            self._take(start, path, regular=os.path.isfile(start))  # noqa: PTH113
        else:
            self._descend(start, "" if start == self._base else path)

    def _descend(self, start: str, below: str) -> None:
        pending = [(start, below)]
        while pending:
            folder, path = pending.pop()
            try:
                with os.scandir(folder) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name, reverse=True)
            except OSError as error:
                self._omit(path or ".", f"cannot be listed: {error.strerror or error}", "error")
                continue
            for entry in entries:
                inner = f"{path}/{_printed(entry.name)}" if path else _printed(entry.name)
                if entry.is_symlink():
                    self._take_link(entry.path, inner)
                elif entry.is_dir(follow_symlinks=False):
                    if self._enter(entry.name, inner):
                        pending.append((entry.path, inner))
                else:
                    self._take(entry.path, inner, regular=entry.is_file(follow_symlinks=False))

    def _enter(self, name: str, path: str) -> bool:
        if name in OWN_FOLDERS:
            return False
        if name in SKIPPED_FOLDERS:
            self._folders[name] += 1
            return False
        return not self._excluded(path)

    def _take_link(self, place: str, path: str) -> None:
        """A link to a file inside the project counts as a file; a folder behind a link is not entered."""
        if self._excluded(path) or path.rsplit("/", 1)[-1] in OWN_FOLDERS:
            return
        try:
            mode = os.stat(place).st_mode  # noqa: PTH116
        except OSError as error:
            self._omit(path, f"cannot be looked up: {error.strerror or error}", "error")
            return
        if stat.S_ISDIR(mode):
            where = "inside" if self._inside(place) else "out of"
            self._omit(path, f"a link to a folder {where} the project is not followed")
        elif not self._inside(place):
            self._omit(path, "a link out of the project is not followed")
        else:
            self._take(place, path, regular=stat.S_ISREG(mode))

    def _take(self, place: str, path: str, *, regular: bool) -> None:
        if self._excluded(path):
            return
        if regular:
            while self._files.setdefault(path, place) != place:
                path += "~"  # two names that print alike are still two files
        elif os.path.lexists(place):
            self._omit(path, "not a regular file (pipe, socket or device): never opened")
        else:
            self._omit(path, "cannot be looked up: it is gone", "error")

    def _inside(self, path: str) -> bool:
        try:
            real = os.path.realpath(path, strict=False)
        except (OSError, ValueError):
            return False
        return real == self._real or real.startswith(self._real.rstrip("/") + "/")

    def _excluded(self, path: str) -> bool:
        for pattern, excludes in self._exclude:
            if excludes(path):
                self._patterns[pattern] += 1
                return True
        return False

    def _relative(self, place: str) -> str:
        inside = place.removeprefix(self._base.rstrip("/") + "/")
        return _printed(inside.replace(os.sep, "/"))

    def _omit(self, subject: str, reason: str, kind: Literal["scope", "error"] = "scope") -> None:
        self._omitted[subject] = Omitted(subject, reason, kind)

    def tree(self) -> Tree:
        omitted = [self._omitted[subject] for subject in sorted(self._omitted)]
        for name, count in sorted(self._folders.items()):
            omitted.append(Omitted(name, f"{count} folder(s) of that name are not looked at"))
        for pattern, count in sorted(self._patterns.items()):
            omitted.append(Omitted(pattern, f"scan.exclude leaves out {count} path(s)"))
        files = tuple(Listed(self._files[path], path) for path in sorted(self._files))
        return Tree(files, tuple(omitted))


def _excluding(pattern: str) -> Callable[[str], bool]:
    """Make a test of paths: whether the pattern fits one, a parent of it, or its last segment."""
    wanted = pattern.removeprefix("./").rstrip("/")
    fits = re.compile(translate(wanted)).match
    return lambda path: any(fits(part) for part in _lineage(path))


def _lineage(path: str) -> Iterator[str]:
    """Yield a path, its parents, and its last segment, for patterns of any of the three kinds."""
    yield path
    yield path.rsplit("/", 1)[-1]
    while "/" in path:
        path = path.rsplit("/", 1)[0]
        yield path


def _printed(name: str) -> str:
    """Write a name on one line."""
    return plain(name).replace("\n", "\\n")
