"""Environment files (.env) and systemd units: variables, and the commands a unit starts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Instruction, Place
from hauberk.scanning.shell_lines import MOST_BYTES
from hauberk.scanning.text import is_text, read_text

_NAME = re.compile(
    r"\.env(?:rc)?(?:[._-].*)?|.*\.env|env\.(?:example|sample|template|prod\w*|dev\w*|local)|.*\.service"
)
_VARIABLE = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.]*)[ \t]*=[ \t]*(.*?)[ \t]*$")
_UNIT_VARIABLE = re.compile(r"\"?([A-Za-z_]\w*)=((?:[^\s\"]|\"[^\"]*\")*)\"?")


class EnvironmentFile:
    """Read variables as ENV; of a unit its ExecStart lines as CMD and its User too."""

    card: ClassVar[Card] = Card(
        title="Environment file",
        summary="Variables of .env files and systemd units, and the commands a unit starts.",
        suffixes=(".env", ".service"),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept by name."""
        return _NAME.fullmatch(blob.name) is not None and not blob.name.endswith((".py", ".md")) and is_text(blob.head)

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - no parts
        """Read every line."""
        if blob.size > MOST_BYTES:
            raise LimitExceeded(f"{blob.size} bytes are more than the {MOST_BYTES} of such a file", fix="look by hand")
        read = read_text(blob, limits)
        lines = _unit(read.text) if blob.name.endswith(".service") else _variables(read.text)
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="environment_file",
            size=blob.size,
            digest=read.digest,
            instructions=tuple(lines),
        )


def _variables(text: str) -> Iterator[Instruction]:
    for number, line in enumerate(text.split("\n"), 1):
        match = _VARIABLE.match(line)
        if match is not None:
            value = _bare(match[2])
            yield Instruction(keyword="ENV", value=f"{match[1]}={value}", place=Place(line=number))


def _bare(value: str) -> str:
    """Take quotes and a trailing comment off."""
    if value[:1] in ("'", '"'):
        return value[1:].partition(value[0])[0]
    return value.partition(" #")[0].rstrip()


def _unit(text: str) -> Iterator[Instruction]:
    for number, line in enumerate(text.split("\n"), 1):
        key, _, value = line.strip().partition("=")
        if key == "Environment":
            for name, setting in _UNIT_VARIABLE.findall(value):
                yield Instruction(keyword="ENV", value=f"{name}={setting}", place=Place(line=number))
        elif key in ("ExecStart", "ExecStartPre", "ExecStartPost"):
            yield Instruction(keyword="CMD", value=value.lstrip("-@:+!"), place=Place(line=number))
