"""ONNX models: operators, functions, external data and metadata, from the protobuf bytes and without the framework."""

from __future__ import annotations

import io
from collections import Counter
from typing import ClassVar, Literal, TypeAlias

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Operator, Place, Problem, Reference
from hauberk.scanning.onnx_tensors import tensor
from hauberk.scanning.operators import known
from hauberk.scanning.payloads import payloads
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window
from hauberk.scanning.wire import BYTES, VARINT, BrokenWire, Field, fields, text

Message: TypeAlias = Literal["model", "graph", "node", "attribute", "tensor", "sparse", "function", "training", "entry"]
_INSIDE: dict[Message, dict[int, Message]] = {
    "model": {7: "graph", 14: "entry", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse", 16: "entry"},
    "node": {5: "attribute", 9: "entry"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute", 14: "entry"},
    "training": {1: "graph", 2: "graph"},
}
"""Field numbers that hold messages worth entering (onnx/onnx.proto, IR version 11); raw tensor data is passed over."""
_MODEL_FIELDS = {1: VARINT, 2: BYTES, 3: BYTES, 4: BYTES, 5: VARINT, 6: BYTES, 7: BYTES, 8: BYTES, 14: BYTES}
_LATER_FIELDS = {20: BYTES, 25: BYTES, 26: BYTES}
_HIGHEST_IR = 64
_GRAPH, _OPSETS = 7, 8
_DEPTH = 200
_STATED = ("model", "node", "attribute", "function", "entry", "training")
_LONGEST = 1 << 20
_TOLD = 1_000
_WEIGHTS = 20_000
_PATH = 4096


class OnnxGraph:
    """Walk model, graph, subgraphs, functions and training graphs with a bounded reader of the wire format."""

    card: ClassVar[Card] = Card(
        title="ONNX model",
        summary="Operators, custom domains, external data and metadata of ONNX files of any size.",
        paper="onnx/onnx.proto; protobuf encoding",
        suffixes=(".onnx",),
        begins=("\x08", "\x12", "\x1a", "\x22", "\x28", "\x32", "\x3a", "\x42", "\x72"),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the ending, or a top level made of a model's fields with a version and a graph."""
        if blob.name.endswith(".onnx"):
            return True
        if not blob.head or blob.head[0] not in (0x08, 0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42, 0x72):
            return False
        seen = _top_level(Window(io.BytesIO(blob.head), blob.size))
        return seen == "model" or (seen == "cut" and self._whole(blob))

    def _whole(self, blob: Blob) -> bool:
        with blob.open() as stream:
            return _top_level(Window(stream, blob.size)) == "model"

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """Read the structure; weights are passed over."""
        with blob.open() as stream:
            walk = _Walk(Window(stream, blob.size), Watch(limits))
            try:
                walk.run()
            except LimitExceeded as error:
                walk.tell("limit", error.what, 0)
            operators = walk.operators()
            hidden = payloads(stream, blob.size, walk.weights)
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="onnx_graph",
            size=blob.size,
            references=(*walk.references, *hidden),
            operators=operators,
            notes=tuple(walk.notes),
            problems=tuple(walk.problems),
        )


def _top_level(window: Window) -> Literal["model", "cut", "no"]:
    """Look at the top level: a "model", bytes that go on beyond the window's ("cut"), or neither."""
    numbers: set[int] = set()
    known = _MODEL_FIELDS | _LATER_FIELDS
    try:
        for field in fields(window, 0, window.size, Watch(Limits(nodes=10_000, seconds=1.0))):
            if known.get(field.number) != field.kind or (field.number == 1 and field.value > _HIGHEST_IR):
                return "no"
            numbers.add(field.number)
    except (BrokenWire, LimitExceeded):
        return "cut" if 1 in numbers else "no"
    return "model" if {1, 7} <= numbers else "no"


class _Walk:
    """A walk with its own stack, so that nesting costs memory and not recursion."""

    def __init__(self, window: Window, watch: Watch) -> None:
        self.window, self._watch = window, watch
        self._used: Counter[tuple[str, str]] = Counter()
        self._defined: set[tuple[str, str]] = set()
        self.references: list[Reference] = []
        self.notes: list[Note] = []
        self.problems: list[Problem] = []
        self.weights: list[tuple[int, int]] = []
        self._told: set[str] = set()
        self._ends: dict[str, int] = {}

    def tell(self, kind: Literal["malformed", "truncated", "limit"], message: str, offset: int) -> None:
        """Note a problem, once a message."""
        if all(problem.message != message for problem in self.problems):
            self.problems.append(Problem(kind=kind, message=message, place=Place(offset=offset)))

    def run(self) -> None:
        """Go through everything; raises LimitExceeded."""
        pending: list[tuple[Message, int, int, int]] = [("model", 0, self.window.size, 0)]
        while pending:
            message, start, stop, depth = pending.pop()
            if depth > _DEPTH:
                self.tell("malformed", f"graphs nested more than {_DEPTH} deep", start)
                continue
            inside = _INSIDE.get(message, {})
            if message == "tensor":
                self._tensor(start, stop)
                continue
            own: list[Field] = []
            numbers: set[int] = set()
            try:
                for field in fields(self.window, start, stop, self._watch):
                    numbers.add(field.number)
                    nested = inside.get(field.number) if field.kind == BYTES else None
                    if nested:
                        pending.append((nested, field.start, field.stop, depth + 1))
                    elif message in _STATED and field.stop - field.start <= _LONGEST:
                        own.append(field)
            except BrokenWire as error:
                self.tell("malformed", f"not a whole ONNX model: {error}", error.offset)
            if message == "model" and not {_GRAPH, _OPSETS} <= numbers:
                self.tell("truncated", "a model without its graph or its operator sets", stop)
            self._state(message, own, start)

    def _state(self, message: Message, own: list[Field], start: int) -> None:
        if message == "node":
            self._used[(self._text(own, 7), self._text(own, 4))] += 1
        elif message == "function":
            self._defined.add((self._text(own, 10), self._text(own, 1)))
        elif message == "entry" and len(self.notes) < _TOLD:
            self.notes.append(Note(name=f"metadata:{self._text(own, 1)[:100]}", text=self._text(own, 2)))
        elif message == "attribute" and self._text(own, 1) == "ep_cache_context":
            self._refer(self._text(own, 4), start)
        elif message == "model" and self._text(own, 6) and len(self.notes) < _TOLD:
            self.notes.append(Note(name="metadata:doc_string", text=self._text(own, 6)))
        elif message == "training":
            self.notes.append(Note(name="training", text="", place=Place(offset=start)))

    def _refer(self, value: str, start: int) -> None:
        """State a file that is read beside the model; a whole compiled program in its place is none."""
        if value and len(value) <= _PATH and value not in self._told and len(self.references) < _TOLD:
            self._told.add(value)
            self.references.append(Reference(kind="external-data", value=value, place=Place(offset=start)))

    def _tensor(self, start: int, stop: int) -> None:
        try:
            read = tensor(self.window, start, stop, self._watch)
        except BrokenWire as error:
            self.tell("malformed", f"not a whole ONNX model: {error}", error.offset)
            return
        if read.fault:
            self.tell("malformed", read.fault, start)
        if read.location:
            self._refer(read.location, start)
            self._ends[read.location] = max(self._ends.get(read.location, 0), read.end)
        if read.raw and len(self.weights) < _WEIGHTS:
            self.weights.append(read.raw)

    def _text(self, own: list[Field], number: int) -> str:
        """Read the last field of that number, as protobuf does."""
        found = [field for field in own if field.number == number and field.kind == BYTES]
        return text(self.window, found[-1]) if found else ""

    def operators(self) -> tuple[Operator, ...]:
        """List the operators the model does not define itself, sorted; to be called once, at the end."""
        left = sorted(key for key in self._used if key not in self._defined)
        spans = (f"{end} {location}" for location, end in sorted(self._ends.items()) if end and location in self._told)
        self.references.extend(Reference(kind="external-span", value=span) for span in spans)
        for domain, kind in sorted(self._defined & self._used.keys()):
            if known("onnx", f"{_plain(domain)}::{kind}"):
                self.references.append(Reference(kind="redefined-operator", value=f"{domain}::{kind}"))
        return tuple(Operator(domain=domain, type=kind, count=self._used[domain, kind]) for domain, kind in left)


def _plain(domain: str) -> str:
    """The standard's domain has two names."""
    return "" if domain == "ai.onnx" else domain
