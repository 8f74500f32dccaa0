"""The whole project is copied into the image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft

_WHOLE = re.compile(r"(?!.*--from=)(?:--\S+\s+)*(?:\[\s*[\"'])?\.{1,2}/?(?:[\"'],|\s)")


class CopiedContext:
    """Find `COPY .` and `ADD .`, which take whatever .dockerignore does not name.

    Notebooks, `.env`, `.git` and training data go along unnoticed. Name what is copied, or keep a .dockerignore that
    begins with `*`.
    """

    card: ClassVar[Card] = Card(
        title="Copied context",
        summary="The whole project is copied into the image.",
        paper="CWE-538",
        threats=("CWE-538",),
        severity="info",
        reads=("instructions",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every copy from the build's folder."""
        for item in artifact.instructions:
            if item.keyword in ("COPY", "ADD") and _WHOLE.match(item.value):
                yield Draft(
                    message="everything in the folder goes into the image, but for what .dockerignore names",
                    fix="name what is copied, or keep a .dockerignore that begins with *",
                    place=item.place,
                )
