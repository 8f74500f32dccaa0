"""Nobody asks whether a service still works."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft


class NoHealthCheck:
    """Find services without a health check, and servers' images without one.

    What: no `healthcheck` (Compose), no probe (Kubernetes), no HEALTHCHECK (an image that EXPOSEs a port).
    Why: a model server that hangs on a hostile input goes on getting requests.
    Bad: nothing said, or `healthcheck: {disable: true}`.
    Good: `readinessProbe: {httpGet: {path: /health, port: 8000}}`.
    Fix: ask the server's own health address.
    """

    card: ClassVar[Card] = Card(
        title="No health check",
        summary="Nobody asks whether a service still works.",
        paper="CWE-754; CIS Docker Benchmark 4.6, 5.26; OWASP LLM10",
        threats=("CWE-754", "OWASP-LLM10"),
        severity="info",
        reads=("containers", "instructions"),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every service that goes on running, and the last stage of an image."""
        for container in artifact.containers:
            if container.probed is not True and not (container.task or container.managed):
                off = container.probed is False
                yield Draft(
                    message=f"{container.owner} "
                    + ("has its health check switched off" if off else "has no health check"),
                    fix="ask the server's own health address",
                    severity="low" if off else "info",
                    place=container.place,
                )
        if artifact.format == "dockerfile":
            last = artifact.instructions[-1]
            own = {item.keyword for item in artifact.instructions if item.stage == last.stage}
            if "EXPOSE" in own and "HEALTHCHECK" not in own:
                yield Draft(
                    message="the image exposes a port and has no HEALTHCHECK",
                    fix="add HEALTHCHECK, or probe it where it is deployed",
                    place=last.place,
                )
