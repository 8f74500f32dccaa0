"""ONNX Runtime's own format (.ort): operators, metadata and external data, from the FlatBuffer alone."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Operator, Place, Problem
from hauberk.scanning.flatbuffer import BrokenFlat, Flat, Table
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

_MAGIC = b"ORTM"
_MODEL, _GRAPH, _METADATA = 1, 7, 9
_NODES, _DOMAIN, _TYPE, _ATTRIBUTES = 2, 2, 5, 10
_SUBGRAPH, _SUBGRAPHS = 7, 12
_TOLD = 1_000


class OrtModel:
    """Walk the graph and its subgraphs."""

    card: ClassVar[Card] = Card(
        title="ONNX Runtime model",
        summary="Operators and metadata of .ort files.",
        paper="onnxruntime/core/flatbuffers/schema/ort.fbs",
        suffixes=(".ort",),
        begins=((4, "ORTM"),),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the identifier, and the ending."""
        return blob.head[4:8] == _MAGIC or blob.name.endswith(".ort")

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """Read the structure."""
        used: Counter[tuple[str, str]] = Counter()
        notes: list[Note] = []
        problems: list[Problem] = []
        if blob.head[4:8] != _MAGIC:
            problems.append(Problem(kind="malformed", message="the identifier ORTM is missing", place=Place(offset=4)))
        with blob.open() as stream:
            try:
                model = Flat(Window(stream, blob.size), Watch(limits)).root().table(_MODEL)
                graph = model.table(_GRAPH) if model else None
                for entry in model.tables(_METADATA) if model else ():
                    if len(notes) < _TOLD:
                        notes.append(Note(name=f"metadata:{entry.text(0)[:100]}", text=entry.text(1)))
                _count(graph, used)
            except BrokenFlat as error:
                problems.append(Problem(kind="malformed", message=str(error), place=Place(offset=error.offset)))
            except LimitExceeded as error:
                problems.append(Problem(kind="limit", message=error.what))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="ort_model",
            size=blob.size,
            operators=tuple(Operator(domain=key[0], type=key[1], count=used[key]) for key in sorted(used)),
            notes=tuple(notes),
            problems=tuple(problems),
        )


def _count(graph: Table | None, used: Counter[tuple[str, str]]) -> None:
    pending = [graph] if graph else []
    while pending:
        for node in pending.pop().tables(_NODES):
            used[node.text(_DOMAIN), node.text(_TYPE)] += 1
            for attribute in node.tables(_ATTRIBUTES):
                inner = attribute.table(_SUBGRAPH)
                pending.extend([inner] if inner else [])
                pending.extend(attribute.tables(_SUBGRAPHS))
