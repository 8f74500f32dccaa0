"""Canonical JSON of records: sorted keys, no blanks, UTF-8; what is hashed, signed and kept."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from hauberk.core.evidence import Entry

T = TypeVar("T")
_ENCODER = msgspec.json.Encoder(order="sorted")
_ENTRY = msgspec.json.Decoder(Entry, strict=True)


def canonical(record: object) -> bytes:
    """Encode a record to canonical JSON: equal records give equal bytes.

    NaN and infinities become null on the wire, which no float field reads back: a record never holds them.
    """
    return _ENCODER.encode(record)


def decode(data: bytes | str, kind: type[T]) -> T:
    """Decode strict JSON to a record of type `kind`; raises msgspec.ValidationError on anything unexpected."""
    return msgspec.json.decode(data, type=kind, strict=True)


def decode_entry(data: bytes | str) -> Entry:
    """Decode one evidence entry by its "type" tag."""
    entry: Entry = _ENTRY.decode(data)
    return entry
