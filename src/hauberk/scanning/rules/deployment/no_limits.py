"""A container may use up the host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft


class NoLimits:
    """Find containers without a bound on memory.

    What: no `mem_limit` or `deploy.resources.limits` (Compose), no `resources.limits` (Kubernetes).
    Why: one long prompt or one large upload takes the memory of every other service (model denial of service).
    Bad: nothing said.
    Good: `limits: {memory: 8g, cpus: "4", pids: 256}`.
    Fix: measure what the model needs and bound it.
    """

    card: ClassVar[Card] = Card(
        title="No limits",
        summary="A container may use up the host's memory.",
        paper="CWE-770; OWASP LLM10 Unbounded Consumption; CIS Docker Benchmark 5.10; MITRE ATLAS AML.T0029",
        threats=("CWE-770", "OWASP-LLM10", "AML.T0029"),
        severity="low",
        reads=("containers",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every container."""
        for container in artifact.containers:
            if "memory" not in container.limits and not container.managed:
                yield Draft(
                    message=f"nothing bounds the memory of {container.owner}",
                    fix="set limits for memory, cpu and processes",
                    place=container.place,
                )
