"""Per-sample records that shrink together: what has left the active set leaves every tensor at once."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Protocol, TypeVar

import torch


class Dataclass(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[object]]]


Record = TypeVar("Record", bound=Dataclass)


def take(record: Record, rows: torch.Tensor) -> Record:
    """Keep only `rows` (m,) int64 of every tensor in a dataclass whose tensors have the sample as first axis.

    A field that is no tensor (a norm, a radius) is shared by all samples and stays; a nested record is taken too.
    """
    kept: dict[str, object] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, torch.Tensor):
            kept[field.name] = value.index_select(0, rows)
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            kept[field.name] = take(value, rows)
    return dataclasses.replace(record, **kept)
