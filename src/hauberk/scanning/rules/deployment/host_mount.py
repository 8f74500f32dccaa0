"""A container gets a path of the host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft

_SOCKET = re.compile(r"(?:docker|containerd|crio|podman|cri-dockerd)\.sock$|^/(?:var/)?run/(?:docker|containerd)/?$")
_RUN = re.compile(r"\bdocker\s+(?:container\s+)?run\b[^\n;&|]{0,500}(?:-v|--volume|--mount)[ =]\S*docker\.sock")
_WHOLE = (
    "/",
    "/etc",
    "/root",
    "/proc",
    "/sys",
    "/boot",
    "/dev",
    "/var",
    "/var/lib",
    "/usr",
    "/home",
    "/run",
    "/var/run",
)
_SYSTEM = ("/etc/kubernetes", "/etc/shadow", "/etc/passwd", "/etc/ssl", "/var/lib/docker", "/var/lib/kubelet", "/root/")
_FIX = "mount a volume, or the one file that is needed, read-only"


class HostMount:
    """Find mounts of the container engine's socket, of the host's system folders, and of any path of a cluster's node.

    What: `/var/run/docker.sock`, `/`, `/etc`, `/root`, `/proc`, … inside a container.
    Why: the socket starts privileged containers for whoever can write to it, read-only mounts of it too; the rest
    holds the host's passwords and keys.
    Bad: `/var/run/docker.sock:/var/run/docker.sock` so that an agent can start its sandboxes.
    Good: a named volume; sandboxes started by a service that allows only them.
    Fix: mount a volume or the one file that is needed, read-only.
    """

    card: ClassVar[Card] = Card(
        title="Host mount",
        summary="A container gets the engine's socket or the host's own folders.",
        paper="CWE-668; CIS Docker Benchmark 5.5, 5.31; Kubernetes Pod Security Standards (baseline)",
        threats=("CWE-668", "CWE-250"),
        severity="high",
        reads=("containers", "instructions"),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every mount, and those of `docker run` too."""
        for container in artifact.containers:
            for mount in container.mounts:
                found = _judge(mount.source, kubernetes=container.system == "kubernetes", read_only=mount.read_only)
                if found is not None:
                    message, severity = found
                    yield Draft(message=f"{container.owner} {message}", fix=_FIX, severity=severity, place=mount.place)
        for item in artifact.instructions:
            if item.keyword == "RUN" and _RUN.search(item.value):
                yield Draft(message="docker run gives the container the engine's socket", fix=_FIX, place=item.place)


def _judge(source: str, *, kubernetes: bool, read_only: bool) -> tuple[str, Severity] | None:
    path = "/" + source.strip("/") if source.startswith("/") else source
    if _SOCKET.search(path):
        return "gets the container engine's socket: it can start privileged containers", "high"
    if path in _WHOLE or path.startswith(_SYSTEM) or path in ("~", "$HOME", "${HOME}"):
        return f"gets the host's {path}", "medium" if read_only and path not in _WHOLE else "high"
    if path.startswith(("~/.ssh", "~/.aws", "~/.kube", "~/.config/gcloud", "${HOME}/.ssh", "${HOME}/.aws")):
        return f"gets the keys in {path}", "high"
    if kubernetes:
        return f"gets {path or 'a path'} of the node it happens to run on", "low"
    return None
