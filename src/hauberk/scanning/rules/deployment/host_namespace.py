"""A container shares the host's network, processes or memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft

_MEANS: dict[str, tuple[str, str, Severity]] = {
    "network": ("network: it reaches what listens on loopback, and no network policy holds", "publish ports", "medium"),
    "pid": ("processes: it sees and may trace all of them", "leave it out", "high"),
    "ipc": ("shared memory", "give it shared memory of its own (shm_size, or an emptyDir at /dev/shm)", "medium"),
    "user": ("user ids: its root is the host's", "leave the user namespace remapped", "medium"),
    "uts": ("host name", "leave it out", "low"),
}


class HostNamespace:
    """Find `hostNetwork`, `hostPID`, `hostIPC`, `network_mode: host`, `pid: host` and their kin.

    What: the container is in the host's own namespace.
    Why: it reaches services bound to loopback, reads other processes' memory and environment, and no network policy
    holds.
    Bad: `ipc: host` so that PyTorch's data loaders find shared memory.
    Good: `shm_size: 2gb`, or an `emptyDir` of medium Memory at /dev/shm.
    Fix: publish the ports that are needed and give shared memory of its own.
    """

    card: ClassVar[Card] = Card(
        title="Host namespace",
        summary="A container shares the host's network, processes or memory.",
        paper="CWE-653; CIS Docker Benchmark 5.9, 5.15, 5.16; Kubernetes Pod Security Standards (baseline)",
        threats=("CWE-653",),
        severity="medium",
        reads=("containers",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every container."""
        for container in artifact.containers:
            for kind in container.host_namespaces:
                means, fix, severity = _MEANS[kind]
                yield Draft(
                    message=f"{container.owner} shares the host's {means}",
                    fix=fix,
                    severity=severity,
                    place=container.place,
                )
