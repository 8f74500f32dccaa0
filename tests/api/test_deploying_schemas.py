"""What `init --deploy` writes has the shape that Compose, Kubernetes and Docker give such files.

The shapes are those of the Compose Specification, Kubernetes 1.32 and runc's seccomp profiles, as far as the files use
them: a key that is none of theirs fails.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from hauberk.api.deploying import deploy

TEXT, NUMBER, FLAG = str, int, bool
ANY: dict[str, Any] = {"*": object}
QUANTITY = re.compile(r"\d+(?:\.\d+)?(?:[kmgKMG]i?)?b?|\d+m")
DURATION = re.compile(r"(?:\d+(?:us|ms|s|m|h))+")
PORT = re.compile(r"(?:[\d.]+:)?(?:\d+:)?\d+(?:/(?:tcp|udp))?")
IMAGE = re.compile(r"[a-z0-9./_-]+(?::[\w.-]+)?@sha256:[0-9a-f]{64}")
HEALTH = {"test": [TEXT], "interval": DURATION, "timeout": DURATION, "retries": NUMBER, "start_period": DURATION}
LIMITS = {"limits": {"memory": QUANTITY, "cpus": QUANTITY, "pids": NUMBER}}
SERVICE = {
    "image": IMAGE, "read_only": FLAG, "user": TEXT, "cap_drop": [TEXT], "security_opt": [TEXT], "tmpfs": [TEXT],
    "restart": re.compile("no|always|on-failure|unless-stopped"), "logging": {"driver": TEXT, "options": ANY},
    "volumes": [TEXT], "networks": [TEXT], "deploy": {"resources": LIMITS}, "healthcheck": HEALTH, "ports": [PORT],
    "configs": [{"source": TEXT, "target": TEXT}],
    "depends_on": {"*": {"condition": re.compile("service_(?:started|healthy|completed_successfully)")}},
}  # fmt: skip
COMPOSE = {
    "services": {"*": SERVICE}, "configs": {"*": {"content": TEXT}}, "networks": {"*": {"internal": FLAG}},
    "x-hardened": ANY,
}  # fmt: skip
META = {"name": re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"), "namespace": TEXT, "labels": {"*": TEXT}}
PROBE = {
    "httpGet": {"path": TEXT, "port": object}, "failureThreshold": NUMBER, "periodSeconds": NUMBER,
}  # fmt: skip
CONTAINER = {
    "name": TEXT, "image": IMAGE, "ports": [{"name": TEXT, "containerPort": NUMBER}],
    "securityContext": {
        "allowPrivilegeEscalation": FLAG, "readOnlyRootFilesystem": FLAG, "capabilities": {"drop": [TEXT]},
    },
    "resources": {"requests": {"memory": QUANTITY, "cpu": QUANTITY}, "limits": {"memory": QUANTITY, "cpu": QUANTITY}},
    "startupProbe": PROBE, "readinessProbe": PROBE, "livenessProbe": PROBE,
    "volumeMounts": [{"name": TEXT, "mountPath": TEXT, "readOnly": FLAG}],
}  # fmt: skip
POD = {
    "serviceAccountName": TEXT, "automountServiceAccountToken": FLAG, "enableServiceLinks": FLAG,
    "securityContext": {
        "runAsNonRoot": FLAG, "runAsUser": NUMBER, "runAsGroup": NUMBER, "fsGroup": NUMBER,
        "seccompProfile": {"type": TEXT},
    },
    "containers": [CONTAINER],
    "volumes": [{
        "name": TEXT, "emptyDir": {"sizeLimit": QUANTITY},
        "persistentVolumeClaim": {"claimName": TEXT, "readOnly": FLAG},
    }],
}  # fmt: skip
SELECTOR = {"matchLabels": {"*": TEXT}}
KINDS: dict[tuple[str, str], Any] = {
    ("v1", "Namespace"): {},
    ("v1", "ServiceAccount"): {"automountServiceAccountToken": FLAG},
    ("apps/v1", "Deployment"): {"spec": {
        "replicas": NUMBER, "selector": SELECTOR, "template": {"metadata": META, "spec": POD},
    }},
    ("v1", "Service"): {"spec": {
        "type": TEXT, "selector": {"*": TEXT}, "ports": [{"name": TEXT, "port": NUMBER, "targetPort": object}],
    }},
    ("networking.k8s.io/v1", "NetworkPolicy"): {"spec": {
        "podSelector": SELECTOR, "policyTypes": [TEXT],
        "ingress": [{
            "from": [{"namespaceSelector": SELECTOR, "podSelector": SELECTOR}],
            "ports": [{"protocol": TEXT, "port": NUMBER}],
        }],
    }},
    ("policy/v1", "PodDisruptionBudget"): {"spec": {"minAvailable": NUMBER, "selector": SELECTOR}},
}  # fmt: skip


def wrong(value: object, shape: Any, where: str = "") -> list[str]:
    """List where a value is not of a shape: a type, a pattern, a list of one shape, or a mapping of known keys."""
    if isinstance(shape, re.Pattern):
        return [] if isinstance(value, str) and shape.fullmatch(value) else [f"{where}: {value!r}"]
    if isinstance(shape, list):
        rows = value if isinstance(value, list) else None
        return [f"{where}: no list"] if rows is None else [
            fault for at, row in enumerate(rows) for fault in wrong(row, shape[0], f"{where}[{at}]")
        ]  # fmt: skip
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [] if value is None else [f"{where}: no mapping"]
        return [
            fault for key, inner in value.items()
            for fault in (
                [f"{where}.{key}: unknown"] if key not in shape and "*" not in shape
                else wrong(inner, shape.get(key, shape.get("*")), f"{where}.{key}")
            )
        ]  # fmt: skip
    sort = isinstance(value, shape) and not (shape is int and isinstance(value, bool))
    return [] if sort else [f"{where}: {value!r} is no {shape.__name__}"]


@pytest.fixture(params=["locked", "empty"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "locked":
        (tmp_path / "src").mkdir()
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "m.safetensors").write_bytes(b"")
        (tmp_path / "serve.py").write_text("print()\n")
        (tmp_path / "requirements.txt").write_text("a==1 --hash=sha256:" + "0" * 64 + "\n")
    deploy(tmp_path)
    return tmp_path / "deploy"


def test_compose(folder: Path) -> None:
    made = yaml.safe_load((folder / "compose.yaml").read_text())
    assert wrong(made, COMPOSE) == []
    for service in made["services"].values():
        assert set(service["networks"]) <= set(made["networks"])
        assert {one["source"] for one in service.get("configs", [])} <= set(made["configs"])
        assert set(service.get("depends_on", {})) <= set(made["services"])
        assert {"no-new-privileges:true", "seccomp:./seccomp.json"} == set(service["security_opt"])
    assert wrong({"services": {"a": {"imagee": "x"}}}, COMPOSE) == [".services.a.imagee: unknown"]


def test_kubernetes(folder: Path) -> None:
    documents = list(yaml.safe_load_all((folder / "kubernetes.yaml").read_text()))
    assert len(documents) == len({(one["kind"], one["metadata"]["name"]) for one in documents})
    for one in documents:
        shape = {"apiVersion": TEXT, "kind": TEXT, "metadata": META, **KINDS[one["apiVersion"], one["kind"]]}
        assert wrong(one, shape) == [], one["kind"]
    by_kind = {one["kind"]: one for one in documents}
    template = by_kind["Deployment"]["spec"]["template"]
    labels = template["metadata"]["labels"].items()
    for selector in (
        by_kind["Deployment"]["spec"]["selector"]["matchLabels"], by_kind["Service"]["spec"]["selector"],
        by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ):  # fmt: skip
        assert selector.items() <= labels
    volumes = {one["name"] for one in template["spec"]["volumes"]}
    mounted = {one["name"] for box in template["spec"]["containers"] for one in box["volumeMounts"]}
    assert mounted <= volumes
    assert by_kind["ServiceAccount"]["metadata"]["name"] == template["spec"]["serviceAccountName"]


def test_dockerfile(folder: Path) -> None:
    text = (folder / "Dockerfile").read_text()
    lines = re.sub(r"\\\n", " ", "\n".join(x for x in text.split("\n") if not x.lstrip().startswith("#"))).split("\n")
    steps = [line.split(None, 1) for line in lines if line.strip()]
    known = {"ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "HEALTHCHECK", "CMD"}
    assert {step[0] for step in steps} <= known
    assert steps[0][0] == "ARG"
    assert steps[1][0] == "FROM"
    stages = {name.split()[2] for word, name in steps if word == "FROM" and " AS " in name}
    for word, rest in steps:
        for source in re.findall(r"--from=(\S+)", rest) if word == "COPY" else ():
            assert source in stages
        if word == "RUN":
            assert shlex.split(rest)
        if word == "CMD":
            assert isinstance(json.loads(rest), list)
    health = next(rest for word, rest in steps if word == "HEALTHCHECK")
    assert isinstance(json.loads(health.partition("CMD")[2]), list)


def test_seccomp(folder: Path) -> None:
    made = json.loads((folder / "seccomp.json").read_text())
    shape = {
        "defaultAction": re.compile("SCMP_ACT_(?:ERRNO|KILL|KILL_PROCESS)"), "defaultErrnoRet": NUMBER,
        "archMap": [{"architecture": re.compile(r"SCMP_ARCH_\w+"), "subArchitectures": [TEXT]}],
        "syscalls": [{
            "names": [re.compile(r"[a-z0-9_]+")], "action": re.compile("SCMP_ACT_(?:ALLOW|ERRNO)"),
            "args": [ANY], "errnoRet": NUMBER, "comment": TEXT, "includes": ANY, "excludes": ANY,
        }],
    }  # fmt: skip
    assert wrong(made, shape) == []
    names = [name for row in made["syscalls"] for name in row["names"] if row["action"] == "SCMP_ACT_ALLOW"]
    assert {"execve", "mmap", "read", "exit_group"} <= set(names)
    assert not {"ptrace", "mount", "bpf", "kexec_load", "init_module", "unshare", "setns"} & set(names)
