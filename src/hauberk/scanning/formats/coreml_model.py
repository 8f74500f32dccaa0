"""Core ML models: custom layers and models, linked files and the programs of ML packages, from the protobuf alone."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar, Literal, TypeAlias

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Operator, Place, Problem, Reference
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window
from hauberk.scanning.wire import BYTES, BrokenWire, Field, fields, text

Message: TypeAlias = Literal[
    "model", "description", "metadata", "entry", "pipeline", "pipeline_of", "network", "layer", "custom_layer",
    "custom_model", "linked", "linked_file", "program", "function_entry", "function", "block_entry", "block",
    "operation", "value_entry", "value", "blob",
]  # fmt: skip
_INSIDE: dict[Message, dict[int, Message]] = {
    "model": {
        2: "description", 200: "pipeline_of", 201: "pipeline_of", 202: "pipeline", 303: "network", 403: "network",
        500: "network", 502: "program", 555: "custom_model", 556: "linked",
    },
    "description": {100: "metadata"},
    "metadata": {100: "entry"},
    "pipeline": {1: "model"},
    "pipeline_of": {1: "pipeline"},
    "network": {1: "layer"},
    "layer": {500: "custom_layer"},
    "linked": {1: "linked_file"},
    "program": {2: "function_entry"},
    "function_entry": {2: "function"},
    "function": {3: "block_entry"},
    "block_entry": {2: "block"},
    "block": {3: "operation"},
    "operation": {4: "block", 5: "value_entry"},
    "value_entry": {2: "value"},
    "value": {5: "blob"},
}  # fmt: skip
"""Field numbers that hold messages worth entering (coremltools, mlmodel/format/*.proto)."""
_STATED = frozenset({"metadata", "entry", "custom_layer", "custom_model", "linked_file", "operation", "blob"})
_KINDS = range(200, 4000)
_INSIDE_PACKAGE = "@model_path/"
_DEPTH = 200
_TOLD = 1_000
_LONGEST = 1 << 16


class CoremlModel:
    """Walk models, pipelines, networks and programs; weights are passed over."""

    card: ClassVar[Card] = Card(
        title="Core ML model",
        summary="Custom layers, custom and linked models, operations and metadata of .mlmodel files.",
        paper="coremltools, mlmodel/format/Model.proto and MIL.proto",
        suffixes=(".mlmodel",),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the ending."""
        return blob.name.endswith(".mlmodel")

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """Read the structure."""
        with blob.open() as stream:
            walk = _Walk(Window(stream, blob.size), Watch(limits))
            try:
                walk.run()
            except LimitExceeded as error:
                walk.problems.append(Problem(kind="limit", message=error.what))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="coreml_model",
            size=blob.size,
            references=tuple(walk.references),
            operators=tuple(Operator(domain=key[0], type=key[1], count=walk.used[key]) for key in sorted(walk.used)),
            notes=tuple(walk.notes),
            problems=tuple(walk.problems),
        )


class _Walk:
    """A walk with its own stack."""

    def __init__(self, window: Window, watch: Watch) -> None:
        self._window, self._watch = window, watch
        self.used: Counter[tuple[str, str]] = Counter()
        self.references: list[Reference] = []
        self.notes: list[Note] = []
        self.problems: list[Problem] = []

    def _tell(self, message: str, offset: int) -> None:
        if len(self.problems) < _TOLD and all(problem.message != message for problem in self.problems):
            self.problems.append(Problem(kind="malformed", message=message, place=Place(offset=offset)))

    def run(self) -> None:
        """Go through everything; raises LimitExceeded."""
        pending: list[tuple[Message, int, int, int]] = [("model", 0, self._window.size, 0)]
        while pending:
            message, start, stop, depth = pending.pop()
            if depth > _DEPTH:
                self._tell(f"models nested more than {_DEPTH} deep", start)
                continue
            try:
                self._message(message, start, stop, depth, pending)
            except BrokenWire as error:
                self._tell(f"not a whole Core ML model: {error}", error.offset)

    def _message(
        self, message: Message, start: int, stop: int, depth: int, pending: list[tuple[Message, int, int, int]]
    ) -> None:
        inside, own, numbers = _INSIDE.get(message, {}), list[Field](), set[int]()
        for field in fields(self._window, start, stop, self._watch):
            nested = inside.get(field.number) if field.kind == BYTES else None
            numbers.add(field.number)
            if nested:
                pending.append((nested, field.start, field.stop, depth + 1))
            elif message in _STATED and field.stop - field.start <= _LONGEST and len(own) < _TOLD:
                own.append(field)
        if message == "model" and not any(number in _KINDS for number in numbers):
            self._tell("a model without a kind", start)
        if message in _STATED:
            self._state(message, own, start)

    def _state(self, message: Message, own: list[Field], start: int) -> None:
        if message == "custom_layer" or message == "custom_model":
            self.used["coreml.custom", self._text(own, 10)] += 1
        elif message == "operation":
            self.used["coreml", self._text(own, 1)] += 1
        elif message == "linked_file":
            self._linked(own, start)
        elif message == "blob":
            self._refer(self._text(own, 1).removeprefix(_INSIDE_PACKAGE), start)
        elif message == "entry" and len(self.notes) < _TOLD:
            self.notes.append(Note(name=f"metadata:{self._text(own, 1)[:100]}", text=self._text(own, 2)))
        elif message == "metadata":
            for number in (1, 2, 3, 4):
                if self._text(own, number) and len(self.notes) < _TOLD:
                    self.notes.append(Note(name=f"metadata:{number}", text=self._text(own, number)))

    def _linked(self, own: list[Field], start: int) -> None:
        """State the file another model is read from, and where it is searched for."""
        self.used["coreml.linked", "linkedModel"] += 1
        for parameter in own:
            inner = list(fields(self._window, parameter.start, parameter.stop, self._watch))
            for value in self._text(inner, 1).split(":"):
                self._refer(value, start)

    def _refer(self, value: str, start: int) -> None:
        fact = Reference(kind="external-data", value=value, place=Place(offset=start))
        if value and len(self.references) < _TOLD and all(known.value != value for known in self.references):
            self.references.append(fact)

    def _text(self, own: list[Field], number: int) -> str:
        found = [field for field in own if field.number == number and field.kind == BYTES]
        return text(self._window, found[-1], 4096) if found else ""
