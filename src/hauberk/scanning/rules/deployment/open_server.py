"""A model server, notebook or dashboard is started open to everyone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.build_instructions import COMMANDS
from hauberk.scanning.containers import Container

_EVERYWHERE = r"(?:0\.0\.0\.0|\[?::\]?(?=\s|$|:))"
_OPEN: tuple[tuple[re.Pattern[str], re.Pattern[str] | None, str, str, Severity], ...] = (
    (
        re.compile(
            r"(?:NotebookApp|ServerApp|IdentityProvider|LabApp)\.(?:token|password)[ =]*[\"']*(?=[\s,\]]|$)"
            r"|JUPYTER_TOKEN=(?:''|\"\")?(?=\s|$)"
        ),
        None,
        "Jupyter is started without a token: whoever reaches it runs code",
        "leave the token on",
        "high",
    ),
    (
        re.compile(rf"\bray\s+start\b.{{0,500}}--dashboard-host[ =]{_EVERYWHERE}", re.S),
        None,
        "Ray's dashboard, which runs jobs for anyone, listens on all interfaces",
        "bind the dashboard to 127.0.0.1",
        "high",
    ),
    (
        re.compile(r"(?i)\bGRADIO_SHARE=[\"']?(?:true|1)\b"),
        None,
        "the demo is shared publicly",
        "drop GRADIO_SHARE",
        "high",
    ),
    (
        re.compile(rf"\bmlflow\s+(?:server|ui)\b.{{0,500}}--host[ =]{_EVERYWHERE}", re.S),
        re.compile(r"--app-name[ =]basic-auth"),
        "MLflow listens on all interfaces without authentication",
        "bind it to 127.0.0.1, or start it with --app-name basic-auth behind TLS",
        "medium",
    ),
    (
        re.compile(r"\bvllm\s+serve\b|vllm\.entrypoints\.(?:openai\.)?api_server"),
        re.compile(r"--api-key|--host[ =](?:127\.|localhost)"),
        "vLLM serves on all interfaces without --api-key",
        "pass --api-key from a secret, or put an authenticating gateway before it",
        "medium",
    ),
    (
        re.compile(rf"\bOLLAMA_HOST=[\"']?(?:https?://)?{_EVERYWHERE}"),
        None,
        "Ollama, which has no authentication, listens on all interfaces",
        "leave OLLAMA_HOST at 127.0.0.1 and put an authenticating gateway before it",
        "medium",
    ),
    (
        re.compile(rf"\bsglang\.launch_server\b.{{0,500}}--host[ =]{_EVERYWHERE}", re.S),
        re.compile(r"--api-key"),
        "SGLang serves on all interfaces without --api-key",
        "pass --api-key from a secret, or put an authenticating gateway before it",
        "medium",
    ),
    (
        re.compile(r"\bjupyter(?:-lab|-notebook)?\b.{0,500}--(?:no-auth|ServerApp\.disable_check_xsrf[ =]True)", re.S),
        None,
        "Jupyter is started without its checks",
        "leave them on",
        "high",
    ),
    (
        re.compile(rf"\btensorboard\b.{{0,500}}(?:--bind_all|--host[ =]{_EVERYWHERE})", re.S),
        None,
        "TensorBoard, which has no authentication, listens on all interfaces",
        "bind it to 127.0.0.1",
        "medium",
    ),
)
_KEYED = re.compile(r"(?:VLLM_API_KEY|API_KEY|MLFLOW_AUTH_CONFIG_PATH|MLFLOW_FLASK_SERVER_SECRET_KEY)=.")
_TAKES_KEY = re.compile(r"\bvllm\b|text-generation-launcher|\bsglang|\bmlflow\b")
"""Servers that take their key from the environment as well."""


class OpenServer:
    """Find notebooks without a token, dashboards and model servers on all interfaces without a key.

    What: a command that starts a server for everyone.
    Why: Jupyter, Ray and MLflow run code for whoever reaches their port; an open model server gives the model and its
    quota away.
    Bad: `jupyter lab --ip=0.0.0.0 --ServerApp.token=''`.
    Good: `vllm serve … --host 127.0.0.1`, or a key from a secret and a gateway before it.
    Fix: keep the token, bind to loopback or an inner network.
    """

    card: ClassVar[Card] = Card(
        title="Open server",
        summary="A model server, notebook or dashboard is started open to everyone.",
        paper="CWE-306, CWE-668; OWASP LLM10; MITRE ATLAS AML.T0049",
        threats=("CWE-306", "CWE-668", "AML.T0049"),
        severity="high",
        reads=("instructions",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every command and variable."""
        keyed = {item.stage for item in artifact.instructions if item.keyword == "ENV" and _KEYED.match(item.value)}
        inner = {container.stage for container in artifact.containers if not _reachable(container)}
        for item in artifact.instructions:
            if item.keyword not in (*COMMANDS, "ENV") or (item.stage in keyed and _TAKES_KEY.search(item.value)):
                continue
            for pattern, unless, message, fix, severity in _OPEN:
                if pattern.search(item.value) and (unless is None or not unless.search(item.value)):
                    capped = "low" if severity == "medium" and item.stage in inner else severity
                    yield Draft(message=message, fix=fix, severity=capped, place=item.place)
                    break


def _reachable(container: Container) -> bool:
    """Say whether the file itself opens the container beyond its own network; a pod's server listens for the pod."""
    return "network" in container.host_namespaces or any(
        not port.host.startswith(("127.", "localhost", "[::1]", "::1")) for port in container.ports
    )
