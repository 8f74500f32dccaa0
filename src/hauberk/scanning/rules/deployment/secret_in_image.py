"""A secret is baked into the image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.build_instructions import secret_name, stand_in

_KEY_FILE = re.compile(
    r"(?:^|[\s/\"])(?:\.env(?:\.prod\w*)?|id_(?:rsa|ed25519|ecdsa)|\.netrc|\.pypirc|\.npmrc|\.aws/?|\.ssh/?|kaggle\.json"
    r"|[\w-]*service[_-]account[\w-]*\.json|credentials\.json)[\"\s,]"
)


class SecretInImage:
    """Find ENV and ARG that carry keys, tokens or passwords, and files of keys copied into the image.

    What: a secret in a layer.
    Why: every layer and its history stay readable for whoever can pull the image.
    Bad: `ENV HF_TOKEN=hf_…`, `COPY .env /app`.
    Good: `RUN --mount=type=secret,id=hf …`; a variable given when the container starts.
    Fix: revoke it, and give it to the build as a secret mount.
    """

    card: ClassVar[Card] = Card(
        title="Secret in image",
        summary="A secret is baked into the image.",
        paper="CWE-798, CWE-538; OWASP LLM02",
        threats=("CWE-798", "CWE-538", "OWASP-LLM02"),
        severity="high",
        reads=("instructions",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every variable by name and value."""
        if artifact.format != "dockerfile":
            return
        for item in artifact.instructions:
            if item.keyword in ("COPY", "ADD") and "--from=" not in item.value and _KEY_FILE.search(item.value):
                yield Draft(
                    message="a file of keys is copied into the image", fix="mount it when it starts", place=item.place
                )
            if item.keyword not in ("ENV", "ARG"):
                continue
            name, _, value = item.value.partition("=")
            if not secret_name(name):
                continue
            if not value and item.keyword == "ARG":
                yield Draft(
                    message=f"the build argument {name} ends up in the image's history",
                    fix="pass it with RUN --mount=type=secret",
                    severity="low",
                    place=item.place,
                )
            elif not stand_in(value):
                yield Draft(
                    message=f"{item.keyword} {name} holds {value[:2]}… in every copy of the image",
                    fix="revoke it; give it to the build with RUN --mount=type=secret, to the container at start",
                    place=item.place,
                )
