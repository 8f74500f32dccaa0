"""What a table's columns are and may become; what a data set is."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from hauberk.core.relations import Relation

ColumnKind: TypeAlias = Literal["continuous", "integer", "boolean", "categorical"]
Layout: TypeAlias = Literal["chw", "row", "wave", "frames", "tokens"]
"""What a sample is: an image (c, h, w), a row of a table (d,), a sound wave (t,), a clip of frames (f, c, h, w), or a
text as ids of its tokens (length,): whole numbers, carried as float32 like everything a target takes."""
AXES: dict[Layout, tuple[str, ...]] = {
    "chw": ("channels", "height", "width"),
    "row": ("columns",),
    "wave": ("time",),
    "frames": ("frames", "channels", "height", "width"),
    "tokens": ("length",),
}
"""The axes of one sample."""


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One feature of a table, as an attacker may change it.

    A categorical column is carried as the index (0, 1, …) of its value in `categories`.
    low, high: the range a real value can take, in the column's unit; None where the data decides.
    immutable: the attacker cannot change it (age at application, country of birth).
    sensitive: a protected attribute; fairness looks at it. direction: "up" if it can only grow, "down" if only shrink.
    group: one-hot columns of one group sum to 1 and change together.
    """

    name: str
    kind: ColumnKind = "continuous"
    low: float | None = None
    high: float | None = None
    categories: tuple[str, ...] = ()
    immutable: bool = False
    sensitive: bool = False
    direction: Literal["up", "down"] | None = None
    group: str = ""


class Schema(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The features of a table in order, the name of its label column, and what holds between the features."""

    columns: tuple[Column, ...]
    label: str
    relations: tuple[Relation, ...] = ()


class DatasetSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a data set is. shape: of one sample, as its layout says. digest: of its content, "sha256:…".

    notes: what a reader of a report must know (class imbalance, rows dropped, a split made by us).
    """

    name: str
    layout: Layout
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    digest: str
    bounds: tuple[float, float]
    train: int
    test: int
    schema: Schema | None = None
    notes: tuple[str, ...] = ()

    def shown(self) -> Literal["chw", "row"] | None:
        """Say how a report can show a sample: as a picture or a row; None where it can not."""
        if self.layout == "chw":
            return "chw" if self.shape[0] in (1, 3) else None
        return "row" if self.layout == "row" else None
