"""MXNet parameters (.params): a list of arrays and their names."""

from __future__ import annotations

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

_LIST = b"\x12\x01" + bytes(14)
_ARRAYS = (0xF993FAC9, 0xF993FACA)
_BYTES = {0: 4, 1: 8, 2: 2, 3: 1, 4: 4, 5: 1, 6: 8, 7: 1, 8: 2, 9: 2, 10: 4, 11: 8, 12: 2}
_MOST = 1_000_000


class MxnetParams:
    """Hold every array's shape against the bytes that are there."""

    card: ClassVar[Card] = Card(
        title="MXNet parameters",
        summary="Arrays and names of .params files, and what hides among them.",
        paper="apache/mxnet, src/ndarray/ndarray.cc, NDArray::Save and NDArray::Load",
        suffixes=(".params",),
        begins=("\x12\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the number that begins a list."""
        return blob.head.startswith(_LIST)

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """Read the structure."""
        references: list[Reference] = []
        problems: list[Problem] = []
        spans: list[tuple[int, int]] = []
        with blob.open() as stream:
            try:
                if not _read(Fields(Window(stream, blob.size), len(_LIST)), Watch(limits), spans):
                    words = "MXNet parameters with sparse or very old arrays: only searched for what does not belong"
                    references.append(Reference(kind="opaque-layout", value=words))
                    spans = [(0, blob.size)]
            except BrokenLayout as error:
                problems.append(Problem(kind="malformed", message=str(error), place=Place(offset=error.offset)))
            except LimitExceeded as error:
                problems.append(Problem(kind="limit", message=error.what))
            references.extend(payloads(stream, blob.size, spans))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="mxnet_params",
            size=blob.size,
            references=tuple(references),
            problems=tuple(problems),
        )


def _read(at: Fields, watch: Watch, spans: list[tuple[int, int]]) -> bool:
    """Read all arrays and names; False where an array is of a kind that is not read."""
    (count,) = at.numbers("<Q", "the number of arrays")
    if count > _MOST:
        raise BrokenLayout(f"{count} arrays are announced", at.place - 8)
    for _ in range(count):
        watch.tick()
        magic, kind = at.numbers("<Ii", "an array's beginning")
        if magic not in _ARRAYS or kind != 0:
            return False
        (dimensions,) = at.numbers("<i", "a shape")
        if not -1 <= dimensions <= 32:
            raise BrokenLayout(f"an array of {dimensions} dimensions", at.place - 4)
        shape = at.numbers(f"<{max(0, dimensions)}q", "a shape")
        if dimensions <= 0:
            continue
        _, _, number = at.numbers("<3i", "a device and a type")
        if number not in _BYTES or any(size < 0 for size in shape):
            raise BrokenLayout("an array of a type or size that none has", at.place - 4)
        spans.append(at.skip(prod(shape) * _BYTES[number], "an array"))
    (names,) = at.numbers("<Q", "the number of names")
    for _ in range(min(names, count + 1)):
        watch.tick()
        (size,) = at.numbers("<Q", "a name's length")
        at.skip(size, "a name")
    if names not in (0, count) or at.left:
        raise BrokenLayout(f"{names} names for {count} arrays, and {at.left} bytes behind them", at.place)
    return True
