"""What archives of any kind say about their members: names that lead elsewhere, sizes beyond the limits."""

from __future__ import annotations

import re

_DRIVE = re.compile(r"[A-Za-z]:|[A-Za-z][A-Za-z0-9+.-]+://")


def unsafe_name(name: str) -> bool:
    """Say whether a member's name leads out of the folder it is unpacked to: absolute, "..", a drive, a URI, a NUL."""
    plain = name.replace("\\", "/")
    return plain.startswith("/") or ".." in plain.split("/") or "\x00" in name or bool(_DRIVE.match(plain))


def too_much(name: str, packed: int, cap: int) -> str:
    """Word that a member unpacks to more than it may."""
    return f"member {name[:100]!r} unpacks from {packed} to more than {cap} bytes; what fits was read"
