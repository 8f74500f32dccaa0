"""A tool server for an agent is started unpinned, over a shell or in the clear."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft, Place
from hauberk.scanning.tool_manifests import ToolServer, tool_servers

_SHELLS = re.compile(r"(?:^|[/\\])(?:ba|z|da|k|fi)?sh(?:\.exe)?$|^(?:cmd|powershell|pwsh)(?:\.exe)?$|^(?:eval|sudo)$")
_SHELL_TOOL = re.compile(
    r"(?i)(?:^|[/@-])(?:shell|terminal|bash|cmd|command|exec|ssh)[\w-]*(?:-mcp|-server)|mcp-(?:server-)?(?:shell|terminal|commands?|ssh)"
)
_VERSION = re.compile(r".+@\d[\w.+-]*$|.+==\d[\w.]*$|.+@[0-9a-f]{40}$")
_WHOLE = frozenset(["/", "~", "$HOME", "${HOME}", "C:\\", "C:/", "/home", "/Users", "/root", "/etc"])
_RUNNERS = frozenset(["npx", "bunx", "pnpm", "yarn", "uvx", "pipx"])
_LOCAL = ("http://localhost", "http://127.", "http://[::1]", "http://host.docker.internal", "http://0.0.0.0")


class ToolServerStart:
    """Find MCP servers that are unpinned, run through a shell, see the whole disk, or speak HTTP.

    What: `npx -y package`, `uvx package`, `docker run image:latest`, `sh -c …`, `http://…`, the whole home folder as
    root.
    Why: the server runs with your rights and your agent obeys what it answers; a new version of it (a rug pull) changes
    both. CVE-2025-6514 ran commands from a remote server's answer.
    Bad: `"command": "npx", "args": ["-y", "some-mcp"]`.
    Good: `"args": ["-y", "some-mcp@1.4.2"]`, better an installed, locked one.
    Fix: pin the version, give it one folder and no shell, and use https.
    """

    card: ClassVar[Card] = Card(
        title="Tool server",
        summary="An agent's tool server is unpinned, a shell, sees the whole disk, or speaks HTTP.",
        paper="CWE-829, CWE-78, CWE-319; OWASP LLM03, LLM06; CVE-2025-6514; MITRE ATLAS AML.T0010, AML.T0053",
        threats=("CWE-829", "CWE-78", "CWE-319", "OWASP-LLM06", "AML.T0053"),
        severity="medium",
        reads=("documents",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every server of a manifest."""
        for document in artifact.documents:
            if document.kind == "tool-servers":
                for server in tool_servers(document.root):
                    for message, fix, severity in _faults(server):
                        yield Draft(
                            message=f"tool server {server.name} {message}",
                            fix=fix,
                            severity=severity,
                            place=Place(line=server.line),
                        )


def _faults(server: ToolServer) -> Iterator[tuple[str, str, Severity]]:
    program = server.command.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".exe").removesuffix(".cmd")
    words = server.arguments
    if _SHELLS.search(server.command) and any(word.lower() in ("-c", "/c", "-lc", "-command") for word in words):
        piped = any(re.search(r"\b(?:curl|wget|iwr)\b[^|]{0,500}\|", word) for word in words)
        yield "is a shell command line", "name the program and its arguments", "high" if piped else "medium"
    package = _package(program, words)
    if package and not _VERSION.fullmatch(package) and not package.startswith((".", "/")):
        yield (
            f"runs whatever {program} finds under {package} today",
            "pin a version, better install and lock it",
            "medium",
        )
    if _SHELL_TOOL.search(package or " ".join((server.command, *words))):
        yield "gives the agent a shell", "give it narrow tools with checked arguments", "high"
    if {*words} & _WHOLE:
        yield "sees the whole disk or home folder", "give it the one folder it works in", "medium"
    if server.url.startswith("http://") and not server.url.startswith(_LOCAL):
        yield "is spoken to in the clear", "use https", "high"
    if any(word in ("--privileged", "--network=host") or "docker.sock" in word for word in words):
        yield "runs in a container with the host's powers", "leave the flag out", "high"
    if program == "docker" and (image := _image(words)) and "@sha256:" not in image:
        moving = ":" not in image.rsplit("/", 1)[-1] or image.endswith(":latest")
        yield f"is the image {image}, not pinned to a digest", "pin its digest", "medium" if moving else "low"


def _package(program: str, words: tuple[str, ...]) -> str:
    """Name the package that a runner would fetch."""
    if program == "uv" and words[:2] == ("tool", "run"):
        words = words[2:]
    elif program not in _RUNNERS:
        return ""
    rest = iter(words)
    for word in rest:
        if word in ("--from", "--package", "-p", "--with"):
            return next(rest, "") if word != "--with" else _package(program, tuple(rest)[1:])
        if not word.startswith("-") and word not in ("dlx", "run", "exec"):
            return word
    return ""


def _image(words: tuple[str, ...]) -> str:
    taking = frozenset(["-e", "--env", "-v", "--volume", "--mount", "--name", "-p", "--network", "--env-file", "-u"])
    rest = iter(words[1:] if words[:1] == ("run",) else ())
    for word in rest:
        if word in taking:
            next(rest, None)
        elif not word.startswith("-"):
            return word
    return ""
