"""GGUF models and adapters: every count, length and offset held against the bytes; templates and texts as notes."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Place, Problem
from hauberk.scanning.gguf_layout import (
    ARRAY,
    DIMENSIONS,
    KEY_BYTES,
    MAGIC,
    NAME_BYTES,
    STRING,
    TENSOR_TYPES,
    VALUE_BYTES,
    ByteOrder,
)
from hauberk.scanning.settings_facts import has_template, template_kind
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

_TOLD = 50
_TEXT = 1 << 20
_NOTES = 2_000
_NESTED = 4
_OVERFLOW = 1 << 63


class Gguf:
    """Read header, metadata and tensor table; tensors are passed over."""

    card: ClassVar[Card] = Card(
        title="GGUF model",
        summary="Models and adapters of llama.cpp: metadata, chat templates, and a tensor table checked to the byte.",
        paper="ggml docs/gguf.md; CVE-2024-21802, -21825, -21836, -23496, -23605; CVE-2026-7482",
        suffixes=(".gguf",),
        begins=("GGUF",),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the ending or the magic."""
        return blob.name.endswith(".gguf") or blob.head.startswith(MAGIC)

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """Read the tables only."""
        with blob.open() as stream:
            reading = _Reading(Window(stream, blob.size), Watch(limits))
            reading.run()
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="gguf",
            size=blob.size,
            notes=tuple(reading.notes),
            problems=tuple(reading.problems),
        )


class _Broken(Exception):
    """The tables end or lie here; what follows cannot be placed."""


class _Tensor(NamedTuple):
    name: str
    kind: int
    start: int
    size: int | None
    at: int


