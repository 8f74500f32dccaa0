"""TensorFlow graphs: SavedModel, MetaGraph, frozen GraphDef and keras metadata, from the protobuf bytes alone."""

from __future__ import annotations

import io
from collections import Counter
from typing import ClassVar, Literal, TypeAlias

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Operator, Place, Problem, Reference
from hauberk.scanning.graph_paths import GraphPaths, Node
from hauberk.scanning.onnx_tensors import is_lone_tensor
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window
from hauberk.scanning.wire import BYTES, VARINT, BrokenWire, Field, fields, text

Message: TypeAlias = Literal[
    "saved_model",
    "meta_graph",
    "graph",
    "library",
    "function",
    "node",
    "asset",
    "objects",
    "object",
    "user_object",
    "keras_metadata",
    "keras_node",
]
_INSIDE: dict[Message, dict[int, Message]] = {
    "saved_model": {2: "meta_graph"},
    "meta_graph": {2: "graph", 6: "asset", 7: "objects"},
    "graph": {1: "node", 2: "library"},
    "library": {1: "function"},
    "function": {3: "node"},
    "objects": {1: "object"},
    "object": {4: "user_object"},
    "keras_metadata": {1: "keras_node"},
}
"""Field numbers that hold messages worth entering (tensorflow/core/protobuf, framework); a node is read on its own."""
_TOP: dict[Message, dict[int, int]] = {
    "saved_model": {1: VARINT, 2: BYTES},
    "meta_graph": {1: BYTES, 2: BYTES, 3: BYTES, 4: BYTES, 5: BYTES, 6: BYTES, 7: BYTES},
    "graph": {1: BYTES, 2: BYTES, 3: VARINT, 4: BYTES, 5: BYTES},
}
_ENDINGS = (".pb", ".graphdef")
_FINGERPRINT = "fingerprint.pb"
"""Five sums that TensorFlow writes beside a saved model."""
_CALLBACK = b"python_cpu_callback"
"""Custom calls by which a compiled jax function comes back to Python (jaxlib, xla_python_cpu_callback)."""
_STRICT, _LOOSE = Limits(nodes=64, seconds=1.0), Limits(nodes=100_000, seconds=2.0)
_LONGEST = 4096
_TOLD = 1_000
_METADATA = 8 << 20


