"""NumPy .npy files, one array or several in a row; arrays of objects hold a pickle, which is read."""

from __future__ import annotations

import ast
import re
from math import prod
from typing import ClassVar, NamedTuple

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Place, Problem
from hauberk.scanning.payloads import payloads
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

_MAGIC = b"\x93NUMPY"
_HEADER = 1 << 16
_NESTING = 40
_PYTHON_2 = re.compile(r"(\d)L(?=[,)])")
"""Python 2 wrote long counts with an L."""
_OBJECT = re.compile(r"[|<>=]?O\d*")
_SIMPLE = re.compile(r"[|<>=]?([biufcmMSUVa])(\d+)(\[[^\]]*\])?")


class NumpyArray:
    """Read the header without evaluating anything but literals; the numbers themselves are never looked at."""

    card: ClassVar[Card] = Card(
        title="NumPy array",
        summary="Arrays in .npy files; object arrays are pickles.",
        paper="NEP 1; numpy.lib.format",
        suffixes=(".npy",),
        begins=("\x93NUMPY",),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the magic bytes."""
        return blob.head.startswith(_MAGIC)

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:
        """Read each array's header; hand the pickle of an object array on."""
        problems: list[Problem] = []
        notes: list[Note] = []
        spans: list[tuple[int, int]] = []
        parts: tuple[Artifact, ...] = ()
        with blob.open() as stream:
            window, watch, offset = Window(stream, blob.size), Watch(limits), 0
            while offset < blob.size:
                watch.tick(64)
                header = _header(window, offset)
                if isinstance(header, Problem):
                    problems.append(header)
                    break
                notes.append(Note(name="dtype", text=str(header.descr)[:200], place=Place(offset=offset)))
                if _has_object(header.descr):
                    if blob.size - header.data > limits.member_bytes:
                        problems.append(
                            Problem(kind="limit", message="the pickle inside is larger than is read at once")
                        )
                    data = window.at(header.data, min(blob.size - header.data, limits.member_bytes))
                    parts = descend("objects.pkl", data)
                    break
                size = _bytes(header)
                if size is None:
                    break
                spans.append((header.data, header.data + size))
                offset = header.data + size
                if offset > blob.size:
                    message = f"{size} bytes are announced, {blob.size - header.data} are there"
                    problems.append(Problem(kind="truncated", message=message, place=Place(offset=header.data)))
            hidden = payloads(stream, blob.size, spans)
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="numpy_array",
            size=blob.size,
            references=hidden,
            notes=tuple(notes[:8]),
            problems=tuple(problems),
            parts=parts,
        )


class _Header(NamedTuple):
    descr: object
    shape: tuple[int, ...]
    data: int


def _header(window: Window, offset: int) -> _Header | Problem:
    lead = window.at(offset, 12)
    if lead[:6] != _MAGIC or len(lead) < 10:
        return _wrong("bytes that are no array follow", offset)
    wide = lead[6] >= 2
    length = int.from_bytes(lead[8:12] if wide else lead[8:10], "little")
    start = offset + (12 if wide else 10)
    if length > _HEADER or start + length > window.size:
        return _wrong(f"a header of {length} bytes", offset)
    text = window.at(start, length).decode("latin-1")
    if _nesting(text) > _NESTING:
        return _wrong(f"a header nested more than {_NESTING} deep", offset)
    try:
        fields = ast.literal_eval(_PYTHON_2.sub(r"\1", text.strip()))
        shape = tuple(fields["shape"])
        descr = fields["descr"]
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError):
        return _wrong("a header that is no dictionary of descr, fortran_order and shape", offset)
    if len(shape) > 64 or not all(isinstance(count, int) and 0 <= count < 1 << 62 for count in shape):
        return _wrong("a shape that is no tuple of counts", offset)
    return _Header(descr, shape, start + length)


def _wrong(message: str, offset: int) -> Problem:
    return Problem(kind="malformed", message=message, place=Place(offset=offset))


def _nesting(text: str) -> int:
    """Bound the depth of what would be parsed: brackets, and runs of prefix operators."""
    depth = deepest = 0
    for character in text:
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth -= 1
    return max(deepest, *(len(run) // 2 for run in re.findall(r"[-+~ ]{8,}(?=\S)", text)), 0)


def _has_object(descr: object) -> bool:
    """Look for an object type anywhere in a (structured) dtype; the nesting is bounded by the header's."""
    if isinstance(descr, str):
        return _OBJECT.fullmatch(descr) is not None
    return any(_has_object(item) for item in descr) if isinstance(descr, list | tuple) else False


def _bytes(header: _Header) -> int | None:
    """Count the data's bytes; None for a structured type, whose size is not worked out."""
    match = _SIMPLE.fullmatch(header.descr) if isinstance(header.descr, str) else None
    if match is None:
        return None
    return prod(header.shape) * int(match[2]) * (4 if match[1] == "U" else 1)
