"""What a deployment file says of one container, in one vocabulary for Compose, Kubernetes and what builds on it."""

from __future__ import annotations

import msgspec

from hauberk.scanning.artifact import NOWHERE, Place


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """A port that others can reach. host: the address it is bound to, "" for all. outer, inner: numbers, 0 unknown."""

    host: str = ""
    outer: int = 0
    inner: int = 0
    place: Place = NOWHERE


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """A path of the host inside the container."""

    source: str
    target: str = ""
    read_only: bool = False
    place: Place = NOWHERE


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """One container; None stands for what the file does not say.

    owner: how messages name it, such as "service api" or "container api of Deployment web".
    system: "compose" or "kubernetes". stage: its name on the instructions that belong to it. task: it runs to its
    end (jobs, init containers), so nobody probes it. managed: a controller fills in the rest.
    user: name or number. non_root: the file forbids root. escalation: processes may gain privileges.
    read_only: of the root file system. added, dropped: capabilities, upper case without "CAP_".
    host_namespaces: "network", "pid", "ipc", "user", "uts". seccomp, apparmor: the profile, lower case.
    limits: resources that are bounded, "memory", "cpu", "pids". probed: someone asks whether it is healthy.
    token: the cluster's own token is mounted.
    """

    owner: str
    system: str
    stage: str = ""
    image: str = ""
    task: bool = False
    managed: bool = False
    place: Place = NOWHERE
    image_place: Place = NOWHERE
    user: str = ""
    non_root: bool | None = None
    privileged: bool = False
    escalation: bool | None = None
    read_only: bool | None = None
    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    host_namespaces: tuple[str, ...] = ()
    seccomp: str = ""
    apparmor: str = ""
    limits: tuple[str, ...] = ()
    probed: bool | None = None
    token: bool | None = None
    ports: tuple[Port, ...] = ()
    mounts: tuple[Mount, ...] = ()
    devices: tuple[str, ...] = ()
