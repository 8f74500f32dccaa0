"""Containers and model files that are recognised and not read yet: said aloud, never passed over."""

from __future__ import annotations

from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Problem

_BEGINNINGS = {
    b"7z\xbc\xaf\x27\x1c": "7z archive",
    b"Rar!\x1a\x07": "RAR archive",
    b"\x28\xb5\x2f\xfd": "Zstandard stream",
    b"\x04\x22\x4d\x18": "LZ4 stream",
    b"MSCF": "cabinet archive",
}


class UnreadContainer:
    """Name files that can hold a model or a payload and that no format reads yet."""

    card: ClassVar[Card] = Card(
        title="Recognised, not read",
        summary="7z, RAR, Zstandard and LZ4 files are named as not looked at.",
        suffixes=(".7z", ".rar", ".zst", ".lz4"),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept by the first bytes."""
        return blob.head.startswith(tuple(_BEGINNINGS)) or blob.head[4:8] == b"TFL3"

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """State what it is and that it was not read."""
        kind = next((title for magic, title in _BEGINNINGS.items() if blob.head.startswith(magic)), "TFLite model")
        message = f"a {kind}: not read by this version; its content was not judged"
        problem = Problem(kind="limit", message=message)
        return Artifact(path=blob.path, part=blob.part, format="unread_container", size=blob.size, problems=(problem,))
