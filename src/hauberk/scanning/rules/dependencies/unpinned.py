"""A dependency may change from one install to the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft

_DECLARING = ("pyproject", "pipfile", "setuptools_files", "conda_environment")


class Unpinned:
    """Find requirements without an exact version.

    What: a bare name or a range where versions are installed from. Why: the next install may bring a release nobody
    looked at. In pyproject.toml and setup.py a range is right for a library; only a bare name is named there.

    Bad: `flask`. Good: `flask==3.0.3 --hash=sha256:…`. Fix: lock (`pip-compile --generate-hashes`, uv, Poetry).
    """

    card: ClassVar[Card] = Card(
        title="Unpinned dependency",
        summary="A dependency may change from one install to the next.",
        paper="CWE-1357; OWASP LLM03",
        threats=("CWE-1357", "OWASP-LLM03"),
        severity="low",
        reads=("requirements",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge requirement files; inputs of a compiler (.in) are left out."""
        inner = artifact.part.rsplit("!", 1)[-1] or artifact.path
        declared = artifact.format in _DECLARING
        if not (declared or artifact.format == "requirements") or inner.endswith(".in"):
            return
        for item in artifact.requirements:
            if item.version is None and not item.url and not (declared and item.specifier):
                yield Draft(
                    message=f"{item.name}{item.specifier} is not pinned to one version",
                    fix="lock exact versions with hashes",
                    severity="info" if declared else "low",
                    place=item.place,
                )
