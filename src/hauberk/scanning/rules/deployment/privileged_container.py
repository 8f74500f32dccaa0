"""A container gets the host's own powers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft, Place
from hauberk.scanning.containers import Container
from hauberk.scanning.document_tree import Node

_RULING = frozenset(
    ["ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO", "DAC_READ_SEARCH", "BPF", "SYS_BOOT", "MAC_ADMIN"]
)
_STRONG = frozenset(["NET_ADMIN", "NET_RAW", "DAC_OVERRIDE", "SETUID", "SETGID", "SYS_CHROOT", "MKNOD", "SYSLOG"])
_DEVICES = ("/dev/mem", "/dev/kmem", "/dev/sd", "/dev/nvme", "/dev/disk", "/dev/port")
_FIX = "take it out, drop all capabilities, and add back the one that is needed"


class PrivilegedContainer:
    """Find containers that are privileged, get capabilities to rule the host, or have their confinement switched off.

    What: `privileged: true`, `cap_add: [ALL]` or `SYS_ADMIN` and their like, whole devices, seccomp or AppArmor
    unconfined.
    Why: who takes over the model server, by a pickle or a prompt, then has the host and every model on it.
    Bad: `privileged: true` to reach a GPU.
    Good: `cap_drop: [ALL]`, and the GPU by `deploy.resources.reservations.devices` or `nvidia.com/gpu: 1`.
    Fix: take the line out; add back the one capability that is needed.
    """

    card: ClassVar[Card] = Card(
        title="Privileged container",
        summary="A container is privileged, may rule the host, or runs unconfined.",
        paper="CWE-250; CIS Docker Benchmark 5.4, 5.22; MITRE ATLAS AML.T0049",
        threats=("CWE-250", "AML.T0049"),
        severity="high",
        reads=("containers", "documents"),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every container."""
        for container in artifact.containers:
            for message, severity in _powers(container):
                yield Draft(message=f"{container.owner} {message}", fix=_FIX, severity=severity, place=container.place)
        for document in artifact.documents:
            if document.kind == "helm-values":
                yield from _chart(document.root, "")


def _chart(node: Node, path: str) -> Iterator[Draft]:
    """Judge every security context of a chart's values."""
    for key, value in node.fields.items():
        where = f"{path}.{key}".lstrip(".")
        if key.lower().endswith("securitycontext"):
            yield from _context(value, where)
        yield from _chart(value, where)
    for item in node.items:
        yield from _chart(item, f"{path}[]")


def _context(node: Node, where: str) -> Iterator[Draft]:
    place = Place(line=node.line)
    if node.get("privileged").truth is True:
        yield Draft(message=f"{where} is privileged: its root is the host's", fix=_FIX, place=place)
    if node.get("runAsUser").text == "0":
        fix = "set runAsNonRoot: true and a user above 0"
        yield Draft(message=f"{where} runs as root", fix=fix, severity="medium", place=place)
    ruling = sorted(_RULING & {item.text.removeprefix("CAP_") for item in node.get("capabilities", "add").items})
    if ruling:
        yield Draft(message=f"{where} gets {', '.join(ruling)}, as good as the host's root", fix=_FIX, place=place)


def _powers(container: Container) -> Iterator[tuple[str, Severity]]:
    if container.privileged:
        yield "is privileged: its root is the host's", "high"
    ruling = sorted(_RULING & {*container.added})
    if ruling:
        yield f"gets {', '.join(ruling)}, which is as good as the host's root", "high"
    strong = sorted(_STRONG & {*container.added})
    if strong:
        yield f"gets the capabilities {', '.join(strong)}", "low"
    if container.seccomp == "unconfined":
        yield "runs without seccomp: every system call is open to it", "medium"
    if container.apparmor == "unconfined":
        yield "runs without AppArmor", "medium"
    if any(device.startswith(_DEVICES) for device in container.devices):
        yield "gets the host's disks or memory as a device", "high"
