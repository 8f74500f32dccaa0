"""Programs, scripts, archives and pickles hidden among weights, told from chance by their structure.

Weights are random bytes to the eye: two or four magic bytes appear in them every few megabytes, so each find must also
hold as the header it claims to be.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, NamedTuple

from hauberk.scanning.artifact import Place, Reference

WHOLE = 8 << 20
"""Weights up to so many bytes are searched whole; of more, the beginnings of tensors and a sample of the rest."""
_CHUNK = 1 << 17
_SAMPLE = 1 << 14
_SAMPLES = 48
_OVERLAP = 4096
_BEGINNINGS = 4096
_BEGINNING_BYTES = 1 << 19
"""Of all beginnings together; each has at least a header's length."""
_SPANS = 4096
_TOLD = 20
_MACHINES = frozenset({2, 3, 8, 20, 21, 22, 40, 42, 50, 62, 183, 190, 243, 258})
"""ELF e_machine of processors in use."""
_PE_MACHINES = frozenset({0x14C, 0x8664, 0x1C0, 0x1C4, 0xAA64, 0x200, 0x5032, 0x5064})
_SHEBANG = re.compile(rb"#!\s?/(?:usr/|bin/|opt/|nix/)[\w./ -]{2,80}\n")
_PHP = re.compile(rb"<\?php\s")
_HTML = re.compile(rb"<script[\s>]")
_SHELL = re.compile(rb"powershell(?:\.exe)? -\w|/bin/(?:ba)?sh -[ci]\b|(?:curl|wget) (?:-\S{1,20} ){0,4}https?://\w")
_PYTHON = re.compile(
    rb"import (?:os|subprocess|socket|pty)[\s,;]|__import__\(['\"]|base64\.b64decode\("
    rb"|(?:eval|exec)\((?:compile|__import__|base64)"
)
_PICKLE = re.compile(
    rb"c(?:os|posix|nt|subprocess|builtins|__builtin__|runpy|pty)\n[A-Za-z_]\w{1,30}\n"
    rb"|\x8c.(?:os|posix|nt|subprocess|builtins|__builtin__|runpy|pty)\x94?\x8c.[A-Za-z_]\w{1,30}\x94?\x93"
)


_ADDRESS = re.compile(rb"https?://(?:[a-z0-9-]{1,63}\.){1,4}[a-z]{2,12}[/:?][\x21-\x7e]{2,}")
_PRINTABLE = bytes(1 if 32 <= byte < 127 or byte in (9, 10, 13) else 0 for byte in range(256))
_RUN = bytes([1]) * 9
"""Text among weights is a run of printable bytes: where there is none no text is looked for."""


class _Kind(NamedTuple):
    """magic: bytes one of which it begins with; holds: whether what follows is such a thing; text: it is a text.

    back: bytes that stand before the magic, where only the end of it is searched for.
    """

    title: str
    magic: tuple[bytes, ...]
    holds: Callable[[bytes], object]
    text: bool = False
    back: int = 0


def _elf(head: bytes) -> bool:
    if len(head) < 52 or head[4] not in (1, 2) or head[5] not in (1, 2) or head[6] != 1 or head[7] > 18:
        return False
    order = "<" if head[5] == 1 else ">"
    kind, machine, version = struct.unpack_from(f"{order}HHI", head, 16)
    return kind in (1, 2, 3, 4) and machine in _MACHINES and version == 1


def _pe(head: bytes) -> bool:
    if len(head) < 64:
        return False
    place = int.from_bytes(head[60:64], "little")
    if not 64 <= place <= len(head) - 24 or head[place : place + 4] != b"PE\x00\x00":
        return False
    machine, sections = struct.unpack_from("<HH", head, place + 4)
    return machine in _PE_MACHINES and 0 < sections <= 96


def _mach(head: bytes) -> bool:
    if len(head) < 28:
        return False
    order = "<" if head[3] == 0xFE or head[0] in (0xCE, 0xCF) else ">"
    processor, _, kind, commands, size = struct.unpack_from(f"{order}5I", head, 4)
    return processor & 0xFEFFFFFF in (7, 12, 18) and 1 <= kind <= 12 and 0 < commands < 1000 and size < 1 << 20


def _zip(head: bytes) -> bool:
    if len(head) < 31:
        return False
    version, flags, method = struct.unpack_from("<HHH", head, 4)
    size = int.from_bytes(head[26:28], "little")
    name = head[30 : 30 + min(size, 64)]
    return version & 0xFF <= 63 and not flags & 0xC000 and method in (0, 8, 9, 12, 14, 93, 95, 99) and _word(name, size)


def _word(name: bytes, size: int) -> bool:
    return 0 < size < 1024 and all(32 <= byte < 127 for byte in name)


def _seven(head: bytes) -> bool:
    return len(head) >= 32 and head[6] == 0 and head[7] <= 4


