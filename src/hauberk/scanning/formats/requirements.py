"""Requirement files of pip: pins, hashes, direct references, included files and index options."""

from __future__ import annotations

import re
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Place, Problem, Reference, Requirement
from hauberk.scanning.requirement_lines import requirement
from hauberk.scanning.shell_lines import Line, logical_lines
from hauberk.scanning.text import read_text

_NAME = re.compile(r"(.*[._-])?(requirements|constraints|freeze)([._-].*)?\.(txt|in|lock)|requirements")
_HASH = re.compile(r"\s--hash[= ]\S+")
_COMMENT = re.compile(r"(^|\s)#.*$")
_OPTION = re.compile(r"(-[A-Za-z]|--[a-z-]+)(?:\s*=\s*|\s*)(.*)$")
_INCLUDES = {"-r": "file", "--requirement": "file", "-c": "file", "--constraint": "file"}


class Requirements:
    """Read requirements*.txt, constraints*.txt and what `pip freeze` writes."""

    card: ClassVar[Card] = Card(
        title="Requirement file",
        summary="Dependencies as pip reads them, with hashes, direct references, includes and index options.",
        paper="pip's requirements file format; PEP 508",
        suffixes=(".txt", ".in", ".lock", "requirements"),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept by name, or any .txt in a folder called requirements."""
        inner = (blob.part.rsplit("!", 1)[-1] or blob.path).lower()
        folder = inner.split("/")[-2:-1] == ["requirements"] and inner.endswith((".txt", ".in"))
        return (folder or _NAME.fullmatch(blob.name) is not None) and b"\x00" not in blob.head

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - includes are files
        """Read every logical line."""
        read = read_text(blob, limits)
        found: list[Requirement | Reference | Note | Problem] = []
        for line in logical_lines(read.text):
            found.extend(_line(line))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="requirements",
            size=blob.size,
            digest=read.digest,
            requirements=tuple(item for item in found if isinstance(item, Requirement)),
            references=tuple(item for item in found if isinstance(item, Reference)),
            notes=tuple(item for item in found if isinstance(item, Note)),
            problems=tuple(item for item in found if isinstance(item, Problem)),
        )


def _line(line: Line) -> list[Requirement | Reference | Note | Problem]:
    place = Place(line=line.number, end_line=line.last)
    hashed = _HASH.search(line.text) is not None
    text = _COMMENT.sub("", _HASH.sub("", line.text)).strip()
    if not text:
        return []
    option = _OPTION.match(text) if text.startswith("-") else None
    if option is None:
        text = re.split(r"\s--(?:config-settings|global-option|install-option)\b", text)[0]
        read = requirement(text, place, hashed)
        if read is None:
            return [Problem(kind="malformed", message=f"not a requirement: {text[:80]}", place=place)]
        return [read]
    name, value = option[1], option[2].strip()
    if name in _INCLUDES:
        return [Reference(kind=_INCLUDES[name], value=value, place=place)]
    if name in ("-e", "--editable"):
        read = requirement(value, place) if "://" in value or "+" in value else None
        return [read] if read is not None else [Reference(kind="file", value=value, place=place)]
    return [Note(name=f"option {_full(name)}", text=value, place=place)]


def _full(name: str) -> str:
    return {"-i": "--index-url", "-f": "--find-links"}.get(name, name)
