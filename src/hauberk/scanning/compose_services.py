"""Services of a Compose file as containers, with `extends` of the same file, merges and both ways to write a list."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from hauberk.scanning.artifact import Instruction, Place
from hauberk.scanning.containers import Container, Mount, Port
from hauberk.scanning.document_tree import Node

_PORT = re.compile(
    r"(?:(?P<host>\[[0-9a-fA-F:.]+\]|\d+\.\d+\.\d+\.\d+|localhost|\$\{?\w+[^}:]*\}?):)?(?:(?P<outer>\d+)(?:-\d+)?:)?(?P<inner>\d+)"
    r"(?:-\d+)?(?:/\w+)?"
)
_VARIABLE = re.compile(r"\$\{\w+:?-([^{}]*)\}")
_HOST_MODES = {"network_mode": "network", "pid": "pid", "ipc": "ipc", "userns_mode": "user", "uts": "uts"}


def compose_containers(root: Node) -> Iterator[tuple[Container, tuple[Instruction, ...]]]:
    """Yield every service as a container, and its commands and variables as instructions."""
    services = root.get("services")
    for name, service in services.fields.items():
        if service.kind != "mapping":
            continue
        node = _extended(service, services)
        yield _container(name, node, service), tuple(_instructions(name, node))


def _extended(service: Node, services: Node) -> Node:
    """Put the fields of the service it extends below its own, a few times."""
    for _ in range(8):
        extends = service.get("extends")
        base = services.get(extends.text or extends.get("service").text)
        if not extends or extends.get("file") or not base.fields:
            break
        fields = {**base.fields, **{key: value for key, value in service.fields.items() if key != "extends"}}
        service = service._replace(fields=fields)
    return service


def _container(name: str, node: Node, written: Node) -> Container:
    options = {option.replace("=", ":", 1).replace(" ", "") for option in node.get("security_opt").words}
    resources = node.get("deploy", "resources", "limits")
    check = node.get("healthcheck")
    place = Place(line=written.line)
    return Container(
        owner=f"service {name}",
        system="compose",
        stage=name,
        image=expanded(node.get("image").text),
        task=node.get("restart").text == "no" or node.get("profiles").words == ("tools",),
        place=place,
        image_place=Place(line=node.get("image").line or written.line),
        user=expanded(node.get("user").text),
        privileged=node.get("privileged").truth is True,
        escalation=False if {"no-new-privileges:true", "no-new-privileges"} & options else None,
        read_only=node.get("read_only").truth,
        added=_capabilities(node.get("cap_add")),
        dropped=_capabilities(node.get("cap_drop")),
        host_namespaces=tuple(kind for key, kind in _HOST_MODES.items() if node.get(key).text == "host"),
        seccomp=_option(options, "seccomp"),
        apparmor=_option(options, "apparmor"),
        limits=tuple(_limits(node, resources)),
        probed=None if not check else check.get("disable").truth is not True,
        ports=tuple(_ports(node.get("ports"))) if node.get("network_mode").text != "host" else (),
        mounts=tuple(_mounts(node.get("volumes"))),
        devices=node.get("devices").words,
    )


def expanded(text: str) -> str:
    """Put in the default of `${NAME:-default}`; other variables stay."""
    return _VARIABLE.sub(r"\1", text)


def _capabilities(node: Node) -> tuple[str, ...]:
    return tuple(word.upper().removeprefix("CAP_") for word in node.words)


def _option(options: set[str], name: str) -> str:
    return next((option.partition(":")[2].lower() for option in sorted(options) if option.startswith(f"{name}:")), "")


def _limits(node: Node, resources: Node) -> Iterator[str]:
    if node.get("mem_limit") or resources.get("memory"):
        yield "memory"
    if node.get("cpus") or node.get("cpu_quota") or resources.get("cpus"):
        yield "cpu"
    if node.get("pids_limit") or resources.get("pids"):
        yield "pids"


def _ports(node: Node) -> Iterator[Port]:
    for item in node.items:
        place = Place(line=item.line)
        if item.kind == "mapping":
            outer, inner = _number(item.get("published").text), _number(item.get("target").text)
            yield Port(host=expanded(item.get("host_ip").text), outer=outer or inner, inner=inner, place=place)
        elif (match := _PORT.fullmatch(expanded(item.text).strip())) is not None:
            inner = int(match["inner"])
            yield Port(host=match["host"] or "", outer=int(match["outer"] or inner), inner=inner, place=place)


def _number(text: str) -> int:
    first = expanded(text).split("-")[0].strip()
    return int(first) if first.isdigit() and len(first) < 6 else 0


def _mounts(node: Node) -> Iterator[Mount]:
    for item in node.items:
        place = Place(line=item.line)
        if item.kind == "mapping":
            if item.get("type").text == "bind":
                fixed = item.get("read_only").truth is True
                target = item.get("target").text
                yield Mount(source=expanded(item.get("source").text), target=target, read_only=fixed, place=place)
            continue
        source, _, rest = expanded(item.text).partition(":")
        target, _, mode = rest.partition(":")
        if source.startswith(("/", ".", "~", "$")) and target:
            yield Mount(source=source, target=target, read_only="ro" in mode.split(","), place=place)


def _instructions(name: str, node: Node) -> Iterator[Instruction]:
    for key, keyword in (("entrypoint", "ENTRYPOINT"), ("command", "CMD")):
        value = node.get(key)
        if value:
            yield Instruction(keyword=keyword, value=command_text(value), stage=name, place=Place(line=value.line))
    test = node.get("healthcheck", "test")
    if test:
        yield Instruction(keyword="HEALTHCHECK", value=command_text(test), stage=name, place=Place(line=test.line))
    yield from environment(node.get("environment"), name)
    for variable in environment(node.get("build", "args"), name):
        yield Instruction(keyword="ARG", value=variable.value, stage=name, place=variable.place)


def command_text(node: Node) -> str:
    """Write a command, a text or a list of words, as shell text."""
    return shlex.join(node.words) if node.kind == "sequence" else node.text


def environment(node: Node, stage: str) -> Iterator[Instruction]:
    """Yield ENV for every variable of a mapping or of a list of `NAME=value`."""
    for key, value in node.fields.items():
        if value.kind == "scalar":
            text = f"{key}={expanded(value.text)}"
            yield Instruction(keyword="ENV", value=text, stage=stage, place=Place(line=value.line))
    for item in node.items:
        if "=" in item.text:
            yield Instruction(keyword="ENV", value=expanded(item.text), stage=stage, place=Place(line=item.line))
