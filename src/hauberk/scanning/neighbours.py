"""The files beside a model that it names: links and ends of external data; what code does that settings bring along.

What a path says is judged by rules from the model's own bytes; this looks at the disk, so its answer belongs to no
cache of results by content. Data is not opened, code is parsed and never run.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hauberk.scanning.artifact import Artifact, Reference

_KIND = "external-data"
_SPAN = "external-span"
_LOOKED_AT = 1_000
BRINGING = frozenset({"remote-code", "named-import"})
"""Facts of settings that name a Python file to import, which may lie beside them."""


def with_neighbours(artifact: Artifact, file: str | Path) -> Artifact:
    """Add what the disk says of the files an artifact refers to; `file` is the model's own path."""
    folder = Path(file).parent
    found = (*_odd(artifact, folder), *(acting(artifact, folder) if _brings(artifact) else ()))
    return msgspec.structs.replace(artifact, references=(*artifact.references, *found)) if found else artifact


def depends_on_neighbours(artifact: Artifact) -> bool:
    """Say whether the answer may change while the file itself does not."""
    return any(fact.kind == _KIND or fact.kind in BRINGING for part in artifact.walk() for fact in part.references)


def _brings(artifact: Artifact) -> bool:
    return any(fact.kind in BRINGING for fact in artifact.references)


def acting(artifact: Artifact, folder: Path) -> Iterator[Reference]:
    """Say what the code does that settings bring along; its reader is loaded for those that bring some."""
    from hauberk.scanning.brought_files import acting as deeds

    return deeds(artifact, folder)


def _odd(artifact: Artifact, folder: Path) -> Iterator[Reference]:
    ends = _ends(artifact)
    looked: set[str] = set()
    for fact in artifact.references:
        if fact.kind != _KIND or fact.value in looked or len(looked) >= _LOOKED_AT:
            continue
        looked.add(fact.value)
        why = _why(folder, fact.value, ends.get(fact.value, 0))
        if why:
            yield Reference(kind="external-link", value=f"{fact.value}: {why}", place=fact.place)


def _ends(artifact: Artifact) -> dict[str, int]:
    """Return how far into each file the model reads."""
    ends: dict[str, int] = {}
    for fact in artifact.references:
        if fact.kind == _SPAN:
            end, _, location = fact.value.partition(" ")
            ends[location] = max(ends.get(location, 0), int(end))
    return ends


def _why(folder: Path, location: str, end: int) -> str:
    parts = location.split("/")
    if os.path.isabs(location) or ".." in parts or "\x00" in location:  # noqa: PTH117 - judged by the rule
        return ""
    try:
        for depth in range(1, len(parts) + 1):
            if folder.joinpath(*parts[:depth]).is_symlink():
                return "is reached through a symbolic link"
        state = folder.joinpath(*parts).lstat()
    except (OSError, ValueError):
        return ""
    if not stat.S_ISREG(state.st_mode):
        return "is no regular file"
    if state.st_nlink > 1:
        return f"has {state.st_nlink} names on this disk: it may be another file's content"
    return f"has {state.st_size} bytes, the model reads up to {end}" if end > state.st_size else ""
