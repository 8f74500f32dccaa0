"""Open the data that [data] names with the plug-in that fits it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec

from hauberk.core.errors import DataError
from hauberk.core.plugins import listing, load
from hauberk.core.project import DataSection
from hauberk.core.protocols import Dataset
from hauberk.core.sources import choose, made

_SEALED = ".sealed"


class Opener(Protocol):
    """The class of a plug-in of this folder."""

    def open(self, section: DataSection, folder: Path, bounds: tuple[float, float] | None, thing: object) -> Dataset:
        """Open the data; bounds: declared ones; thing: what "module:callable" gave."""
        ...


def open_dataset(section: DataSection, folder: Path, *, bounds: tuple[float, float] | None = None) -> Dataset:
    """Open labelled data and check all of it.

    The plug-in is section.kind, or the one whose card names the source's ending or beginning. bounds: declared range of
    every input value. A file that `hauberk seal --encrypt` wrote is opened in memory. Raises DataError that names row,
    column and remedy; ProjectError, UnknownName, MissingExtra.
    """
    if section.source.endswith(_SEALED) or section.train.endswith(_SEALED):
        from hauberk.crypto.memory_files import unsealed

        with unsealed(folder, (section.source, section.train)) as (source, train):
            return _open(msgspec.structs.replace(section, source=source, train=train), folder, bounds)
    return _open(section, folder, bounds)


def _open(section: DataSection, folder: Path, bounds: tuple[float, float] | None) -> Dataset:
    entry = choose("datasets", section.source, section.kind, folder, "data")
    thing = None
    if entry is None:
        entry = listing("datasets", "python")
    if entry.name == "python":
        thing = made(section.source, folder, "data.source", "datasets")
    opener: Opener = load("datasets", entry.name)  # type: ignore[assignment]
    try:
        return opener.open(section, folder, bounds, thing)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=f"data.source {section.source}") from error
