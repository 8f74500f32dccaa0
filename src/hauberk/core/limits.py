"""Safety bounds for hostile or huge input, in one place."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one scan. Met bounds become a Skipped of kind "limit", never a crash and never silence.

    file_bytes: larger files are streamed where the format can, else skipped. member_bytes: of one archive member,
    unpacked.
    total_bytes: unpacked from one file over all nesting. ratio: unpacked / packed of one member.
    members: of one archive. depth: of nested containers. nodes: graph nodes, opcodes or syntax nodes of one artifact.
    seconds: of one file. text_bytes: of one text file read whole.
    """

    file_bytes: int = 64 << 30
    member_bytes: int = 512 << 20
    total_bytes: int = 2 << 30
    ratio: float = 1000.0
    members: int = 100_000
    depth: int = 8
    nodes: int = 5_000_000
    seconds: float = 60.0
    text_bytes: int = 32 << 20


DEFAULT_LIMITS = Limits()

ANSWER_BYTES = 64 << 20
"""Of one answer of a remote model; 64 MiB holds a million scores as JSON."""
