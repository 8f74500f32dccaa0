"""LICENSE and COPYING files: which licence the words are."""

from __future__ import annotations

import re
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note
from hauberk.scanning.licences import of_text
from hauberk.scanning.text import is_text, read_text

_NAME = re.compile(r"(?:un)?licen[cs]e(?:[._-][\w.-]*)?|copying(?:[._-][\w.-]*)?")


class LicenceText:
    """Recognise the common licences by their own words."""

    card: ClassVar[Card] = Card(
        title="Licence text",
        summary="Which licence a LICENSE or COPYING file holds, as an SPDX identifier.",
        paper="SPDX licence list",
        suffixes=("license", "licence", "copying", ".md", ".txt", ".rst"),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept by name."""
        return _NAME.fullmatch(blob.name) is not None and is_text(blob.head)

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - no parts
        """Look for the words."""
        read = read_text(blob, limits)
        found = of_text(read.text)
        notes = (Note(name="licence", text=found),) if found else ()
        return Artifact(
            path=blob.path, part=blob.part, format="licence_text", size=blob.size, digest=read.digest, notes=notes
        )
