"""Darknet weights (.weights of YOLO and its kin): a header and nothing but numbers."""

from __future__ import annotations

import struct
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Place, Problem, Reference
from hauberk.scanning.payloads import payloads

_HEAD = struct.Struct("<3i")


class DarknetWeights:
    """Hold the header against the size; which numbers belong to which layer only the .cfg beside it says."""

    card: ClassVar[Card] = Card(
        title="Darknet weights",
        summary="Numbers in a row, whose layout another file gives: searched for what does not belong there.",
        paper="pjreddie/darknet, src/parser.c, load_weights_upto",
        suffixes=(".weights",),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the ending with a version that Darknet ever wrote."""
        if not blob.name.endswith(".weights") or len(blob.head) < 16:
            return False
        major, minor, revision = _HEAD.unpack_from(blob.head)
        return bool(major == 0 and 0 <= minor <= 5 and 0 <= revision <= 100)

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """State the header's length, and what hides among the numbers."""
        wide = int.from_bytes(blob.head[4:8], "little") >= 2
        start = 20 if wide else 16
        words = "Darknet weights: their layout stands in the .cfg beside them; searched for what does not belong there"
        problems: tuple[Problem, ...] = ()
        if (blob.size - start) % 4:
            message = f"{blob.size - start} bytes are no whole number of floats"
            problems = (Problem(kind="malformed", message=message, place=Place(offset=start)),)
        with blob.open() as stream:
            hidden = payloads(stream, blob.size, [(start, blob.size)])
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="darknet_weights",
            size=blob.size,
            references=(Reference(kind="opaque-layout", value=words), *hidden),
            problems=problems,
        )
