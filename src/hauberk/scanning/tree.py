"""Which files of a project are looked at, in a fixed order, and which are not and why."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, NamedTuple

from hauberk.scanning.printable import plain

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
    """A file to look at. path: relative to the root, POSIX."""

    file: str | Path
    path: str


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
    starts = [root] if base != root else []
    for pattern in include if base == root else ():
        starts.extend(finder.starts(pattern))
    for start in starts:
        finder.visit(start)
    return finder.tree()


class _Finder:
    def __init__(self, base: Path, exclude: tuple[str, ...]) -> None:
        self._base, self._exclude = base, exclude
        self._real = base.resolve()
        self._files: dict[str, Path] = {}
        self._omitted: dict[str, Omitted] = {}
        self._folders: Counter[str] = Counter()
        self._patterns: Counter[str] = Counter()

    def starts(self, pattern: str) -> list[Path]:
        if pattern in (".", ""):
            return [self._base]
        direct = self._base / pattern
        found = [direct] if os.path.lexists(direct) else self._glob(pattern)
        inside = [path for path in found if self._inside(path)]
        if not found:
            self._omit(pattern, "scan.include names nothing that is there", "error")
        elif len(inside) < len(found):
            self._omit(pattern, "scan.include leads out of the project")
        return sorted(inside)

    def _glob(self, pattern: str) -> list[Path]:
        try:
            return list(self._base.glob(pattern))
        except (ValueError, NotImplementedError, OSError):
            return []

    def visit(self, start: Path) -> None:
        if start.is_dir() and (start == self._base or not start.is_symlink()):
            for folder, folders, names in os.walk(start, onerror=self._unreadable):
                here = Path(folder)
                folders[:] = [name for name in sorted(folders) if self._enter(here / name)]
                for name in names:
                    self._take(here / name)
        else:
            self._take(start)

    def _unreadable(self, error: OSError) -> None:
        place = Path(str(error.filename or self._base))
        self._omit(self._relative(place), f"cannot be listed: {error.strerror or error}", "error")

    def _enter(self, folder: Path) -> bool:
        path = self._relative(folder)
        if folder.name in OWN_FOLDERS:
            return False
        if folder.name in SKIPPED_FOLDERS:
            self._folders[folder.name] += 1
            return False
        if self._excluded(path):
            return False
        if folder.is_symlink():
            place = "inside" if self._inside(folder) else "out of"
            self._omit(path, f"a link to a folder {place} the project is not followed")
            return False
        return True

    def _take(self, file: Path) -> None:
        path = self._relative(file)
        if self._excluded(path):
            return
        try:
            mode = file.lstat().st_mode
            if stat.S_ISLNK(mode):
                if not self._inside(file):
                    self._omit(path, "a link out of the project is not followed")
                    return
                mode = file.stat().st_mode
        except OSError as error:
            self._omit(path, f"cannot be looked up: {error.strerror or error}", "error")
            return
        if stat.S_ISREG(mode):
            self._files[path] = file
        else:
            self._omit(path, "not a regular file (pipe, socket or device): never opened")

    def _inside(self, path: Path) -> bool:
        try:
            return path.resolve().is_relative_to(self._real)
        except (OSError, RuntimeError):
            return False

    def _excluded(self, path: str) -> bool:
        for pattern in self._exclude:
            plain = pattern.removeprefix("./").rstrip("/")
            if any(fnmatchcase(part, plain) for part in _lineage(path)):
                self._patterns[pattern] += 1
                return True
        return False

    def _relative(self, path: Path) -> str:
        try:
            text = path.relative_to(self._base).as_posix()
        except ValueError:
            text = path.as_posix()
        return plain(text)

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


def _lineage(path: str) -> Iterator[str]:
    """Yield a path, its parents, and its last segment, for patterns of any of the three kinds."""
    yield path
    yield path.rsplit("/", 1)[-1]
    while "/" in path:
        path = path.rsplit("/", 1)[0]
        yield path
