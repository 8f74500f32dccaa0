"""A secret is baked into the image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft

_NAME = re.compile(r"(?i)(.*_)?(api_?key|apikey|secret|secret_key|access_key|token|password|passwd|credentials?|auth)")
_HARMLESS = re.compile(r"(?i)(.*_)?(eos|bos|pad|unk|max|min|num|stop)_token")
_REFERENCE = re.compile(r"(?i)^\$|^/|\.(json|pem|txt)$|^(false|true|none|null|changeme|placeholder|your.*|<.*|xxx.*)$")
_SHORTEST = 6


class SecretInImage:
    """Find ENV and ARG that carry keys, tokens or passwords.

    Every layer and its history stay readable for whoever can pull the image. Give secrets to a build with
    `RUN --mount=type=secret`, and to a container when it starts.
    """

    card: ClassVar[Card] = Card(
        title="Secret in image",
        summary="A secret is baked into the image.",
        paper="CWE-798, CWE-538; OWASP LLM02",
        threats=("CWE-798", "CWE-538", "OWASP-LLM02"),
        severity="high",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every variable by name and value."""
        for item in artifact.instructions:
            if item.keyword not in ("ENV", "ARG") or artifact.format != "dockerfile":
                continue
            name, _, value = item.value.partition("=")
            if _NAME.fullmatch(name.strip()) is None or _HARMLESS.fullmatch(name.strip()):
                continue
            if not value and item.keyword == "ARG":
                yield Draft(
                    message=f"the build argument {name} ends up in the image's history",
                    fix="pass it with RUN --mount=type=secret",
                    severity="low",
                    place=item.place,
                )
            elif len(value) >= _SHORTEST and not _REFERENCE.search(value):
                yield Draft(
                    message=f"{item.keyword} {name} holds {value[:4]}… in every copy of the image",
                    fix="revoke it; give it to the build with RUN --mount=type=secret, to the container at start",
                    place=item.place,
                )
