"""What can be wrong with a seal, one record a fault; and a malformed file that someone sent."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

FaultKind: TypeAlias = Literal[
    "changed",
    "missing",
    "extra",
    "kind",
    "unsigned",
    "unsealed",
    "malformed",
    "signature",
    "untrusted",
    "expired",
    "revoked",
    "provenance",
    "unreadable",
]
"""changed, missing, extra: a file against the manifest; kind: a file became a link, or a folder a file.
unsigned: a manifest nobody signed; unsealed: there is none. malformed: the seal itself. signature: it is not over these
bytes. untrusted, expired, revoked: the signer. provenance: a required statement is missing or of something else.
unreadable: it could not be looked at, so nothing is known."""


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing that is wrong. path: of the file, relative to what is sealed; of the seal where that is at fault."""

    kind: FaultKind
    path: str
    message: str


class Malformed(Exception):
    """A seal that cannot be read as one; the message says why."""


def shown(name: str, limit: int = 300) -> str:
    """Make a name safe to print: line breaks, terminal escapes and bidirectional marks become visible."""
    text = name if name.isprintable() else name.encode("unicode_escape", "backslashreplace").decode("ascii")
    return text if len(text) <= limit else text[: limit - 1] + "…"
