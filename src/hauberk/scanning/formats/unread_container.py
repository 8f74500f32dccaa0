"""Containers that are recognised and not read: said aloud, never passed over."""

from __future__ import annotations

from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Problem

_BEGINNINGS = {
    b"Rar!\x1a\x07": "RAR archive",
    b"MSCF": "cabinet archive",
    b"\x60\xea": "ARJ archive",
    b"xar!": "XAR archive",
    b"MSWIM\x00\x00\x00": "Windows image",
    b"LZIP": "lzip stream",
    b"\x89LZO\x00\r\n\x1a\n": "LZO stream",
    b"\x1f\x9d": "compress (.Z) stream",
    b"\x1f\xa0": "compress (.Z) stream",
    b"\xff\x06\x00\x00sNaPpY": "snappy stream",
    b"ArC\x01": "FreeArc archive",
    b"hsqs": "SquashFS image",
    b"!<arch>\ndebian": "Debian package",
    b"\xed\xab\xee\xdb": "RPM package",
    b"070701": "cpio archive",
    b"070702": "cpio archive",
    b"070707": "cpio archive",
    b"\xc7\x71": "cpio archive",
    b"\x71\xc7": "cpio archive",
}
_LATER = ((7, b"**ACE**", "ACE archive"), (0x8001, b"CD001", "ISO image"), (257, b"koly", "disk image"))
_BY_NAME = {
    ".rar": "RAR archive", ".cab": "cabinet archive", ".arj": "ARJ archive", ".ace": "ACE archive",
    ".iso": "ISO image", ".dmg": "disk image", ".lzh": "LHA archive", ".lha": "LHA archive", ".sit": "StuffIt archive",
    ".zpaq": "ZPAQ archive", ".lz": "lzip stream", ".lzo": "LZO stream", ".br": "Brotli stream", ".sz": "snappy stream",
    ".wim": "Windows image", ".cpio": "cpio archive", ".squashfs": "SquashFS image", ".uha": "UHArc archive",
}  # fmt: skip
_SHORT = 2
"""Beginnings of so few bytes are believed only with the name."""


class UnreadContainer:
    """Name files that can hold a model or a payload and that no format reads."""

    card: ClassVar[Card] = Card(
        title="Recognised, not read",
        summary="RAR, ACE, ARJ, cabinet, cpio, disk images and rare compressors are named as not looked at.",
        suffixes=(".rar", ".cab", ".arj", ".ace", ".iso", ".dmg", ".lzh", ".lz", ".lzo", ".br", ".cpio", ".wim"),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept by the first bytes, or by an ending that only such files have."""
        return bool(_title(blob))

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """State what it is and that it was not read."""
        message = f"a {_title(blob) or 'container'}: not read by this version; its content was not judged"
        problem = Problem(kind="limit", message=message)
        return Artifact(path=blob.path, part=blob.part, format="unread_container", size=blob.size, problems=(problem,))


def _title(blob: Blob) -> str:
    """Name the container; empty where it is none."""
    named = next((title for ending, title in _BY_NAME.items() if blob.name.endswith(ending)), "")
    if named and b"\x00" in blob.head[:512]:
        return named
    for magic, title in _BEGINNINGS.items():
        if blob.head.startswith(magic) and (len(magic) > _SHORT or blob.name.endswith((".z", ".arj", ".cpio"))):
            return title
    return next((title for skip, magic, title in _LATER if blob.head.startswith(magic, skip)), "")
