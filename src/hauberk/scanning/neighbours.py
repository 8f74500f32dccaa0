"""The files beside a model that its external data names: links, hard links, and ends beyond which it reads.

What a path says is judged by rules from the model's own bytes; this looks at the disk, so its answer belongs to no
cache of results by content. Nothing is opened.
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


def with_neighbours(artifact: Artifact, file: str | Path) -> Artifact:
    """Add what the disk says of the files an artifact refers to; `file` is the model's own path."""
    found = tuple(_odd(artifact, Path(file).parent))
    return msgspec.structs.replace(artifact, references=(*artifact.references, *found)) if found else artifact


def depends_on_neighbours(artifact: Artifact) -> bool:
    """Say whether the answer may change while the file itself does not."""
    return any(fact.kind == _KIND for part in artifact.walk() for fact in part.references)


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
