"""A container may gain privileges it does not need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.containers import Container


class LoosePrivileges:
    """Find containers that do not forbid new privileges or drop the capabilities they come with.

    What: no `no-new-privileges` (Compose), no `allowPrivilegeEscalation: false`, `capabilities: {drop: [ALL]}` or
    seccomp profile (Kubernetes).
    Why: a set-uid program in the image turns a foothold into root; a container starts with 14 capabilities few
    servers use.
    Bad: a pod without a securityContext.
    Good: `security_opt: [no-new-privileges:true]`, `cap_drop: [ALL]`; `seccompProfile: {type: RuntimeDefault}`.
    Fix: `hauberk init --deploy` writes files that have all of it.
    """

    card: ClassVar[Card] = Card(
        title="Loose privileges",
        summary="New privileges are not forbidden and capabilities are not dropped.",
        paper="CWE-250; CIS Docker Benchmark 5.3, 5.25; Kubernetes Pod Security Standards (restricted)",
        threats=("CWE-250",),
        severity="low",
        reads=("containers",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every container with an image."""
        for container in artifact.containers:
            if container.privileged or container.managed:
                continue
            missing = list(_missing(container))
            if container.escalation is True:
                yield Draft(
                    message=f"{container.owner} allows privilege escalation",
                    fix="set allowPrivilegeEscalation: false",
                    severity="medium",
                    place=container.place,
                )
            if missing:
                yield Draft(
                    message=f"{container.owner} does not {' or '.join(missing)}",
                    fix="forbid new privileges, drop all capabilities, keep the default seccomp profile",
                    place=container.place,
                )


def _missing(container: Container) -> Iterator[str]:
    if container.escalation is None:
        yield "forbid new privileges"
    if "ALL" not in container.dropped:
        yield "drop all capabilities"
    if container.system == "kubernetes" and not container.seccomp:
        yield "ask for a seccomp profile"
