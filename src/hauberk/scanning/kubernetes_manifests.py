"""Pods of Kubernetes manifests, and of what makes pods (Deployments, Jobs, KServe, Ray, Knative), as containers."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from hauberk.scanning.artifact import Instruction, Place
from hauberk.scanning.containers import Container, Mount, Port
from hauberk.scanning.document_tree import Node

_TASKS = frozenset(["Job", "CronJob", "Workflow", "RayJob", "PyTorchJob", "TFJob", "MPIJob", "TrainJob"])
_HOSTS = {"hostNetwork": "network", "hostPID": "pid", "hostIPC": "ipc"}
_KSERVE = ("predictor", "transformer", "explainer")


class Pod(NamedTuple):
    """A pod's specification inside a resource. annotations: of the pod's own metadata."""

    kind: str
    name: str
    spec: Node
    annotations: Node


def resources(root: Node) -> Iterator[Node]:
    """Yield the resources of a document: itself, or the items of a List."""
    if root.get("kind").text.endswith("List") and root.get("items").items:
        yield from (item for item in root.get("items").items if item.kind == "mapping")
    else:
        yield root


def pods(resource: Node) -> Iterator[Pod]:
    """Yield every pod specification in a resource, wherever its kind keeps it."""
    kind, name = resource.get("kind").text, resource.get("metadata", "name").text
    seen: set[int] = set()
    pending = [(resource.get("spec"), resource if kind == "Pod" else Node())]
    while pending and len(seen) < 10_000:
        node, owner = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.get("containers").items:
            yield Pod(kind, name, node, owner.get("metadata", "annotations"))
        for key, inner in node.fields.items():
            if inner.kind == "mapping" and (key in _KSERVE or key not in ("containers", "selector", "affinity")):
                pending.append((inner, node if key == "spec" else inner))
            pending.extend(
                (item, item) for item in inner.items if item.kind == "mapping" and key.endswith(("Specs", "s"))
            )
        if kind == "InferenceService" and node.get("model"):
            yield Pod(kind, name, Node(node.line, fields={"containers": _models(node)}, kind="mapping"), Node())


def _models(node: Node) -> Node:
    """Make a container of what KServe's `model` says of the one it will make."""
    return Node(node.line, items=(node.get("model"),), kind="sequence")


def pod_containers(pod: Pod) -> Iterator[tuple[Container, tuple[Instruction, ...]]]:
    """Yield the containers of a pod, and their commands and variables as instructions."""
    paths = {
        volume.get("name").text: volume.get("hostPath", "path").text
        for volume in pod.spec.get("volumes").items
        if volume.get("hostPath")
    }
    rows = [node for key in ("initContainers", "containers") for node in pod.spec.get(key).items]
    mounted = {item.get("name").text for node in rows for item in node.get("volumeMounts").items}
    unused = [volume for volume in pod.spec.get("volumes").items if volume.get("name").text not in mounted]
    spare = tuple(
        Mount(source=volume.get("hostPath", "path").text, place=Place(line=volume.line))
        for volume in unused
        if volume.get("hostPath")
    )
    for key in ("initContainers", "containers"):
        for node in pod.spec.get(key).items:
            if node.kind == "mapping":
                name = node.get("name").text or "?"
                task = pod.kind in _TASKS or key == "initContainers"
                made = _container(pod, node, name, paths, task=task)
                if spare:  # whoever may change the pod only has to mount it
                    made, spare = msgspec.structs.replace(made, mounts=(*made.mounts, *spare)), ()
                yield made, tuple(_instructions(name, node))


