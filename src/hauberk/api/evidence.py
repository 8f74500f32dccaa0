"""The verb `evidence`: open a project's store for reading, and the few things done to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hauberk.core.errors import UsageError
from hauberk.core.project import FILE_NAME, StoreSection, read
from hauberk.stores.evidence import EvidenceStore, open_store


@contextmanager
def opened(project: Path, url: str | None = None, *, read_only: bool = True) -> Iterator[EvidenceStore]:
    """Open the store a project names (or the one at `url`), for reading unless said otherwise; nothing is created."""
    if not project.is_dir():
        raise UsageError("no such folder", where=str(project))
    with open_store(url or _url(project), project, read_only=read_only) as store:
        yield store


def _url(project: Path) -> str:
    return read(project).store.url if (project / FILE_NAME).exists() else StoreSection().url
