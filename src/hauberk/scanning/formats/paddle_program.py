"""PaddlePaddle programs (.pdmodel, __model__): operators of every block, from the protobuf bytes alone."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Operator, Place, Problem
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window
from hauberk.scanning.wire import BYTES, VARINT, BrokenWire, Field, fields, text

_BLOCK, _OPS, _TYPE = 1, 4, 3
_BLOCK_KINDS = {1: VARINT, 2: VARINT, 3: BYTES, 4: BYTES, 5: VARINT}
_ENDINGS = (".pdmodel", "__model__")


class PaddleProgram:
    """Walk blocks and operators; variables are passed over."""

    card: ClassVar[Card] = Card(
        title="PaddlePaddle program",
        summary="Operators of .pdmodel files and saved inference programs.",
        paper="PaddlePaddle/Paddle, paddle/fluid/framework/framework.proto",
        suffixes=(".pdmodel", "__model__"),
        begins=("\x0a",),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the endings of binary files, or a first field that is a block."""
        if blob.name.endswith(_ENDINGS):
            return not blob.head.lstrip().startswith(b"{")
        with blob.open() as stream:
            return blob.head[:2] != b"\x0a\x0a" and _is_block(Window(stream, blob.size, 4096))

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """Read the structure."""
        used: Counter[str] = Counter()
        problems: list[Problem] = []
        with blob.open() as stream:
            window, watch = Window(stream, blob.size), Watch(limits)
            try:
                for block in fields(window, 0, window.size, watch):
                    if block.number == _BLOCK and block.kind == BYTES:
                        used.update(_operators(window, block, watch))
            except BrokenWire as error:
                problems.append(Problem(kind="malformed", message=str(error), place=Place(offset=error.offset)))
            except LimitExceeded as error:
                problems.append(Problem(kind="limit", message=error.what))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="paddle_program",
            size=blob.size,
            operators=tuple(Operator(domain="paddle", type=kind, count=used[kind]) for kind in sorted(used)),
            problems=tuple(problems),
        )


def _operators(window: Window, block: Field, watch: Watch) -> Counter[str]:
    used: Counter[str] = Counter()
    for field in fields(window, block.start, block.stop, watch):
        if field.number == _OPS and field.kind == BYTES:
            own = fields(window, field.start, field.stop, watch)
            used.update([text(window, one, 256) for one in own if one.number == _TYPE and one.kind == BYTES][-1:])
    return used


def _is_block(window: Window) -> bool:
    """Tell a block by its two numbers, which come first, and its variables."""
    watch = Watch(Limits(nodes=16, seconds=1.0))
    seen: list[Field] = []
    try:
        first = next(fields(window, 0, window.size, watch))
        if first.number != _BLOCK or first.kind != BYTES:
            return False
        for one in fields(window, first.start, first.stop, watch):
            if _BLOCK_KINDS.get(one.number) != one.kind:
                return False
            seen.append(one)
    except (BrokenWire, LimitExceeded, StopIteration):
        pass
    return [one.number for one in seen[:3]] == [1, 2, 3]
