"""JSON that someone sent: bounded, UTF-8, no name twice, no NaN, not too deep; and records out of it."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections import Counter
from typing import TypeVar

import msgspec

from hauberk.sealing.faults import Malformed

T = TypeVar("T")

SEAL_BYTES = 256 << 20
"""Of one seal, which is a manifest of about 600,000 files."""

MAX_DEPTH = 64
MIN_BYTES, FREE = 12, 20_000
"""Each value takes twelve bytes on average, beyond a free number: text of nothing but brackets would fill memory."""
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.|\\\Z)*+(?:"|\Z)|[\[{]|[\]}]', re.DOTALL)
_HALVES = re.compile(rb"\\u[dD][89a-fA-F]")


def parse(data: bytes) -> object:
    """Parse JSON text; raises Malformed."""
    if len(data) > SEAL_BYTES:
        raise Malformed(f"it is longer than {SEAL_BYTES >> 20} MiB")
    if sum(data.count(mark) for mark in b"[{,") > FREE + len(data) // MIN_BYTES:
        raise Malformed("it holds more values than a seal does")
    if _depth(data) > MAX_DEPTH:
        raise Malformed(f"it is nested deeper than {MAX_DEPTH}")
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_pairs, parse_constant=_constant)
        if _HALVES.search(data):
            json.dumps(found, ensure_ascii=False).encode("utf-8")  # half a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise Malformed(f"it is not JSON: {error}") from error
    return found


def record(data: bytes, kind: type[T]) -> T:
    """Parse JSON text to a record, unknown fields left aside; raises Malformed."""
    try:
        return msgspec.convert(parse(data), kind, strict=True)
    except msgspec.ValidationError as error:
        raise Malformed(str(error)) from error


def unbase64(text: str) -> bytes:
    """Decode base64, standard alphabet with padding and nothing else; raises Malformed."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("it holds text that is not base64") from error


def base64_text(data: bytes) -> str:
    """Encode base64."""
    return base64.b64encode(data).decode("ascii")


def _depth(data: bytes) -> int:
    """Measure the nesting without recursion."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return 0
    depth = deepest = 0
    for match in _TOKENS.finditer(data):
        first = data[match.start()]
        if first in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return depth
            deepest = max(deepest, depth)
        elif first in b"]}":
            depth -= 1
    return deepest


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse a name that stands twice in an object: two readers could take different ones."""
    found = dict(pairs)
    if len(found) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the name {twice[:80]!r} stands twice")
    return found


def _constant(name: str) -> object:
    raise ValueError(f"{name} is no number")
