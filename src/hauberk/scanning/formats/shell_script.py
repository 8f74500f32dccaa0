"""Shell scripts: each logical line an instruction, so that the rules of build files read start scripts too."""

from __future__ import annotations

import re
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Instruction, Place
from hauberk.scanning.shell_lines import MOST_BYTES, logical_lines
from hauberk.scanning.text import read_text

_SHEBANG = re.compile(rb"#![^\n]*/(?:env )?(?:ba|da|z|k)?sh\b")


class ShellScript:
    """Read .sh and .bash files and scripts that begin with a shell's shebang; nothing is run."""

    card: ClassVar[Card] = Card(
        title="Shell script",
        summary="Commands line by line; control flow is not followed.",
        suffixes=(".sh", ".bash"),
        begins=("#!",),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept by ending or shebang."""
        return blob.name.endswith((".sh", ".bash")) or _SHEBANG.match(blob.head) is not None

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - no parts
        """Read every logical line."""
        if blob.size > MOST_BYTES:
            raise LimitExceeded(f"{blob.size} bytes are more than the {MOST_BYTES} of a script", fix="look by hand")
        read = read_text(blob, limits)
        instructions = tuple(
            Instruction(keyword="RUN", value=line.text, place=Place(line=line.number, end_line=line.last))
            for line in logical_lines(read.text)
        )
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="shell_script",
            size=blob.size,
            digest=read.digest,
            instructions=instructions,
        )
