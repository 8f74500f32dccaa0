"""A dependency may change from one install to the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft


class Unpinned:
    """Find requirements without an exact version.

    The next install may bring a release its author never wrote. Lock versions with hashes (`pip-compile
    --generate-hashes`, uv, Poetry). In pyproject.toml a range is right for a library; only a bare name is named there.
    """

    card: ClassVar[Card] = Card(
        title="Unpinned dependency",
        summary="A dependency may change from one install to the next.",
        paper="CWE-1357; OWASP LLM03",
        threats=("CWE-1357", "OWASP-LLM03"),
        severity="low",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge requirement files; inputs of a compiler (.in) are left out."""
        inner = artifact.part.rsplit("!", 1)[-1] or artifact.path
        if artifact.format not in ("requirements", "pyproject") or inner.endswith(".in"):
            return
        declared = artifact.format == "pyproject"
        for item in artifact.requirements:
            if item.version is None and not item.url and not (declared and item.specifier):
                yield Draft(
                    message=f"{item.name}{item.specifier} is not pinned to one version",
                    fix="lock exact versions with hashes",
                    severity="info" if declared else "low",
                    place=item.place,
                )
