"""A file from the network is added unchecked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft

_ADDRESS = re.compile(r"(?i)(?:^|\s|[\"'\[])https?://")


class RemoteAdd:
    """Find ADD of an address without a checksum.

    The builder takes whatever the server sends that day, a replaced model too. Write
    `ADD --checksum=sha256:… <address>`, or copy a reviewed file.
    """

    card: ClassVar[Card] = Card(
        title="Remote ADD",
        summary="A file from the network is added unchecked.",
        paper="CWE-494; MITRE ATLAS AML.T0010",
        threats=("CWE-494", "AML.T0010"),
        severity="medium",
        reads=("instructions",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every ADD."""
        for item in artifact.instructions:
            if item.keyword == "ADD" and _ADDRESS.search(item.value) and "--checksum=" not in item.value:
                yield Draft(
                    message="ADD takes whatever the address serves on the day of the build",
                    fix="write ADD --checksum=sha256:… or copy a reviewed file",
                    severity="high" if item.value.lower().find("http://") >= 0 else "medium",
                    place=item.place,
                )