_KINDS = (
    _Kind("an ELF program", (b"\x7fELF",), _elf),
    _Kind("a Windows program", (b"MZ",), _pe),
    _Kind("a macOS program", (b"\xfa\xed\xfe",), _mach, back=1),
    _Kind("a macOS program", (b"\xfe\xed\xfa",), _mach),
    _Kind("a zip archive", (b"PK\x03\x04",), _zip),
    _Kind("a 7z archive", (b"7z\xbc\xaf\x27\x1c",), _seven),
    _Kind("a RAR archive", (b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01"), bool),
    _Kind("a script", (b"#!/", b"#! /"), _SHEBANG.match, text=True),
    _Kind("a PHP script", (b"<?php",), _PHP.match, text=True),
    _Kind("an HTML script", (b"<script",), _HTML.match, text=True),
    _Kind("shell commands", (b"powershell", b"/bin/sh -", b"/bin/bash -", b"curl ", b"wget "), _SHELL.match, text=True),
    _Kind("Python code", (b"import ", b"__import__(", b"base64.b64decode(", b"eval(", b"exec("), _PYTHON.match, True),
    _Kind("an address", (b"https://", b"http://"), _ADDRESS.match, text=True),
    _Kind(
        "a pickle that names a dangerous module",
        (b"cos\n", b"cposix\n", b"cnt\n", b"csubprocess\n", b"cbuiltins\n"),
        _PICKLE.match,
        text=True,
    ),
    _Kind(
        "a pickle that names a dangerous module",
        (b"\x8c\x02os", b"\x8c\x05posix", b"\x8c\x02nt", b"\x8c\x0asubprocess", b"\x8c\x08builtins"),
        _PICKLE.match,
    ),
)  # fmt: skip


def payloads(
    stream: BinaryIO, size: int, spans: Iterable[tuple[int, int]], gap: int = _OVERLAP
) -> tuple[Reference, ...]:
    """Search the spans (start, stop) of a file's weights, and state what is found as references of kind "payload".

    Where only a share of them is searched, the spans are stated too, in a reference of kind "weights-spans", so that
    who reads every byte for another reason can look at the rest. gap: spans nearer to each other are read as one.
    """
    found: dict[int, Reference] = {}
    joined = _joined(sorted(spans), size, gap)
    for start, stop in _pieces(joined):
        if len(found) >= _TOLD:
            break
        stream.seek(start)
        for title, place in in_bytes(stream.read(stop - start)):
            found.setdefault(start + place, Reference(kind="payload", value=title, place=Place(offset=start + place)))
    told = [found[place] for place in sorted(found)][:_TOLD]
    if sum(stop - start for start, stop in joined) > WHOLE:
        spans_told = " ".join(f"{start}-{stop}" for start, stop in joined[:_SPANS])
        told.append(Reference(kind="weights-spans", value=spans_told))
    return tuple(told)


def among_weights(stream: BinaryIO, places: Iterable[int], stated: Iterable[Reference]) -> Iterator[Reference]:
    """Look at places of a file where programs may begin, and yield those that do, inside the spans of its weights.

    stated: what `payloads` said of the same file, its spans among it.
    """
    facts = tuple(stated)
    told = (one.split("-") for fact in facts if fact.kind == "weights-spans" for one in fact.value.split())
    spans = [(int(start), int(stop)) for start, stop in told]
    known = {fact.place.offset for fact in facts if fact.kind == "payload"}
    for place in places:
        if place in known or not any(start <= place < stop for start, stop in spans):
            continue
        stream.seek(place)
        title = next((title for title, at in in_bytes(stream.read(_OVERLAP)) if at == 0), "")
        if title:
            yield Reference(kind="payload", value=title, place=Place(offset=place))


def in_bytes(data: bytes) -> Iterator[tuple[str, int]]:
    """Yield title and offset of the first payload of each kind in the bytes."""
    readable = _RUN in data.translate(_PRINTABLE)
    for kind in _KINDS:
        if kind.text and not readable:
            continue
        places = (place - kind.back for magic in kind.magic for place in _places(data, magic) if place >= kind.back)
        first = next((place for place in places if kind.holds(data[place : place + _OVERLAP])), None)
        if first is not None:
            yield kind.title, first


def _places(data: bytes, magic: bytes) -> Iterator[int]:
    place = data.find(magic)
    while place >= 0:
        yield place
        place = data.find(magic, place + 1)


def _joined(spans: list[tuple[int, int]], size: int, gap: int) -> list[tuple[int, int]]:
    """Join spans that nearly touch: many small tensors are one reading."""
    joined: list[tuple[int, int]] = []
    for start, stop in spans:
        stop = min(stop, size)
        if joined and start - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], max(joined[-1][1], stop))
        elif start < stop:
            joined.append((start, stop))
    return joined


def _pieces(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Cut the spans into pieces to read: all of them, or of many bytes the beginnings and evenly spaced ones."""
    total = sum(stop - start for start, stop in spans)
    if total <= WHOLE:
        for start, stop in spans:
            for place in range(start, stop, _CHUNK):
                yield place, min(stop, place + _CHUNK + _OVERLAP)
        return
    each = max(256, min(_OVERLAP, _BEGINNING_BYTES // len(spans)))
    for start, stop in spans if len(spans) <= _BEGINNINGS else spans[:: len(spans) // _BEGINNINGS + 1]:
        yield start, min(stop, start + each)
    step, wanted, passed = total // _SAMPLES, 0, 0
    for start, stop in spans:
        while wanted < passed + stop - start:
            place = start + wanted - passed
            yield place, min(stop, place + _SAMPLE)
            wanted += step
        passed += stop - start
    start, stop = spans[-1]
    yield max(start, stop - _SAMPLE), stop
