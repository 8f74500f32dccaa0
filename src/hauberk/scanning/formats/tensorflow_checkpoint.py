"""TensorFlow checkpoints: the index's frame, and what else than numbers lies in the data shards."""

from __future__ import annotations

import re
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Place, Problem
from hauberk.scanning.payloads import payloads
from hauberk.scanning.window import Window

_SHARD = re.compile(r".+\.data-\d{5}-of-\d{5}")
_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
"""Ends every table file (tensorflow/core/lib/io/format.h, kTableMagicNumber)."""
_FOOTER = 48


class TensorflowCheckpoint:
    """Check the index's footer, and search the shards for payloads; neither holds code by itself."""

    card: ClassVar[Card] = Card(
        title="TensorFlow checkpoint",
        summary="Index and data shards of TensorFlow checkpoints and saved variables.",
        paper="tensorflow/core/lib/io/table_format.txt; core/protobuf/tensor_bundle.proto",
        suffixes=(
            ".index", "-of-00001", "-of-00002", "-of-00003", "-of-00004", "-of-00005", "-of-00006", "-of-00007",
            "-of-00008", "-of-00009", "-of-00010", "-of-00012", "-of-00016", "-of-00024", "-of-00032", "-of-00064",
        ),
        by_name=True,
    )  # fmt: skip

    def sniff(self, blob: Blob) -> bool:
        """Accept a shard by its name, and an index by name and footer or by the first key of every index."""
        if _SHARD.fullmatch(blob.name):
            return True
        return blob.name.endswith(".index") and (
            blob.head[:2] + blob.head[3:4] == b"\x00\x00\x08" or _footer(blob) == _MAGIC
        )

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """Read the footer of an index, or search a shard."""
        problems: list[Problem] = []
        index = blob.name.endswith(".index")
        with blob.open() as stream:
            hidden = payloads(stream, blob.size, [(0, blob.size)])
        if index and (_footer(blob) != _MAGIC or blob.size < _FOOTER):
            message = "the footer of a table is missing"
            problems.append(Problem(kind="truncated", message=message, place=Place(offset=max(0, blob.size - 8))))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="tensorflow_checkpoint",
            size=blob.size,
            references=hidden,
            problems=tuple(problems),
        )


def _footer(blob: Blob) -> bytes:
    with blob.open() as stream:
        return Window(stream, blob.size).at(max(0, blob.size - 8), 8)
