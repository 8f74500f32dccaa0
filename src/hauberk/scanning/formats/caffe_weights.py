"""Caffe models with their weights (.caffemodel): the layers, from the protobuf bytes alone."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Operator, Place, Problem, Reference
from hauberk.scanning.payloads import payloads
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window
from hauberk.scanning.wire import BYTES, BrokenWire, Field, fields, text

_LAYER, _OLD_LAYER = 100, 2
_TYPE, _BLOBS, _PYTHON = 2, 7, 130
_OLD_BLOBS = 6
_DATA = 5
_TOLD = 1000


class CaffeWeights:
    """Walk the layers; numbers are passed over."""

    card: ClassVar[Card] = Card(
        title="Caffe model",
        summary="Layers of .caffemodel files, Python layers among them.",
        paper="BVLC/caffe, src/caffe/proto/caffe.proto",
        suffixes=(".caffemodel",),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the ending."""
        return blob.name.endswith(".caffemodel") and blob.size > 0

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """Read the structure."""
        walk = _Walk()
        with blob.open() as stream:
            window, watch = Window(stream, blob.size), Watch(limits)
            try:
                for field in fields(window, 0, window.size, watch):
                    if field.kind == BYTES and field.number in (_LAYER, _OLD_LAYER):
                        walk.layer(window, field, watch)
            except BrokenWire as error:
                walk.problems.append(Problem(kind="malformed", message=str(error), place=Place(offset=error.offset)))
            except LimitExceeded as error:
                walk.problems.append(Problem(kind="limit", message=error.what))
            hidden = payloads(stream, blob.size, walk.spans)
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="caffe_weights",
            size=blob.size,
            references=(*walk.references, *hidden),
            operators=tuple(Operator(domain="caffe", type=kind, count=walk.used[kind]) for kind in sorted(walk.used)),
            problems=tuple(walk.problems),
        )


class _Walk:
    """What the layers say."""

    def __init__(self) -> None:
        self.used: Counter[str] = Counter()
        self.references: list[Reference] = []
        self.problems: list[Problem] = []
        self.spans: list[tuple[int, int]] = []

    def layer(self, window: Window, layer: Field, watch: Watch) -> None:
        old = layer.number == _OLD_LAYER
        for field in fields(window, layer.start, layer.stop, watch):
            if field.kind != BYTES:
                continue
            if field.number == _TYPE and not old:
                self.used[text(window, field, 256)] += 1
            elif field.number == (_OLD_BLOBS if old else _BLOBS):
                inner = fields(window, field.start, field.stop, watch)
                self.spans.extend((one.start, one.stop) for one in inner if one.number == _DATA and one.kind == BYTES)
            elif field.number == _PYTHON and len(self.references) < _TOLD:
                own = {one.number: one for one in fields(window, field.start, field.stop, watch) if one.kind == BYTES}
                module, name = (text(window, own[number], 256) if number in own else "" for number in (1, 2))
                value = f"python_param: {module}.{name}"
                self.references.append(Reference(kind="named-import", value=value, place=Place(offset=field.start)))
