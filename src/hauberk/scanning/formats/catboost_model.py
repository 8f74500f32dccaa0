"""CatBoost models (.cbm): sizes, parts and metadata, from the FlatBuffer alone."""

from __future__ import annotations

import io
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Operator, Place, Problem
from hauberk.scanning.flatbuffer import BrokenFlat, Flat
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

_MAGIC = b"CBM1"
_LEAD = 8
_INFO, _PARTS = 2, 3
_TOLD = 1_000


class CatboostModel:
    """Read the core's metadata; trees are held against the file by their offsets only."""

    card: ClassVar[Card] = Card(
        title="CatBoost model",
        summary="Sizes, parts and metadata of .cbm files.",
        paper="catboost/libs/model/flatbuffers/model.fbs",
        suffixes=(".cbm",),
        begins=("CBM1",),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the identifier, and the ending."""
        return blob.head.startswith(_MAGIC) or blob.name.endswith(".cbm")

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """Read the core."""
        notes: list[Note] = []
        parts: list[str] = []
        problems: list[Problem] = []
        size = int.from_bytes(blob.head[4:8], "little")
        if not blob.head.startswith(_MAGIC):
            problems.append(Problem(kind="malformed", message="the identifier CBM1 is missing", place=Place(offset=0)))
        elif size > blob.size - _LEAD:
            message = f"a core of {size} bytes in a file of {blob.size}"
            problems.append(Problem(kind="malformed", message=message, place=Place(offset=4)))
        elif size > limits.member_bytes:
            problems.append(Problem(kind="limit", message=f"a core of {size} bytes is more than is read at once"))
        else:
            try:
                root = Flat(_core(blob, size), Watch(limits)).root()
                for entry in root.tables(_INFO):
                    if len(notes) < _TOLD:
                        notes.append(Note(name=f"metadata:{entry.text(0)[:100]}", text=entry.text(1)))
                parts = [name[:200] for name in root.texts(_PARTS)]
            except BrokenFlat as error:
                message = f"its core is broken: {error}"
                problems.append(Problem(kind="malformed", message=message, place=Place(offset=_LEAD + error.offset)))
            except LimitExceeded as error:
                problems.append(Problem(kind="limit", message=error.what))
            if not parts and size + _LEAD < blob.size and not problems:
                message = f"{blob.size - size - _LEAD} bytes after the core belong to no part"
                problems.append(Problem(kind="malformed", message=message, place=Place(offset=_LEAD + size)))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="catboost_model",
            size=blob.size,
            operators=tuple(Operator(domain="catboost.part", type=name) for name in parts),
            notes=tuple(notes),
            problems=tuple(problems),
        )


def _core(blob: Blob, size: int) -> Window:
    with blob.open() as stream:
        stream.seek(_LEAD)
        return Window(io.BytesIO(stream.read(size)), size)
