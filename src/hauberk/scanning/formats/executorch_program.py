"""ExecuTorch programs (.pte): operators, delegates and segments, from the FlatBuffer alone."""

from __future__ import annotations

import struct
from collections import Counter
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Operator, Place, Problem, Reference
from hauberk.scanning.flatbuffer import BrokenFlat, Flat
from hauberk.scanning.payloads import payloads
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

_MAGIC, _EXTENDED = b"ET", b"eh00"
_PLANS, _INLINE, _SEGMENTS = 1, 3, 4
_OPERATORS, _DELEGATES = 6, 7
_TOLD = 20


class ExecutorchProgram:
    """Walk execution plans and segments; tensors are passed over."""

    card: ClassVar[Card] = Card(
        title="ExecuTorch program",
        summary="Operators, backend delegates and data segments of .pte files.",
        paper="executorch/schema/program.fbs; docs, PTE file format",
        suffixes=(".pte",),
        begins=((4, "ET1"),),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the identifier, and the ending."""
        return (blob.head[4:6] == _MAGIC and blob.head[6:8].isdigit()) or blob.name.endswith(".pte")

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """Read the structure."""
        used: Counter[tuple[str, str]] = Counter()
        delegates: Counter[str] = Counter()
        problems: list[Problem] = []
        spans: list[tuple[int, int]] = []
        if blob.head[4:6] != _MAGIC:
            problems.append(Problem(kind="malformed", message="the identifier ET12 is missing", place=Place(offset=4)))
        with blob.open() as stream:
            flat = Flat(Window(stream, blob.size), Watch(limits))
            try:
                root = flat.root()
                for plan in root.tables(_PLANS):
                    for operator in plan.tables(_OPERATORS):
                        domain, _, kind = operator.text(0).rpartition("::")
                        used[domain, kind] += 1
                    for delegate in plan.tables(_DELEGATES):
                        delegates[delegate.text(0)] += 1
                base = _base(blob.head)
                for segment in root.tables(_SEGMENTS):
                    start, size = base + segment.number(0, "<Q"), segment.number(1, "<Q")
                    if start + size > blob.size:
                        message = f"a segment at {start} of {size} bytes leads out of the file"
                        problems.append(Problem(kind="malformed", message=message, place=Place(offset=segment.place)))
                    else:
                        spans.append((start, start + size))
            except BrokenFlat as error:
                problems.append(Problem(kind="malformed", message=str(error), place=Place(offset=error.offset)))
            except LimitExceeded as error:
                problems.append(Problem(kind="limit", message=error.what))
            hidden = payloads(stream, blob.size, spans)
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="executorch_program",
            size=blob.size,
            references=(*hidden, *(Reference(kind="delegate", value=name) for name in sorted(delegates))),
            operators=tuple(Operator(domain=key[0], type=key[1], count=used[key]) for key in sorted(used)),
            problems=tuple(problems[:_TOLD]),
        )


def _base(head: bytes) -> int:
    """Read where segments begin, from the extended header behind the identifier."""
    if head[8:12] != _EXTENDED or len(head) < 32:
        return 0
    return int(struct.unpack_from("<Q", head, 24)[0])
