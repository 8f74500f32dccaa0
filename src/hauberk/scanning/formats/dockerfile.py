"""Dockerfiles: instructions by build stage; continued lines, heredocs and build arguments read as a builder would."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import ClassVar

import msgspec

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Instruction, Place, Problem
from hauberk.scanning.shell_lines import MOST_BYTES, logical_lines
from hauberk.scanning.text import read_text

_NAME = re.compile(r"(.*[._-])?(dockerfile|containerfile)([._-].*)?")
_NOT = (".py", ".ipynb", ".md", ".rst", ".html", ".json", ".dockerignore", ".lock", ".png")
_ESCAPE = re.compile(r"\A(?:\s*#[^\n]*\n)*?\s*#\s*escape\s*=\s*(\S)", re.I)
_INSTRUCTION = re.compile(r"([A-Za-z]+)(?:\s+(.*))?$", re.S)
_HEREDOC = re.compile(r"<<-?\s*([\"']?)([A-Za-z_][A-Za-z0-9_]*)\1")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)(?::?[-+]([^}]*))?\}|([A-Za-z_]\w*))")
_KEYWORDS = frozenset(
    ["ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER",
     "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"]
)  # fmt: skip


class Dockerfile:
    """Read the instructions; ENV and ARG become one instruction a variable, JSON forms become shell text."""

    card: ClassVar[Card] = Card(
        title="Dockerfile",
        summary="Build instructions by stage, as the builder reads them; nothing is built.",
        paper="Dockerfile reference, docker/dockerfile 1",
        suffixes=("dockerfile", "containerfile"),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept by name."""
        return _NAME.fullmatch(blob.name) is not None and not blob.name.endswith(_NOT) and b"\x00" not in blob.head

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - stages are no files
        """Read every instruction."""
        if blob.size > MOST_BYTES:
            raise LimitExceeded(f"{blob.size} bytes are more than the {MOST_BYTES} of a Dockerfile", fix="look by hand")
        read = read_text(blob, limits)
        directive = _ESCAPE.match(read.text)
        text, documents = _cut_heredocs(read.text)
        found: list[Instruction | Problem] = []
        stage, stages = "", 0
        arguments: dict[str, str] = {}
        for line in logical_lines(text, directive[1] if directive else "\\"):
            place = Place(line=line.number, end_line=line.last)
            match = _INSTRUCTION.match(line.text)
            if match is None or match[1].upper() not in _KEYWORDS:
                found.append(Problem(kind="malformed", message=f"not an instruction: {line.text[:60]}", place=place))
                continue
            keyword, value = match[1].upper(), (match[2] or "").strip()
            if keyword == "FROM":
                value = _expand(value, arguments)
                named = re.search(r"\s+AS\s+(\S+)\s*$", value, re.I)
                stage, stages = named[1].lower() if named else str(stages), stages + 1
            if keyword == "ARG" and not stages:
                name, _, default = value.partition("=")
                arguments[name.strip()] = default.strip().strip("\"'")
            for number in range(line.number, line.last + 1):
                value += documents.get(number, "")
            found.extend(
                Instruction(keyword=keyword, value=piece, stage=stage, place=place) for piece in _pieces(keyword, value)
            )
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="dockerfile",
            size=blob.size,
            digest=read.digest,
            instructions=tuple(item for item in found if isinstance(item, Instruction)),
            problems=tuple(item for item in found if isinstance(item, Problem)),
        )


def _cut_heredocs(text: str) -> tuple[str, dict[int, str]]:
    """Take heredocs out; return the rest with line numbers kept, and the bodies by opening line."""
    lines = text.split("\n")
    ends = {line.strip(): at for at, line in enumerate(lines)}
    bodies: dict[int, str] = {}
    index = 0
    while index < len(lines):
        opening = index
        marks = _HEREDOC.findall(lines[index]) if not lines[index].lstrip().startswith("#") else []
        for _, word in marks:
            if ends.get(word, -1) <= index:
                break
            end = next(at for at in range(index + 1, len(lines)) if lines[at].strip() == word)
            body = lines[index + 1 : end]
            bodies[opening + 1] = bodies.get(opening + 1, "") + "\n" + "\n".join(body)
            lines[index + 1 : end + 1] = [""] * (end - index)
            index = end
        index += 1
    return "\n".join(lines), bodies


def _expand(value: str, arguments: dict[str, str]) -> str:
    """Put in build arguments that have a default, as FROM does; others stay as they are."""
    return _VARIABLE.sub(lambda match: arguments.get(match[1] or match[3]) or match[2] or match[0], value)


def _pieces(keyword: str, value: str) -> Iterator[str]:
    if keyword in ("ENV", "ARG", "LABEL"):
        yield from _pairs(value)
    elif value.startswith("[") and keyword in ("RUN", "CMD", "ENTRYPOINT", "SHELL"):
        yield _joined(value)
    else:
        yield value


def _joined(value: str) -> str:
    try:
        return shlex.join(msgspec.json.decode(value.encode(), type=list[str]))
    except msgspec.DecodeError:
        return value


def _pairs(value: str) -> Iterator[str]:
    """Split `A=1 B="two words"` into its variables; the old form `A two words` is one."""
    first = value.split(None, 1)
    if first and "=" not in first[0] and len(first) == 2:
        yield f"{first[0]}={first[1]}"
        return
    try:
        words = shlex.split(value)
    except ValueError:
        words = value.split()
    yield from words
