"""Dependencies are installed without checking what arrives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft


class NoHashes:
    """Find requirement and lock files without hashes.

    What: a file that is installed from names no digests. Why: a pinned version still trusts the index and the way to
    it; with hashes pip refuses anything that changed.

    Bad: `flask==3.0.3`. Good: `flask==3.0.3 --hash=sha256:…`. Fix: `pip-compile --generate-hashes`, `uv lock`.
    """

    card: ClassVar[Card] = Card(
        title="No hashes",
        summary="Dependencies are installed without checking what arrives.",
        paper="CWE-494; OWASP LLM03",
        threats=("CWE-494", "OWASP-LLM03"),
        severity="info",
        reads=("requirements",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge each file once."""
        inner = artifact.part.rsplit("!", 1)[-1] or artifact.path
        if artifact.format not in ("requirements", "lockfile") or inner.endswith(".in"):
            return
        bare = [item for item in artifact.requirements if not item.hashed and not item.url]
        if bare:
            yield Draft(
                message=f"{len(bare)} of {len(artifact.requirements)} dependencies have no hash",
                fix="write hashes (pip-compile --generate-hashes, uv lock) and install with --require-hashes",
                place=bare[0].place,
            )
