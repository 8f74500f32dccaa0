"""What a table's columns are and may become; what a data set is."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

ColumnKind: TypeAlias = Literal["continuous", "integer", "boolean", "categorical"]
Layout: TypeAlias = Literal["chw", "row"]


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
    """The features of a table in order, and the name of its label column."""

    columns: tuple[Column, ...]
    label: str


class DatasetSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a data set is. shape: of one sample, (c, h, w) or (d,). digest: of its content, "sha256:…".

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