class _Reading:
    """One pass over the tables."""

    def __init__(self, window: Window, watch: Watch) -> None:
        self._window, self._watch = window, watch
        self._place, self._wide, self._pairs = 0, True, 0
        self._order: ByteOrder = "little"
        self._alignment = 32
        self.notes: list[Note] = []
        self.problems: list[Problem] = []

    def _tell(self, message: str, kind: Literal["malformed", "truncated", "limit"] = "malformed") -> None:
        if len(self.problems) < _TOLD:
            self.problems.append(Problem(kind=kind, message=message, place=Place(offset=self._place)))

    def run(self) -> None:
        """Read what can be read; never raises but for the stream's own errors."""
        try:
            tensors = self._header()
            self._metadata()
            self._tensors(tensors)
        except _Broken:
            pass
        except LimitExceeded as error:
            self._tell(error.what, "limit")

    def _header(self) -> int:
        lead = self._take(8, "the header")
        if lead[:4] != MAGIC:
            self._tell("the bytes do not begin as GGUF")
            raise _Broken
        version = int.from_bytes(lead[4:], "little")
        if version & 0xFFFF == 0 and version:
            self._order, version = "big", int.from_bytes(lead[4:], "big")
        if version not in (1, 2, 3):
            self._tell(f"version {version} is none that readers know")
            raise _Broken
        self._wide = version > 1
        tensors = self._count("tensors", 8 if version == 1 else 24)
        self._pairs = self._count("pairs of metadata", 13 if self._wide else 9)
        return tensors

    def _count(self, what: str, least: int) -> int:
        """Read a count; one that the file cannot hold is a lie that readers multiply into small allocations."""
        count = self._number(8 if self._wide else 4, f"the number of {what}")
        if count * least > self._window.size:
            self._tell(f"announces {count} {what}, more than {self._window.size} bytes can hold")
            raise _Broken
        return count

    def _metadata(self) -> None:
        seen: set[str] = set()
        for _ in range(self._pairs):
            self._watch.tick()
            at = self._place
            key = self._string("a key", KEY_BYTES)
            if key in seen:
                self._tell(f"the key {key[:80]!r} is there twice: readers take different ones")
            seen.add(key)
            kind = self._number(4, "the type of a value")
            self._value(key, kind, at)

    def _value(self, key: str, kind: int, at: int) -> None:
        if kind == STRING:
            text = self._string(f"the value of {key[:60]!r}", self._window.size)
            self._note(key, text, at)
        elif kind == ARRAY:
            self._array(key, at, 0)
        elif kind in VALUE_BYTES:
            raw = self._take(VALUE_BYTES[kind], f"the value of {key[:60]!r}")
            if key == "general.alignment":
                self._aligned(kind, int.from_bytes(raw, self._order))
            elif kind == 7 and raw[0] > 1:
                self._tell(f"{key[:60]!r} is a truth value of {raw[0]}")
        else:
            self._tell(f"{key[:60]!r} has the unknown type {kind}")
            raise _Broken

    def _aligned(self, kind: int, value: int) -> None:
        if kind != 4 or value == 0 or value & (value - 1):
            self._tell(f"an alignment of {value} (type {kind}), which is no power of two of type 4")
            return
        self._alignment = value

    def _array(self, key: str, at: int, depth: int) -> None:
        kind = self._number(4, "the type of an array")
        count = self._number(8 if self._wide else 4, "the length of an array")
        if depth >= _NESTED:
            self._tell(f"{key[:60]!r} nests arrays more than {_NESTED} deep")
            raise _Broken
        least = VALUE_BYTES.get(kind, 8 if kind == STRING else 12 if kind == ARRAY else 0)
        if least == 0:
            self._tell(f"{key[:60]!r} is an array of the unknown type {kind}")
            raise _Broken
        if count * (least if self._wide or kind in VALUE_BYTES else 4) > self._window.size - self._place:
            self._tell(f"{key[:60]!r} announces {count} elements, more than the file holds")
            raise _Broken
        if kind in VALUE_BYTES:
            self._skip(count * least)
            return
        for index in range(count):
            self._watch.tick()
            if kind == ARRAY:
                self._array(key, at, depth + 1)
            elif count <= 256 or "template" in key:
                self._note(f"{key}[{index}]", self._string(f"an element of {key[:60]!r}", self._window.size), at)
            else:
                self._skip_string(key)

    def _note(self, key: str, text: str, at: int) -> None:
        """Keep a text: templates under a name of their own, for the rules that judge them."""
        if len(self.notes) >= _NOTES:
            return
        named = key.startswith("tokenizer.chat_template") and not key.startswith("tokenizer.chat_templates")
        if named or has_template(text):
            kind = template_kind(text, named=named)
            self.notes.append(Note(name=f"template:{kind}:{key[:100]}", text=text, place=Place(offset=at)))
        else:
            self.notes.append(Note(name=f"metadata:{key[:100]}", text=text[:_TEXT], place=Place(offset=at)))

    def _tensors(self, count: int) -> None:
        found: list[_Tensor] = []
        seen: set[str] = set()
        for _ in range(count):
            self._watch.tick()
            at = self._place
            name = self._string("the name of a tensor", self._window.size)
            if name in seen:
                self._tell(f"the tensor {name[:80]!r} is there twice")
            seen.add(name)
            if len(name.encode()) >= NAME_BYTES:
                self._tell(f"the tensor {name[:80]!r} has a name of {len(name)} characters, more than readers keep")
            found.append(self._tensor(name, at))
        data = -(-self._place // self._alignment) * self._alignment
        self._tiling(found, data)

    def _tensor(self, name: str, at: int) -> _Tensor:
        dimensions = self._number(4, "the dimensions of a tensor")
        if dimensions > DIMENSIONS:
            self._tell(f"the tensor {name[:80]!r} has {dimensions} dimensions")
            raise _Broken
        width = 8 if self._wide else 4
        shape = [self._number(width, "a dimension") for _ in range(dimensions)]
        kind = self._number(4, "the type of a tensor")
        start = self._number(8, "the offset of a tensor")
        elements = 1
        for one in shape:
            elements *= one
        if elements >= _OVERFLOW or any(one >= _OVERFLOW or one == 0 for one in shape):
            self._tell(f"the tensor {name[:80]!r} has the shape {shape}, which overflows or is empty")
            return _Tensor(name, kind, start, None, at)
        layout = TENSOR_TYPES.get(kind)
        if layout is None:
            self._tell(
                f"the tensor {name[:80]!r} has the type {kind}: its size is not known",
                "limit" if kind < 80 else "malformed",
            )
            return _Tensor(name, kind, start, None, at)
        if shape and shape[0] % layout.elements:
            self._tell(
                f"the tensor {name[:80]!r} has rows of {shape[0]}, no multiple of its block of {layout.elements}"
            )
        return _Tensor(name, kind, start, elements // layout.elements * layout.size, at)

    def _tiling(self, tensors: list[_Tensor], data: int) -> None:
        """Hold every tensor's place against its neighbours and the end of the file."""
        size = self._window.size - data
        position = 0
        for one in sorted(tensors, key=lambda tensor: tensor.start):
            self._place = one.at
            label = f"the tensor {one.name[:80]!r}"
            if one.start % self._alignment:
                self._tell(f"{label} begins at {one.start}, no multiple of {self._alignment}")
            if one.size is None:
                position = max(position, one.start)
                continue
            if one.start + one.size > max(0, size):
                self._tell(
                    f"{label} lies at {one.start} to {one.start + one.size}, beyond the {max(0, size)} bytes of data"
                )
            elif one.start < position:
                self._tell(f"{label} overlaps the one before it")
            elif one.start - position >= 2 * self._alignment and all(t.size is not None for t in tensors):
                self._tell(f"{one.start - position} bytes before {label} belong to none")
            position = max(position, one.start + one.size)
        self._place = data + position
        if size - position > max(self._alignment, 4096) and all(one.size is not None for one in tensors):
            self._tell(f"{size - position} bytes after the last tensor belong to none")

    def _number(self, size: int, what: str) -> int:
        return int.from_bytes(self._take(size, what), self._order)

    def _take(self, count: int, what: str) -> bytes:
        raw = self._window.at(self._place, count)
        if len(raw) < count:
            self._tell(f"breaks off in {what}", "truncated")
            raise _Broken
        self._place += count
        return raw

    def _string(self, what: str, cap: int) -> str:
        length = self._length(what)
        if length > cap:
            self._tell(f"{what} of {length} bytes is longer than the {cap} allowed")
            raise _Broken
        if length > _TEXT:
            self._tell(f"{what} of {length} bytes was read only to its first {_TEXT}", "limit")
        raw = self._window.at(self._place, min(length, _TEXT))
        self._place += length
        return raw.decode("utf-8", "backslashreplace")

    def _length(self, what: str) -> int:
        length = self._number(8 if self._wide else 4, f"the length of {what}")
        if length > self._window.size - self._place:
            self._tell(f"{what} announces {length} bytes, more than the file holds")
            raise _Broken
        return length

    def _skip(self, count: int) -> None:
        self._place += count

    def _skip_string(self, key: str) -> None:
        self._skip(self._length(f"an element of {key[:60]!r}"))
