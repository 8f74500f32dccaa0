"""Serving a model or its dashboard to everyone who can reach the machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import UNKNOWN, CallSite

_EVERYWHERE = ("0.0.0.0", "::", "[::]")  # noqa: S104 - what is looked for
_GRADIO = re.compile(r"gradio\.\w+\(\)(\.queue\(\))?\.launch")
_FLASK = re.compile(r"(flask|quart|dash)\.\w+\(\)\.(run|run_server)|\?app\.run|\?application\.run")
_SERVERS = frozenset(
    ["uvicorn.run", "uvicorn.Config", "waitress.serve", "hypercorn.run", "granian.Granian", "litserve.run"]
)
_COMMAND = re.compile(
    r"\b(mlflow\s+(ui|server)|jupyter[\w -]*|tensorboard|ray\s+start|streamlit\s+run|vllm\s+serve|ollama\s+serve"
    r"|text-generation-launcher|uvicorn)\b(.|\n)*(0\.0\.0\.0|--bind_all)"
)
_PROCESS = re.compile(r"subprocess\.\w+|os\.(system|popen)")


class ExposedService:
    """Find model servers, demos and dashboards bound to all interfaces, shared publicly or left in debug mode.

    A Ray, MLflow or Jupyter port runs code for whoever reaches it; a shared demo is a public address in front of your
    model; Flask's debugger is a Python console. Bind to loopback, put a gateway with authentication before it
    (`hauberk serve`), and never ship debug mode.
    """

    card: ClassVar[Card] = Card(
        title="Exposed service",
        summary="A model server, demo or dashboard is open to the network without protection.",
        paper="CWE-668, CWE-306, CWE-489; OWASP LLM10; MITRE ATLAS AML.T0049",
        threats=("CWE-668", "CWE-306", "AML.T0049"),
        severity="medium",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every call that starts a server."""
        for site in program_of(artifact).calls:
            for message, fix, severity in _judge(site):
                yield Draft(message=message, fix=fix, severity=severity, place=site.place)


def _judge(site: CallSite) -> Iterator[tuple[str, str, Severity]]:
    if _GRADIO.fullmatch(site.path) or (site.tail == "launch" and site.says("share") is True):
        yield from _gradio(site)
    elif _FLASK.fullmatch(site.path) or (site.tail in ("run", "run_server") and site.says("debug") is True):
        yield from _flask(site)
    elif site.path in _SERVERS and _open(site, "host"):
        yield ("the server listens on all interfaces", "bind to 127.0.0.1 behind an authenticating gateway", "low")
    elif site.path == "ray.init" and _open(site, "dashboard_host"):
        yield (
            "Ray's dashboard, which runs jobs for anyone, listens on all interfaces",
            "leave dashboard_host out",
            "high",
        )
    elif site.path.endswith((".NotebookApp.token =", ".ServerApp.token =", ".IdentityProvider.token =")):
        if site.arguments[0].constant == "":
            yield ("Jupyter runs without a token: anyone who reaches it runs code", "leave the token on", "high")
    elif _PROCESS.fullmatch(site.path):
        yield from _command(site)


def _open(site: CallSite, keyword: str) -> bool:
    return site.says(keyword) in _EVERYWHERE


def _gradio(site: CallSite) -> Iterator[tuple[str, str, Severity]]:
    guarded = site.keyword("auth") is not None and site.says("auth") is not None
    if site.says("share") is True:
        yield (
            "share=True opens the demo to the whole internet" + (", behind a password" if guarded else ""),
            "drop share=True, or serve it behind an authenticating gateway",
            "low" if guarded else "high",
        )
    if _open(site, "server_name") and not guarded:
        yield ("the demo listens on all interfaces without auth", "drop server_name or pass auth=", "medium")


def _flask(site: CallSite) -> Iterator[tuple[str, str, Severity]]:
    open_host = _open(site, "host") or site.argument(0).constant in _EVERYWHERE
    if site.says("debug") is True:
        where = " on all interfaces" if open_host else ""
        yield (
            f"debug mode serves a Python console{where}",
            "drop debug=True; take it from an environment variable in development only",
            "high" if open_host else "medium",
        )
    elif open_host:
        yield ("the development server listens on all interfaces", "bind to 127.0.0.1 behind a real server", "low")


def _command(site: CallSite) -> Iterator[tuple[str, str, Severity]]:
    command = site.argument(0, "args")
    words = [item.constant for _, item in command.entries if item.constant is not UNKNOWN]
    text = command.text or " ".join(str(word) for word in words)
    match = _COMMAND.search(text)
    if match is not None:
        yield (f"{match[1].split()[0]} is started on all interfaces", "bind it to 127.0.0.1", "medium")