def _container(pod: Pod, node: Node, name: str, paths: dict[str, str], *, task: bool) -> Container:
    own, outer = node.get("securityContext"), pod.spec.get("securityContext")
    either = {key: own.get(key) or outer.get(key) for key in ("runAsUser", "runAsNonRoot", "seccompProfile")}
    limits = node.get("resources", "limits").fields
    probes = [key for key in ("livenessProbe", "readinessProbe", "startupProbe") if node.get(key)]
    managed = pod.kind == "InferenceService" and not node.get("image")
    return Container(
        owner=f"container {name} of {pod.kind} {pod.name}",
        system="kubernetes",
        stage=name,
        image=node.get("image").text,
        task=task,
        managed=managed,
        place=Place(line=node.line),
        image_place=Place(line=node.get("image").line or node.line),
        user=either["runAsUser"].text,
        non_root=either["runAsNonRoot"].truth,
        privileged=own.get("privileged").truth is True,
        escalation=own.get("allowPrivilegeEscalation").truth,
        read_only=own.get("readOnlyRootFilesystem").truth,
        added=_capabilities(own.get("capabilities", "add")),
        dropped=_capabilities(own.get("capabilities", "drop")),
        host_namespaces=tuple(kind for key, kind in _HOSTS.items() if pod.spec.get(key).truth is True),
        seccomp=either["seccompProfile"].get("type").text.lower() or _annotated(pod, "seccomp"),
        apparmor=own.get("appArmorProfile", "type").text.lower() or _annotated(pod, "apparmor"),
        limits=tuple(name for name in ("memory", "cpu") if name in limits),
        probed=True if probes else None,
        token=pod.spec.get("automountServiceAccountToken").truth,
        ports=tuple(_ports(node)),
        mounts=tuple(_mounts(node, paths)),
    )


def _capabilities(node: Node) -> tuple[str, ...]:
    return tuple(word.upper().removeprefix("CAP_") for word in node.words)


def _annotated(pod: Pod, word: str) -> str:
    return next((value.text.lower() for key, value in pod.annotations.fields.items() if word in key), "")


def _ports(node: Node) -> Iterator[Port]:
    for item in node.get("ports").items:
        outer = item.get("hostPort").text
        if outer.isdigit() and len(outer) < 6:
            inner = item.get("containerPort").text
            number = int(inner) if inner.isdigit() and len(inner) < 6 else 0
            yield Port(host=item.get("hostIP").text, outer=int(outer), inner=number, place=Place(line=item.line))


def _mounts(node: Node, paths: dict[str, str]) -> Iterator[Mount]:
    for item in node.get("volumeMounts").items:
        source = paths.get(item.get("name").text)
        if source is not None:
            fixed = item.get("readOnly").truth is True
            target = item.get("mountPath").text
            yield Mount(source=source, target=target, read_only=fixed, place=Place(line=item.line))


def _instructions(name: str, node: Node) -> Iterator[Instruction]:
    command, arguments = node.get("command"), node.get("args")
    words = (*command.words, *arguments.words)
    if words:
        line = command.line or arguments.line
        yield Instruction(keyword="CMD", value=_joined(words), stage=name, place=Place(line=line))
    for item in node.get("env").items:
        value = item.get("value")
        if item.get("valueFrom"):
            text = f"{item.get('name').text}=$from_elsewhere"
            yield Instruction(keyword="ENV", value=text, stage=name, place=Place(line=item.line))
        elif value:
            text = f"{item.get('name').text}={value.text}"
            yield Instruction(keyword="ENV", value=text, stage=name, place=Place(line=value.line))
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        test = node.get(probe, "exec", "command")
        if test:
            yield Instruction(keyword="HEALTHCHECK", value=_joined(test.words), stage=name, place=Place(line=test.line))
    uri = node.get("storageUri")
    if uri:
        yield Instruction(keyword="MODEL", value=uri.text, stage=name, place=Place(line=uri.line))


def _joined(words: tuple[str, ...]) -> str:
    """Write words as shell text; a script given to a shell stays readable as one."""
    if len(words) > 2 and words[0].rsplit("/", 1)[-1] in ("sh", "bash", "ash") and words[1].startswith("-"):
        return " ".join(words)
    return shlex.join(words)
