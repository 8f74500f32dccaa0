"""A script from the network is run unread."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.build_instructions import COMMANDS

_SHELL = r"(?:sudo\s+(?:-\S+\s+)*)?(?:/\S*/)?(?:env\s+)?(?:ba|da|z|k)?sh\b|(?:/\S*/)?python[\d.]*\b"
_PIPED = re.compile(
    rf"(?:curl|wget|fetch)\b[^|;&\n]*https?[^|;&\n]*\|\s*(?:tee\s+\S+\s*\|\s*)?(?:{_SHELL}|sudo\b)"
    rf"|(?:{_SHELL})[^|;&\n]*(?:<\(|\$\(|`)\s*(?:curl|wget)\b"
)


class PipedInstaller:
    """Find `curl … | sh` and its kin in build files, start scripts and notebooks.

    Whoever controls the server, its name or the way to it runs code in the build, today or on the next one. Download a
    fixed version, check its digest, then run it.
    """

    card: ClassVar[Card] = Card(
        title="Piped installer",
        summary="A script from the network is run unread.",
        paper="CWE-494; MITRE ATLAS AML.T0010",
        threats=("CWE-494", "AML.T0010"),
        severity="high",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every command."""
        for item in artifact.instructions:
            if item.keyword in COMMANDS and _PIPED.search(item.value):
                yield Draft(
                    message="a script from the network is run unread",
                    fix="download a fixed version, check its sha256, then run it",
                    place=item.place,
                )
