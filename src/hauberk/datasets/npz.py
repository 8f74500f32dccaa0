"""NumPy archives: x and y, or x_train, y_train, x_test, y_test."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import ClassVar

import numpy as np

from hauberk.core.card import Card
from hauberk.core.errors import DataError
from hauberk.core.project import DataSection
from hauberk.datasets.arrays import Pair, from_arrays
from hauberk.datasets.checked import InMemory
from hauberk.datasets.files import existing

_WHOLE = ("x", "y")
_PARTS = ("x_train", "y_train", "x_test", "y_test")


class Npz:
    """Arrays of an archive; one that holds Python objects is refused, since reading them can run code."""

    card: ClassVar[Card] = Card(
        title="NumPy archive",
        summary="Reads x and y, or training and test parts, from an .npz; arrays of objects are refused.",
        suffixes=(".npz",),
        inputs=("chw", "row", "wave", "frames", "tokens"),
        extra="data",
    )

    @classmethod
    def open(cls, section: DataSection, folder: Path, bounds: tuple[float, float] | None, thing: object) -> InMemory:  # noqa: ARG003
        """Read and check; raises DataError that names the array or row."""
        path = existing(folder, section.source, "data.source")
        held = _read(path)
        if set(_PARTS) <= set(held):
            train, test = Pair(held["x_train"], held["y_train"]), Pair(held["x_test"], held["y_test"])
            return from_arrays(path.name, section, bounds, train, test, halves=True)
        test = _pair(held, path)
        if not section.train:
            return from_arrays(path.name, section, bounds, None, test, halves=False)
        other = existing(folder, section.train, "data.train")
        return from_arrays(path.name, section, bounds, _pair(_read(other), other), test, halves=True)


def _read(path: Path) -> dict[str, np.ndarray]:
    """Read every array under its name in lower case."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not hasattr(archive, "files"):
                raise DataError("is a single array", where=path.name, fix="save x and y with np.savez")
            return {name.lower(): archive[name] for name in archive.files}
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        fix = "save plain numbers with np.savez: arrays of objects can run code when they are read"
        raise DataError(f"cannot be read: {error}", where=path.name, fix=fix) from None


def _pair(held: dict[str, np.ndarray], path: Path) -> Pair:
    if not set(_WHOLE) <= set(held):
        there = ", ".join(sorted(held)) or "nothing"
        raise DataError(f"holds {there}", where=path.name, fix=f"name arrays x and y, or {', '.join(_PARTS)}")
    return Pair(held["x"], held["y"])
