"""TensorFlow Lite models: operators, custom operators, metadata and buffers, from the FlatBuffer alone."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Operator, Place, Problem
from hauberk.scanning.flatbuffer import BrokenFlat, Flat, Table
from hauberk.scanning.payloads import payloads
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

_MAGIC = b"TFL3"
_CUSTOM, _PLACEHOLDER = 32, 127
_HIGHEST_BUILTIN = 4096
_CODES, _SUBGRAPHS, _DESCRIPTION, _BUFFERS, _METADATA = 1, 2, 3, 4, 6
_TOLD = 20


class TfliteModel:
    """Walk operator codes, subgraphs and buffers; constants are passed over."""

    card: ClassVar[Card] = Card(
        title="TensorFlow Lite model",
        summary="Operators, custom and Flex operators, metadata and buffers of .tflite files.",
        paper="tensorflow/compiler/mlir/lite/schema/schema.fbs",
        suffixes=(".tflite", ".lite"),
        begins=((4, "TFL3"),),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the identifier, and the ending."""
        return blob.head[4:8] == _MAGIC or blob.name.endswith(".tflite")

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """Read the structure."""
        with blob.open() as stream:
            walk = _Walk(Flat(Window(stream, blob.size), Watch(limits)))
            try:
                walk.run()
            except BrokenFlat as error:
                walk.tell(str(error), error.offset)
            except LimitExceeded as error:
                walk.problems.append(Problem(kind="limit", message=error.what))
            if blob.head[4:8] != _MAGIC:
                walk.tell("the identifier TFL3 is missing", 4)
            hidden = payloads(stream, blob.size, walk.buffers)
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="tflite_model",
            size=blob.size,
            references=hidden,
            operators=walk.operators(),
            notes=tuple(walk.notes),
            problems=tuple(walk.problems),
        )


class _Walk:
    """The reading of one model."""

    def __init__(self, flat: Flat) -> None:
        self._flat = flat
        self._names: list[tuple[str, str]] = []
        self._used: Counter[tuple[str, str]] = Counter()
        self.buffers: list[tuple[int, int]] = []
        self.notes: list[Note] = []
        self.problems: list[Problem] = []

    def tell(self, message: str, offset: int) -> None:
        """Note a problem, a few of them."""
        if len(self.problems) < _TOLD:
            self.problems.append(Problem(kind="malformed", message=message, place=Place(offset=offset)))

    def run(self) -> None:
        """Go through everything; raises BrokenFlat, LimitExceeded."""
        root = self._flat.root()
        if root.text(_DESCRIPTION):
            self.notes.append(Note(name="metadata:description", text=root.text(_DESCRIPTION)))
        self._names = [self._code(code) for code in root.tables(_CODES)]
        for entry in root.tables(_METADATA):
            self.notes.append(Note(name="metadata:name", text=entry.text(0)))
        count = self._read_buffers(root)
        for graph in root.tables(_SUBGRAPHS):
            self._graph(graph, count)

    def _code(self, code: Table) -> tuple[str, str]:
        kind = max(code.number(0, "<b"), code.number(3, "<i")) if code.number(0, "<b") != _PLACEHOLDER else 0
        kind = kind or code.number(3, "<i")
        if not 0 <= kind < _HIGHEST_BUILTIN:
            self.tell(f"an operator of number {kind}", code.place)
        custom = code.text(1)
        if kind != _CUSTOM and not custom:
            return ("tflite", str(kind))
        return ("tensorflow", custom.removeprefix("Flex")) if custom.startswith("Flex") else ("tflite.custom", custom)

    def _read_buffers(self, root: Table) -> int:
        count = 0
        for buffer in root.tables(_BUFFERS):
            count += 1
            span = buffer.span(0)
            start, size = buffer.number(1, "<Q"), buffer.number(2, "<Q")
            if span and span[0] < span[1]:
                self.buffers.append(span)
            elif size and start > 1:
                if start + size > self._flat.size:
                    self.tell(f"a buffer at {start} of {size} bytes leads out of the file", buffer.place)
                else:
                    self.buffers.append((start, start + size))
        return count

    def _graph(self, graph: Table, buffers: int) -> None:
        tensors = 0
        for tensor in graph.tables(0):
            tensors += 1
            if tensor.number(2, "<I") >= max(1, buffers):
                self.tell(f"a tensor of buffer {tensor.number(2, '<I')} of {buffers}", tensor.place)
        for operator in graph.tables(3):
            index = operator.number(0, "<I")
            if index >= len(self._names):
                self.tell(f"an operator of code {index} of {len(self._names)}", operator.place)
                continue
            self._used[self._names[index]] += 1
            self._arguments(operator, tensors)

    def _arguments(self, operator: Table, tensors: int) -> None:
        """Hold the numbers of its tensors against how many there are; -1 stands for none."""
        for field in (1, 2):
            span = operator.span(field, 4)
            for place in range(*span, 4) if span else ():
                self._flat.watch.tick()
                value = self._flat.number(place, "<i")
                if not -1 <= value < tensors:
                    self.tell(f"an operator takes tensor {value} of {tensors}", place)

    def operators(self) -> tuple[Operator, ...]:
        """List what is used, and custom operators even where they are only declared."""
        names = sorted({*self._used, *(name for name in self._names if name[0] != "tflite")})
        return tuple(Operator(domain=domain, type=kind, count=self._used[domain, kind]) for domain, kind in names)
