"""A server takes its model from an address nobody checks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft

_PINNED = re.compile(r"[0-9a-f]{40}|sha256")
_VARIABLE = re.compile(
    r"(?i)(?:^|[._])(?:model|weights?|checkpoint|adapter)[\w.]*?(?:url|uri|path|location)\w*=[\"']?http://(?!localhost|127\.|\[::1\])"
)
_ARCHIVE = re.compile(r"(?:working_dir|py_modules\[\])=(?:https?|gs|s3)://(?![^\n]{0,500}[0-9a-f]{40})")
_FIX = "fetch it in the build, pinned to a revision, and verify its digest or seal"


class RemoteModel:
    """Find model addresses over plain HTTP, and code of a server fetched from an archive on the network.

    What: `storageUri: http://…`, `MODEL_URL=http://…`, Ray's `working_dir: https://….zip`.
    Why: whoever is on the way, or owns the name tomorrow, decides what the server loads, and a model may run code.
    Bad: `storageUri: http://models.example/m.pt`.
    Good: `storageUri: s3://models/m@sha256`, a sealed folder that `hauberk verify` has looked at.
    Fix: fetch it in the build, pinned and verified.
    """

    card: ClassVar[Card] = Card(
        title="Remote model",
        summary="A server loads its model or code from an address nobody checks.",
        paper="CWE-494, CWE-319; OWASP LLM03; MITRE ATLAS AML.T0010.003",
        threats=("CWE-494", "CWE-319", "OWASP-LLM03", "AML.T0010"),
        severity="medium",
        reads=("instructions",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge model addresses, variables and settings."""
        for item in artifact.instructions:
            if item.keyword == "MODEL" and item.value.startswith("http://"):
                yield Draft(message="the model comes over plain HTTP", fix=_FIX, severity="high", place=item.place)
            elif (
                item.keyword == "MODEL"
                and item.value.startswith(("https://", "hf://"))
                and not _PINNED.search(item.value)
            ):
                yield Draft(
                    message=f"the model is whatever {item.value[:80]} serves",
                    fix=_FIX,
                    severity="low",
                    place=item.place,
                )
            elif item.keyword in ("ENV", "SETTING") and _VARIABLE.search(item.value):
                yield Draft(
                    message="a model or its code comes over plain HTTP", fix=_FIX, severity="high", place=item.place
                )
            elif item.keyword == "SETTING" and _ARCHIVE.search(item.value):
                yield Draft(message="the server's code is an archive from the network", fix=_FIX, place=item.place)
