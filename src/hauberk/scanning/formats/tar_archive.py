"""Tar archives, legacy torch tars among them: every member read, the first of a name as well as the last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Place, Problem, Reference
from hauberk.scanning.members import too_much, unsafe_name
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

_BLOCK = 512
_REGULAR, _LINKS, _SPECIAL = b"\x00" + b"07", b"12", b"346"


class TarArchive:
    """Walk a tar's headers; GNU long names and pax paths are followed, links and special files are stated."""

    card: ClassVar[Card] = Card(
        title="Tar archive",
        summary="Tar files with every member read, also those a later one of the same name would replace.",
        paper="POSIX.1-2001 pax; GNU tar manual, Basic Tar Format",
        suffixes=(".tar", ".nemo", ".mar", ".pt"),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept a first header whose checksum is right."""
        return blob.size >= _BLOCK and len(blob.head) >= _BLOCK and _checksum_right(blob.head[:_BLOCK])

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:
        """Read every member within the limits."""
        problems: list[Problem] = []
        references: list[Reference] = []
        parts: list[Artifact] = []
        names: Counter[str] = Counter()
        with blob.open() as stream:
            window, watch, left = Window(stream, blob.size), Watch(limits), limits.total_bytes
            try:
                for member in _members(window, watch, problems):
                    names[member.name] += 1
                    if names.total() > limits.members:
                        raise LimitExceeded(f"more than {limits.members} members")
                    references.extend(_odd(member))
                    if member.kind not in _REGULAR:
                        continue
                    cap = min(limits.member_bytes, left)
                    if member.size > cap:
                        problems.append(Problem(kind="limit", message=too_much(member.name, member.size, cap)))
                    data = window.at(member.data, min(member.size, cap))
                    left -= len(data)
                    parts.extend(descend(member.name, data))
            except LimitExceeded as error:
                problems.append(Problem(kind="limit", message=error.what))
        for name, count in names.items():
            if count > 1:
                message = f"{count} members are named {name[:100]!r}: readers take different ones"
                problems.append(Problem(kind="disagreement", message=message))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="tar_archive",
            size=blob.size,
            references=tuple(references),
            problems=tuple(problems),
            parts=tuple(parts),
        )


class _Member(NamedTuple):
    name: str
    kind: bytes
    size: int
    data: int
    target: str


def _odd(member: _Member) -> Iterator[Reference]:
    place = Place(offset=member.data - _BLOCK)
    if unsafe_name(member.name):
        yield Reference(kind="member-path", value=member.name, place=place)
    if member.kind in _LINKS and member.kind:
        yield Reference(kind="member-link", value=f"{member.name} -> {member.target}", place=place)
    elif member.kind in _SPECIAL and member.kind:
        yield Reference(kind="member-path", value=f"{member.name} (device or pipe)", place=place)


def _members(window: Window, watch: Watch, problems: list[Problem]) -> Iterator[_Member]:
    offset, long_name, empty = 0, "", 0
    while offset + _BLOCK <= window.size and empty < 2:
        watch.tick(16)
        header = window.at(offset, _BLOCK)
        if not header.strip(b"\x00"):
            empty, offset = empty + 1, offset + _BLOCK
            continue
        empty, size = 0, _number(header[124:136])
        if size is None or not _checksum_right(header):
            problems.append(Problem(kind="malformed", message="a tar header is broken", place=Place(offset=offset)))
            return
        kind, data = header[156:157], offset + _BLOCK
        if data + size > window.size:
            message = f"a member announces {size} bytes, {window.size - data} are left"
            problems.append(Problem(kind="truncated", message=message, place=Place(offset=offset)))
            size = window.size - data
        if kind in (b"L", b"x"):
            text = window.at(data, min(size, 1 << 16))
            long_name = _text(text.rstrip(b"\x00")) if kind == b"L" else (_pax_path(text) or long_name)
        elif kind not in (b"g", b"K"):
            yield _Member(long_name or _name(header), kind, size, data, _text(header[157:257]))
            long_name = ""
        offset = data + -(-size // _BLOCK) * _BLOCK


def _name(header: bytes) -> str:
    prefix = _text(header[345:500]) if header[257:262] == b"ustar" else ""
    return f"{prefix}/{_text(header[:100])}" if prefix else _text(header[:100])


def _text(raw: bytes) -> str:
    return raw.partition(b"\x00")[0].decode("utf-8", "backslashreplace")


def _pax_path(text: bytes) -> str:
    for line in text.split(b"\n"):
        key, _, value = line.partition(b" ")[2].partition(b"=")
        if key == b"path":
            return _text(value)
    return ""


def _number(raw: bytes) -> int | None:
    """Read an octal field, or a base-256 one; None where it is neither."""
    if raw[:1] and raw[0] & 0x80:
        return int.from_bytes(raw[1:], "big")
    text = raw.strip(b"\x00 ")
    try:
        return int(text, 8) if text else 0
    except ValueError:
        return None


def _checksum_right(header: bytes) -> bool:
    given = _number(header[148:156])
    return bool(header[0]) and given is not None and given == sum(header[:148]) + sum(header[156:]) + 8 * 32
