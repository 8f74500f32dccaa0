"""The Python files beside a model's settings that the settings have its loader import: what these do, briefly."""

from __future__ import annotations

import ast
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from hauberk.core.errors import LimitExceeded
from hauberk.scanning.artifact import Artifact, Reference
from hauberk.scanning.model_code import GRADES
from hauberk.scanning.neighbours import BRINGING
from hauberk.scanning.python_program import read

ACTS = "acting-code"
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_MOST_FILES, _MOST_BYTES = 20, 1 << 20


def acting(artifact: Artifact, folder: Path) -> Iterator[Reference]:
    """Yield what the named files do besides computing: one fact for each kind of deed and file."""
    looked: set[Path] = set()
    for fact in artifact.references:
        target = fact.value.partition(": ")[2]
        if fact.kind not in BRINGING or _MODULE.fullmatch(target) is None:
            continue
        for file in _files(folder, target):
            if file not in looked and len(looked) < _MOST_FILES:
                looked.add(file)
                for deed in _deeds(file):
                    name = file.relative_to(folder).as_posix()
                    yield Reference(kind=ACTS, value=f"{name} {deed}", place=fact.place)


def _files(folder: Path, dotted: str) -> Iterator[Path]:
    """Yield where a module of that name, or of the class's module, would lie."""
    parts = dotted.split(".")
    for stop in range(len(parts), 0, -1):
        yield folder.joinpath(*parts[: stop - 1], f"{parts[stop - 1]}.py")


def _deeds(file: Path) -> Iterator[str]:
    try:
        state = file.lstat()
        if not stat.S_ISREG(state.st_mode) or state.st_size > _MOST_BYTES:
            return
        program = read([ast.parse(file.read_bytes())])[0]
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError, LimitExceeded):
        return  # the file is read, and what is wrong with it said, as any file of the folder
    told: set[str] = set()
    for site in program.calls:
        for grade in GRADES:
            grave = not site.function or grade.inside != "low"
            if grave and grade.words not in told and grade.calls.fullmatch(site.path):
                told.add(grade.words)
                yield f"{grade.words} by {site.path}"
