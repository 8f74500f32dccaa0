"""Arrow, Feather and Parquet files: the pickles that pyarrow before 14.0.1 loaded from a column's type."""

from __future__ import annotations

import base64
import binascii
import re
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Problem

_BEGINNINGS = (b"PAR1", b"ARROW1", b"FEA1")
_MARK = b"arrow.py_extension_type"
_SCHEMA = re.compile(rb"ARROW:schema.{0,16}?([A-Za-z0-9+/]{16,}={0,2})", re.DOTALL)
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_ENDS = 16 << 20
"""Bytes looked at from the beginning and from the end: schemas stand there."""
_MOST = 20


class ArrowTable:
    """Look at the schemas; tables themselves are other formats' work."""

    card: ClassVar[Card] = Card(
        title="Arrow or Parquet table",
        summary="Python extension types in the schemas of Arrow, Feather and Parquet files.",
        paper="CVE-2023-47248; Apache Arrow, columnar format, extension types; Parquet file metadata",
        suffixes=(".parquet", ".arrow", ".feather"),
        begins=("PAR1", "ARROW1", "FEA1"),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the first bytes."""
        return blob.head.startswith(_BEGINNINGS)

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:
        """Find schemas with such a type, and read the pickles in them."""
        cap = min(_ENDS, limits.member_bytes)
        with blob.open() as stream:
            data = stream.read(cap)
            if blob.size > cap:
                stream.seek(max(cap, blob.size - cap))
                data += stream.read(cap)
        schemas = [data] if _MARK in data else []
        schemas += [text for found in _SCHEMA.finditer(data) if _MARK in (text := _decoded(found[1]))]
        pickles = [schema[one.start() :] for schema in schemas for one in _PICKLE.finditer(schema)][:_MOST]
        parts = [part for number, one in enumerate(pickles) for part in descend(f"extension {number + 1}", one[:_ENDS])]
        unread = bool(schemas) and not parts
        problem = Problem(kind="malformed", message="a Python extension type whose pickle was not found")
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="arrow_table",
            size=blob.size,
            notes=(Note(name="python extension type", text=_MARK.decode()),) if schemas else (),
            problems=(problem,) if unread else (),
            parts=tuple(parts),
        )


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text + b"===")
    except (binascii.Error, ValueError):
        return b""
