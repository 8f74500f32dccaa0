"""The files of a project that declare dependencies, read as the scan reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hauberk.core.errors import LimitExceeded, UsageError
from hauberk.core.limits import DEFAULT_LIMITS, Limits
from hauberk.core.project import FILE_NAME, read
from hauberk.scanning.artifact import Artifact
from hauberk.scanning.blobs import FileBlob
from hauberk.scanning.kit import tools
from hauberk.scanning.tree import survey

FORMATS = ("requirements", "pyproject", "lockfile", "pipfile", "conda_environment", "setuptools_files")


class DependencyFile(NamedTuple):
    """A file and what it declares. text: its content, line ends as they are."""

    path: str
    file: Path
    text: str
    artifact: Artifact


def dependency_files(root: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[DependencyFile]:
    """Yield every file under `root` that declares dependencies; what cannot be read is left to the scan to say."""
    if not root.exists():
        raise UsageError("no such file or folder", where=str(root))
    base = root if root.is_dir() else root.parent
    section = read(base).scan if (base / FILE_NAME).exists() else None
    include, exclude = (section.include, section.exclude) if section is not None else ((".",), ())
    readers = [(name, reader) for name, reader in tools().formats if name in FORMATS]
    for listed in survey(root, include, exclude).files:
        try:
            blob = FileBlob(listed.file, listed.path, limits)
            for _, reader in readers:
                if reader.sniff(blob):
                    artifact = reader.parse(blob, limits, lambda _name, _data: ())
                    text = blob.read().decode("utf-8", errors="surrogateescape")
                    yield DependencyFile(listed.path, Path(listed.file), text, artifact)
                    break
        except (OSError, LimitExceeded):
            continue
