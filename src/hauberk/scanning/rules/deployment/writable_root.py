"""A container's root file system can be written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft


class WritableRoot:
    """Find containers whose root file system is not read-only.

    What: no `read_only: true` (Compose) or `readOnlyRootFilesystem: true` (Kubernetes).
    Why: whoever runs code in the server replaces its program or its model, and stays.
    Bad: nothing said.
    Good: `read_only: true` with `tmpfs: [/tmp]`.
    Fix: make it read-only and give /tmp and the cache volumes of their own.
    """

    card: ClassVar[Card] = Card(
        title="Writable root",
        summary="A container's root file system can be written.",
        paper="CWE-732; CIS Docker Benchmark 5.12; Kubernetes Pod Security Standards",
        threats=("CWE-732",),
        severity="low",
        reads=("containers",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every container."""
        for container in artifact.containers:
            if container.read_only is not True and not container.managed:
                yield Draft(
                    message=f"{container.owner} can write its root file system",
                    fix="make it read-only, with volumes for /tmp and caches",
                    place=container.place,
                )
