"""PaddlePaddle's joined parameters (.pdiparams): one tensor after another, each with a description of itself."""

from __future__ import annotations

import io
from math import prod
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Place, Problem, Reference
from hauberk.scanning.fixed_fields import BrokenLayout, Fields
from hauberk.scanning.payloads import payloads
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window
from hauberk.scanning.wire import BYTES, VARINT, BrokenWire, fields, varints

_BYTES = {0: 1, 1: 2, 2: 4, 3: 8, 4: 2, 5: 4, 6: 8, 20: 1, 21: 1, 22: 2, 23: 8, 24: 16}
"""framework.proto, VarType.Type, of numbers."""
_DESCRIPTION = 1 << 12
_DIMENSIONS = 64


class PaddleParams:
    """Hold every tensor's description against the bytes that follow."""

    card: ClassVar[Card] = Card(
        title="PaddlePaddle parameters",
        summary="Tensors of .pdiparams files, and what hides among them.",
        paper="PaddlePaddle/Paddle, paddle/fluid/framework/lod_tensor.cc and tensor_util.cc",
        suffixes=(".pdiparams",),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the ending of binary files; a pickle under that name is the pickle's."""
        return blob.name.endswith(".pdiparams") and blob.head[:1] != b"\x80" and blob.size > 0

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """Read the structure."""
        problems: list[Problem] = []
        spans: list[tuple[int, int]] = []
        with blob.open() as stream:
            at, watch = Fields(Window(stream, blob.size)), Watch(limits)
            try:
                while at.left:
                    watch.tick()
                    spans.append(_tensor(at, watch))
            except BrokenLayout as error:
                problems.append(Problem(kind="malformed", message=str(error), place=Place(offset=error.offset)))
            except LimitExceeded as error:
                problems.append(Problem(kind="limit", message=error.what))
            hidden: tuple[Reference, ...] = payloads(stream, blob.size, spans)
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="paddle_params",
            size=blob.size,
            references=hidden,
            problems=tuple(problems),
        )


def _tensor(at: Fields, watch: Watch) -> tuple[int, int]:
    """Pass over one tensor and return where its numbers lie; raises BrokenLayout."""
    begun = at.place
    version, levels = at.numbers("<IQ", "a tensor's beginning")
    if version != 0 or levels > _DIMENSIONS:
        raise BrokenLayout("a tensor of a version or depth that none has", begun)
    for _ in range(levels):
        at.skip(at.numbers("<Q", "a level")[0], "a level")
    version, size = at.numbers("<Ii", "a description's beginning")
    if version != 0 or not 0 < size <= _DESCRIPTION:
        raise BrokenLayout("a tensor without a description", at.place - 4)
    description = at.take(size, "a description")
    window = Window(io.BytesIO(description), size)
    kind, shape = -1, list[int]()
    try:
        for field in fields(window, 0, size, watch):
            if field.number == 1 and field.kind == VARINT:
                kind = field.value
            elif field.number == 2:
                shape += [field.value] if field.kind == VARINT else []
                shape += varints(window, field, _DIMENSIONS) if field.kind == BYTES else []
    except BrokenWire:
        raise BrokenLayout("a description that is none", at.place - size) from None
    if kind not in _BYTES or len(shape) > _DIMENSIONS:
        raise BrokenLayout(f"a tensor of the type {kind}, which is no number's", at.place - size)
    return at.skip(prod(shape) * _BYTES[kind], "a tensor")
