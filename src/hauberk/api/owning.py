"""Ownership: does a suspect model answer the marks that follow from the owner's secret?"""

from __future__ import annotations

from pathlib import Path

import msgspec

from hauberk.core.errors import DataError
from hauberk.core.project import FILE_NAME, ModelSection, read
from hauberk.defenses.secret_marks import p_value
from hauberk.targets.opening import open_target

PROVEN = 1e-4
"""A chance no larger proves ownership; it leaves room for a hundred suspects at 1 % in all."""
SECRET_BYTES = 4096


class Ownership(msgspec.Struct, frozen=True, kw_only=True):
    """What a suspect answered. p: the chance that a model independent of the secret matches so many marks or more."""

    suspect: str
    matches: int
    marks: int
    classes: int
    p: float

    @property
    def proven(self) -> bool:
        """Whether chance explains it badly enough."""
        return self.p <= PROVEN

    def line(self) -> str:
        """Say it in one line."""
        word = "carries the mark" if self.proven else "NOT shown to carry the mark"
        return f"{self.suspect}: {self.matches} of {self.marks} marks answered, p = {self.p:.3g}: {word}"


def ownership(suspect: str | Path, secret: str | Path, *, count: int = 50, project: str | Path = ".") -> Ownership:
    """Open the suspect as the project's [model] is opened, ask it about `count` marks of the secret in a file.

    A suspect is never trusted to run code on load, whatever [model] says of the project's own model.
    Without a project file the suspect must say its own shape and classes, as ONNX does. Raises DataError for a secret
    that cannot be read, UsageError for a short one, and what opening a target raises.
    """
    try:
        with Path(secret).open(encoding="utf-8") as file:
            text = file.read(SECRET_BYTES).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("the secret cannot be read", where=str(secret), fix="give the text file it is in") from error
    folder = Path(project) if Path(project).is_dir() else Path(project).parent
    own = read(folder).model if (folder / FILE_NAME).exists() else None
    source = str(Path(suspect).resolve())
    section = msgspec.structs.replace(own, source=source, kind="", trust=False) if own else ModelSection(source=source)
    target = open_target(section, folder)
    matches, p = p_value(target, text, count)
    return Ownership(suspect=str(suspect), matches=matches, marks=count, classes=target.spec.classes, p=p)
