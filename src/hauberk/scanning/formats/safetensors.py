"""safetensors files: the header's promises held against the bytes."""

from __future__ import annotations

import json
import re
from collections import Counter
from math import prod
from typing import ClassVar, NamedTuple

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Problem
from hauberk.scanning.payloads import payloads
from hauberk.scanning.weight_statistics import Tensor, statistics
from hauberk.scanning.window import Window

_HEADER = 100_000_000
"""The reference reader's bound (safetensors/src/tensor.rs, MAX_HEADER_SIZE)."""
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64,
    "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
_TOLD = 50
_DIMENSIONS = 64
_FIELDS = {"dtype", "shape", "data_offsets"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


class Safetensors:
    """Check header length, keys, types, shapes and that the tensors tile the data exactly."""

    card: ClassVar[Card] = Card(
        title="safetensors",
        summary="Tensor files without code; the header is checked against the bytes.",
        paper="safetensors format description; Trail of Bits audit 2023",
        suffixes=(".safetensors",),
        begins=((8, "{"),),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the ending, or a plausible header length followed by an object."""
        length = int.from_bytes(blob.head[:8], "little")
        return blob.name.endswith(".safetensors") or (
            blob.head[8:9] == b"{" and 2 <= length <= min(_HEADER, max(0, blob.size - 8)) and b'"' in blob.head[9:64]
        )

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """Read the header only."""
        with blob.open() as stream:
            header = _header(Window(stream, blob.size), limits)
            begin = 8 + header.length if header.tensors is not None else min(8, blob.size)
            hidden = payloads(stream, blob.size, [(begin, blob.size)])
            problems = list(header.problems)
            notes = header.notes
            if header.tensors is not None:
                problems.extend(_tiling(header.tensors, blob.size - begin))
                whole = not problems
                notes += tuple(statistics(stream, _tensors(header.tensors, begin))) if whole else ()
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="safetensors",
            size=blob.size,
            references=hidden,
            notes=notes,
            problems=tuple(problems[:_TOLD]),
        )


def _tensors(entries: dict[str, object], begin: int) -> list[Tensor]:
    """List the tensors of a header that was found whole."""
    found: list[Tensor] = []
    for name, entry in entries.items():
        if isinstance(entry, dict):
            start, stop = entry["data_offsets"]
            found.append(Tensor(name, str(entry["dtype"]), tuple(entry["shape"]), begin + start, begin + stop))
    return found


class _Header(NamedTuple):
    length: int
    tensors: dict[str, object] | None
    notes: tuple[Note, ...]
    problems: tuple[Problem, ...]


def _header(window: Window, limits: Limits) -> _Header:
    lead = window.at(0, 8)
    length = int.from_bytes(lead, "little")
    if len(lead) < 8 or length > window.size - 8:
        return _Header(length, None, (), (_wrong(f"a header of {length} bytes in a file of {window.size}"),))
    if length > _HEADER:
        return _Header(length, None, (), (_wrong(f"a header of {length} bytes, which readers refuse"),))
    if length > limits.text_bytes:
        problem = Problem(kind="limit", message=f"a header of {length} bytes is more than is read at once")
        return _Header(length, None, (), (problem,))
    repeated: list[str] = []
    try:
        fields = json.loads(
            window.at(8, length).decode("utf-8"), object_pairs_hook=lambda pairs: _once(pairs, repeated)
        )
    except (ValueError, RecursionError) as error:
        return _Header(length, None, (), (_wrong(f"a header that is no JSON: {str(error)[:80]}"),))
    if not isinstance(fields, dict):
        return _Header(length, None, (), (_wrong("a header that is no object"),))
    metadata = fields.pop("__metadata__", {})
    notes = _notes(metadata)
    problems = [_wrong(f"the key {key[:80]!r} is there twice: readers take different ones") for key in repeated[:_TOLD]]
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        problems.append(_wrong("metadata that is not text by text"))
    return _Header(length, fields, notes, tuple(problems))


def _once(pairs: list[tuple[str, object]], repeated: list[str]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        repeated.extend(key for key, count in counts.items() if count > 1)
    return fields


def _notes(metadata: object) -> tuple[Note, ...]:
    if not isinstance(metadata, dict):
        return ()
    return tuple(Note(name=f"metadata:{str(key)[:100]}", text=str(value)) for key, value in metadata.items())


def _tiling(tensors: dict[str, object], size: int) -> list[Problem]:
    """Hold every tensor's place against its shape, its neighbours and the end of the file."""
    problems: list[Problem] = []
    spans: list[tuple[int, int, str]] = []
    for name, entry in tensors.items():
        fault = _fault(entry, size) or ("has control characters in its name" if _CONTROL.search(name) else "")
        if fault:
            problems.append(_wrong(f"tensor {name[:80]!r} {fault}"))
            if len(problems) >= _TOLD:
                return problems
        elif isinstance(entry, dict):
            spans.append((*entry["data_offsets"], name))
    position = 0
    for start, stop, name in sorted(spans):
        if start < position:
            problems.append(_wrong(f"tensor {name[:80]!r} overlaps the one before it"))
        elif start > position:
            problems.append(_wrong(f"{start - position} bytes before tensor {name[:80]!r} belong to none"))
        position = max(position, stop)
    if position < size and not problems:
        problems.append(_wrong(f"{size - position} bytes after the last tensor belong to none"))
    return problems


def _fault(entry: object, size: int) -> str:
    if not isinstance(entry, dict):
        return "is no object"
    if entry.keys() - _FIELDS:
        return f"has the unknown field {str(min(entry.keys() - _FIELDS))[:40]!r}"
    kind, shape, offsets = entry.get("dtype"), _counts(entry.get("shape")), _counts(entry.get("data_offsets"))
    if shape is None or offsets is None or len(offsets) != 2:
        return "has no whole shape and offsets"
    start, stop = offsets
    if start > stop or stop > size:
        return f"lies at {start} to {stop}, outside the {size} bytes of data"
    if kind not in _BITS:
        return f"has the unknown type {str(kind)[:40]!r}"
    if -(-prod(shape) * _BITS[kind] // 8) != stop - start:
        return f"has {stop - start} bytes, its shape and type need another number"
    return ""


def _counts(value: object) -> list[int] | None:
    """Return a short list of counts; None for anything else."""
    if not isinstance(value, list) or len(value) > _DIMENSIONS:
        return None
    return value if all(type(item) is int and 0 <= item < 1 << 63 for item in value) else None


def _wrong(message: str) -> Problem:
    return Problem(kind="malformed", message=message)
