"""Tar archives, legacy torch tars and image layers among them: every member read, the first of a name and the last."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Place, Problem, Reference
from hauberk.scanning.members import below_links, colliding, deceiving_name, repeated, unsafe_name
from hauberk.scanning.stretch import Content, Stretch, first
from hauberk.scanning.tar_records import (
    BLOCK,
    FOLDER,
    HARD_LINK,
    SPECIAL,
    SYMBOLIC_LINK,
    VOLUME,
    Member,
    checksum_right,
    members,
)
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

_IN_PLACE = 1 << 20
_HEADERS = 1 << 16
_TOLD = 50
_ROOT_FOLDERS = frozenset({"bin", "boot", "dev", "etc", "home", "lib", "lib64", "opt", "proc", "root", "run", "sbin",
                           "srv", "sys", "usr", "var"})  # fmt: skip
_LAYER = 2
"""So many of a system's own folders make a tar a layer of an image, where absolute links are the rule."""
_MODELS = (".nemo", ".mar", ".pt", ".pth", ".ckpt", ".keras", ".model")
_TORCH = {"sys_info", "pickle", "storages"}
"""What torch.save wrote until 2017, and torch.load still reads by another way than zips."""
_PROGRAMS = (b"\x7fELF", b"MZ\x90\x00", b"\xcf\xfa\xed\xfe")


class TarArchive:
    """Walk a tar's headers; GNU long names and pax records are followed, links and special files are stated."""

    card: ClassVar[Card] = Card(
        title="Tar archive",
        summary="Tar files with every member read, also those a later one of the same name would replace.",
        paper="POSIX.1-2001 pax; GNU tar manual, Basic Tar Format; OCI image layer specification",
        suffixes=(".tar", ".nemo", ".mar", ".pt"),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept a first header whose checksum is right."""
        return blob.size >= BLOCK and len(blob.head) >= BLOCK and checksum_right(blob.head[:BLOCK])

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:
        """Read every member; none is unpacked, so only their number is limited."""
        problems: list[Problem] = []
        parts: list[Artifact] = []
        seen: list[Member] = []
        programs: list[Reference] = []
        with blob.open() as stream:
            window = Window(stream, blob.size, _HEADERS)
            try:
                for member in members(window, Watch(limits), problems):
                    seen.append(member)
                    if len(seen) > limits.members:
                        raise LimitExceeded(f"more than {limits.members} members")
                    if member.kind == VOLUME or member.sparse:
                        problems.append(_unread(member))
                    elif member.size:
                        content = _content(blob, window, member)
                        programs.extend(_programs(blob, member, content))
                        parts.extend(descend(member.name.rstrip("/"), content))
            except LimitExceeded as error:
                problems.append(Problem(kind="limit", message=error.what))
        problems.extend(_clashes(blob, seen))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="tar_archive",
            size=blob.size,
            references=(*_references(seen), *programs),
            notes=(Note(name="layout", text="root filesystem"),) if _is_layer(blob, seen) else (),
            problems=tuple(problems),
            parts=tuple(parts),
        )


def _content(blob: Blob, window: Window, member: Member) -> Content:
    if member.size > _IN_PLACE:
        return Stretch(blob.open, member.data, member.size)
    return window.at(member.data, member.size)


def _unread(member: Member) -> Problem:
    what = "continues on another volume" if member.kind == VOLUME else "is sparse"
    return Problem(kind="limit", message=f"member {member.name[:100]!r} {what}: its content was not read")


def _clashes(blob: Blob, seen: list[Member]) -> Iterator[Problem]:
    files = [member.name for member in seen if member.kind != FOLDER]
    for message in islice(repeated(files), _TOLD):
        yield Problem(kind="disagreement", message=message)
    for message in islice(colliding(files), 0 if _is_layer(blob, seen) else _TOLD):
        yield Problem(kind="mismatch", message=message)


def _references(seen: list[Member]) -> Iterator[Reference]:
    for member in seen:
        place = Place(offset=member.data - BLOCK)
        if unsafe_name(member.name) or deceiving_name(member.name):
            yield Reference(kind="member-path", value=member.name, place=place)
        if member.kind == SYMBOLIC_LINK:
            yield Reference(kind="member-link", value=f"{member.name} -> {member.target}", place=place)
        elif member.kind == HARD_LINK:
            yield Reference(kind="member-hardlink", value=f"{member.name} -> {member.target}", place=place)
        elif member.kind in SPECIAL:
            yield Reference(kind="member-device", value=member.name, place=place)
    if {member.name.removeprefix("./") for member in seen} >= _TORCH:
        yield Reference(kind="legacy-torch", value="tar")
    links = [member.name for member in seen if member.kind == SYMBOLIC_LINK]
    for name, link in below_links((member.name for member in seen), links):
        yield Reference(kind="member-below-link", value=f"{name} through {link}")


def _programs(blob: Blob, member: Member, content: Content) -> Iterator[Reference]:
    """State a native program or library in a model's archive; elsewhere, as in images, they are what is expected."""
    if blob.name.endswith(_MODELS) and first(content, 4).startswith(_PROGRAMS):
        yield Reference(kind="native-code", value=member.name, place=Place(offset=member.data))


def _is_layer(blob: Blob, seen: list[Member]) -> bool:
    tops = {member.name.removeprefix("./").partition("/")[0] for member in seen}
    return len(tops & _ROOT_FOLDERS) >= _LAYER and not blob.name.endswith(_MODELS)