class TensorflowGraph:
    """Walk graphs and their function library; tensors are passed over but for short texts."""

    card: ClassVar[Card] = Card(
        title="TensorFlow graph",
        summary="SavedModel, MetaGraph and frozen graphs: operators, functions, paths, assets and keras layers.",
        paper="tensorflow/core/protobuf/{saved_model,meta_graph}.proto; core/framework/{graph,node_def}.proto",
        suffixes=(".pb", ".graphdef"),
        begins=("\x08\x01\x12", "\x0a"),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the endings, or a top level that is one of the messages."""
        if blob.name.endswith(_ENDINGS):
            return blob.name != _FINGERPRINT
        if blob.head[:1] != b"\x08" and not blob.name.endswith(".meta"):
            return _kind(Window(io.BytesIO(blob.head), blob.size), blob.size) is not None
        with blob.open() as stream:  # what tells it lies behind the first bytes
            return _kind(Window(stream, blob.size), blob.size) is not None

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:
        """Read the structure; raises LimitExceeded only through `descend`."""
        with blob.open() as stream:
            window = Window(stream, blob.size)
            walk = _Walk(window, Watch(limits))
            named = blob.name.endswith(_ENDINGS)
            kind = "keras_metadata" if blob.name == "keras_metadata.pb" else _kind(window, blob.size, loose=named)
            try:
                if kind is None:
                    walk.unknown()
                else:
                    walk.run(kind)
            except LimitExceeded as error:
                walk.tell("limit", error.what, 0)
        parts = [part for name, data in walk.configs for part in descend(name, data)]
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="tensorflow_graph",
            size=blob.size,
            references=tuple(walk.references),
            operators=walk.operators(),
            notes=tuple(walk.notes),
            problems=tuple(walk.problems),
            parts=tuple(parts),
        )


def _kind(window: Window, whole: int, *, loose: bool = False) -> Message | None:
    """Tell which message the bytes are by their first fields and by what the first node looks like.

    loose: pass over fields that no such message has, as every protobuf reader does.
    """
    kinds: tuple[Message, ...] = ("saved_model", "meta_graph", "graph")
    return next((kind for kind in kinds if _fits(window, kind, 0, whole, loose=loose)), None)


def _fits(window: Window, kind: Message, start: int, stop: int, *, loose: bool) -> bool:
    seen: list[Field] = []
    try:
        for field in fields(window, start, stop, Watch(_LOOSE if loose else _STRICT)):
            if _TOP[kind].get(field.number) == field.kind:
                seen.append(field)
            elif not loose:
                return False
            if len(seen) >= _STRICT.nodes:
                break
    except (BrokenWire, LimitExceeded):
        pass
    if kind == "graph":
        node = next((field for field in seen if field.number == 1), None)
        return _is_node(window, node) if node else bool(seen) and seen[0].number in (2, 4)
    inner = next((field for field in seen if field.number == 2), None)
    if not seen or inner is None or (seen[0].number != 1 and not loose):
        return False
    if kind == "saved_model":
        version = next((field.value for field in seen if field.number == 1), 0)
        return version <= 16 and _fits(window, "meta_graph", inner.start, inner.stop, loose=loose)
    return inner.start == inner.stop or _fits(window, "graph", inner.start, inner.stop, loose=loose)


def _is_node(window: Window, field: Field) -> bool:
    """Tell a node: a name, then an operator whose type is an identifier."""
    op: Field | None = None
    try:
        for one in fields(window, field.start, field.stop, Watch(Limits(nodes=200))):
            if one.kind != BYTES or one.number > 7:
                return False
            op = one if one.number == 2 else op
    except (BrokenWire, LimitExceeded):  # a node longer than the first bytes that are looked at
        pass
    return op is not None and text(window, op, 200).replace(">", "").isidentifier()


class _Walk:
    """A walk with its own stack."""

    def __init__(self, window: Window, watch: Watch) -> None:
        self._window, self._watch = window, watch
        self._used: Counter[str] = Counter()
        self._defined: set[str] = set()
        self._called: set[str] = set()
        self._layers: Counter[str] = Counter()
        self._metadata = _METADATA
        self.configs: list[tuple[str, bytes]] = []
        self.references: list[Reference] = []
        self.notes: list[Note] = []
        self.problems: list[Problem] = []
        self._paths = GraphPaths()

    def tell(self, kind: Literal["malformed", "mismatch", "limit"], message: str, offset: int) -> None:
        """Note a problem, once a message."""
        if len(self.problems) < _TOLD and all(problem.message != message for problem in self.problems):
            self.problems.append(Problem(kind=kind, message=message, place=Place(offset=offset)))

    def unknown(self) -> None:
        """Tell another protobuf message from bytes that are none."""
        try:
            for _ in fields(self._window, 0, self._window.size, self._watch):
                pass
        except BrokenWire as error:
            self.tell("malformed", f"no protobuf message: {error}", error.offset)
        else:
            if not is_lone_tensor(self._window):
                self.tell("mismatch", "a protobuf message that is no TensorFlow graph: its content was not judged", 0)

    def run(self, kind: Message) -> None:
        """Go through everything; raises LimitExceeded."""
        pending: list[tuple[Message, int, int, int]] = [(kind, 0, self._window.size, 0)]
        try:
            while pending:
                message, start, stop, scope = pending.pop()
                self._message(message, start, stop, scope, pending)
        finally:
            for kind_of, path, offset in self._paths.found():
                fact = Reference(kind="operator-file", value=f"{kind_of}: {path}", place=Place(offset=offset))
                self.references.append(fact)

    def _message(
        self, message: Message, start: int, stop: int, scope: int, pending: list[tuple[Message, int, int, int]]
    ) -> None:
        inside = _INSIDE.get(message, {})
        try:
            if message == "node":
                self._node(start, stop, scope)
                return
            own: list[Field] = []
            for field in fields(self._window, start, stop, self._watch):
                nested = inside.get(field.number) if field.kind == BYTES else None
                if nested:
                    new = field.start if nested in ("graph", "function") else scope
                    pending.append((nested, field.start, field.stop, new))
                if not nested or message == "function":
                    own.append(field)
                if len(own) > 100_000:
                    own.clear()
            self._state(message, own, start)
        except BrokenWire as error:
            self.tell("malformed", f"not a whole TensorFlow graph: {error}", error.offset)

    def _state(self, message: Message, own: list[Field], start: int) -> None:
        if message == "function":
            signature = _last(own, 1)
            inner = list(fields(self._window, signature.start, signature.stop, self._watch)) if signature else []
            self._defined.add(self._text(inner, 1))
        elif message == "asset" and len(self.references) < _TOLD:
            fact = Reference(kind="external-data", value=self._text(own, 2), place=Place(offset=start))
            self.references.append(fact)
        elif message == "user_object":
            self._keras(self._text(own, 1), _last(own, 3))
        elif message == "keras_node":
            self._keras(self._text(own, 4), _last(own, 5))

    def _keras(self, identifier: str, field: Field | None) -> None:
        """Hand a keras layer's configuration on as the JSON it is."""
        if field is None or not identifier.startswith("_tf_keras"):
            return
        self._metadata -= field.stop - field.start
        if self._metadata < 0:
            self.tell("limit", f"keras metadata of more than {_METADATA} bytes", field.start)
        elif len(self.configs) < _TOLD:
            data = self._window.at(field.start, field.stop - field.start)
            kind = _class_name(data)
            self._layers[kind] += 1
            if kind == "Lambda" or b'"Lambda"' in data:
                self.configs.append((f"keras_metadata/{len(self.configs)}/config.json", data))
                self._layers["Lambda"] += kind != "Lambda"

    def _node(self, start: int, stop: int, scope: int) -> None:
        name, kind, inputs = "", "", list[str]()
        attributes: list[Field] = []
        for field in fields(self._window, start, stop, self._watch):
            if field.kind != BYTES:
                continue
            if field.number == 5:
                attributes.append(field)
            elif field.number in (1, 2) or (field.number == 3 and len(inputs) < 64):
                value = text(self._window, field, _LONGEST)
                name, kind = (value if field.number == 1 else name), (value if field.number == 2 else kind)
                if field.number == 3:
                    inputs.append(value)
        self._used[kind] += 1
        texts = self._attributes(kind, attributes)
        self._paths.add(Node(scope, name, kind, tuple(inputs), texts, start))

    def _attributes(self, kind: str, attributes: list[Field]) -> tuple[str, ...]:
        """Read the texts of a node that a path or a program can stand in."""
        texts: list[str] = []
        for attribute in attributes:
            own = list(fields(self._window, attribute.start, attribute.stop, self._watch))
            name, value = self._text(own, 1), _last(own, 2)
            if value is None:
                continue
            inner = list(fields(self._window, value.start, value.stop, self._watch))
            function, tensor, plain = _last(inner, 10), _last(inner, 8), _last(inner, 2)
            if function is not None:
                self._called.add(self._text(list(fields(self._window, function.start, function.stop, self._watch)), 1))
            if name in ("memory_region_name", "output_stream", "descriptor_source") and plain is not None:
                texts.append(text(self._window, plain, _LONGEST))
            elif name == "debug_urls" or name == "value":
                texts.extend(self._strings(tensor) if tensor else self._listed(_last(inner, 1)))
            elif name == "module" and kind == "XlaCallModule" and plain is not None and self._calls_back(plain):
                self._used["XlaPythonCallback"] += 1
        return tuple(texts)

    def _strings(self, tensor: Field) -> list[str]:
        """Read the texts of a constant tensor: dtype 7 is string."""
        if tensor.stop - tensor.start > 1 << 16:
            return []
        own = list(fields(self._window, tensor.start, tensor.stop, self._watch))
        if not any(field.number == 1 and field.value == 7 for field in own):
            return []
        return [text(self._window, field, _LONGEST) for field in own if field.number == 8 and field.kind == BYTES][:32]

    def _listed(self, field: Field | None) -> list[str]:
        if field is None or field.stop - field.start > 1 << 16:
            return []
        own = fields(self._window, field.start, field.stop, self._watch)
        return [text(self._window, one, _LONGEST) for one in own if one.number == 2 and one.kind == BYTES][:32]

    def _calls_back(self, field: Field) -> bool:
        step = 1 << 20
        return any(
            _CALLBACK in self._window.at(start, min(step + 64, field.stop - start))
            for start in range(field.start, min(field.stop, field.start + 64 * step), step)
        )

    def _text(self, own: list[Field], number: int) -> str:
        field = _last(own, number)
        return text(self._window, field, _LONGEST) if field else ""

    def operators(self) -> tuple[Operator, ...]:
        """List the operators that no function of the model stands for, sorted; and its keras layer classes."""
        kinds = sorted(kind for kind in self._used if kind not in self._defined)
        found = [Operator(domain="tensorflow", type=kind, count=self._used[kind]) for kind in kinds]
        found += [Operator(domain="keras", type=kind, count=self._layers[kind]) for kind in sorted(self._layers)]
        return tuple(found)


def _last(own: list[Field], number: int) -> Field | None:
    """Find the last field of that number, as protobuf does."""
    return next((field for field in reversed(own) if field.number == number and field.kind == BYTES), None)


def _class_name(data: bytes) -> str:
    """Read a keras layer's class from its JSON without parsing it whole."""
    _, found, rest = data.partition(b'"class_name"')
    quoted = rest[:200].split(b'"') if found else []
    return quoted[1].decode("utf-8", "replace") if len(quoted) > 1 else ""
