"""A model server, notebook or dashboard is started open to everyone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.build_instructions import COMMANDS

_EVERYWHERE = r"(?:0\.0\.0\.0|\[?::\]?(?=\s|$|:))"
_OPEN: tuple[tuple[re.Pattern[str], re.Pattern[str] | None, str, str, Severity], ...] = (
    (
        re.compile(
            r"(?:NotebookApp|ServerApp|IdentityProvider|LabApp)\.(?:token|password)[ =]*(?:''|\"\"|(?=\s|$))"
            r"|JUPYTER_TOKEN=(?:''|\"\")?(?=\s|$)"
        ),
        None,
        "Jupyter is started without a token: whoever reaches it runs code",
        "leave the token on",
        "high",
    ),
    (
        re.compile(rf"\bray\s+start\b.*--dashboard-host[ =]{_EVERYWHERE}", re.S),
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
        re.compile(rf"\bmlflow\s+(?:server|ui)\b.*--host[ =]{_EVERYWHERE}", re.S),
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
        re.compile(rf"\btensorboard\b.*(?:--bind_all|--host[ =]{_EVERYWHERE})", re.S),
        None,
        "TensorBoard, which has no authentication, listens on all interfaces",
        "bind it to 127.0.0.1",
        "medium",
    ),
)


class OpenServer:
    """Find notebooks without a token, dashboards and model servers on all interfaces without a key.

    Jupyter, Ray and MLflow run code for whoever reaches their port; an open model server gives the model and its quota
    away. Keep the token, bind to loopback or an inner network, and put an authenticating gateway before it.
    """

    card: ClassVar[Card] = Card(
        title="Open server",
        summary="A model server, notebook or dashboard is started open to everyone.",
        paper="CWE-306, CWE-668; OWASP LLM10; MITRE ATLAS AML.T0049",
        threats=("CWE-306", "CWE-668", "AML.T0049"),
        severity="high",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every command and variable."""
        for item in artifact.instructions:
            if item.keyword not in (*COMMANDS, "ENV"):
                continue
            for pattern, unless, message, fix, severity in _OPEN:
                if pattern.search(item.value) and (unless is None or not unless.search(item.value)):
                    yield Draft(message=message, fix=fix, severity=severity, place=item.place)
                    break
