"""Lists of tool servers and of tools for agents (MCP and chat functions), in JSON or JSON with comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Instruction, Place, Problem
from hauberk.scanning.document_tree import Document, Node
from hauberk.scanning.json_documents import NotJson, json_document
from hauberk.scanning.text import is_text, read_text
from hauberk.scanning.tool_manifests import is_server_manifest, is_tool_list, tool_servers

_SERVERS = re.compile(rb"\"(?:mcpServers|mcp_servers|context_servers|servers)\"\s*:")
_TOOLS = re.compile(rb"\"(?:inputSchema|input_schema|parameters)\"\s*:")
_NAMES = re.compile(
    r"\.?mcp(?:[._-].*)?\.jsonc?|claude_desktop_config\.json|.*mcp.*\.jsonc?|tools?(?:[._-].*)?\.jsonc?|settings\.json|.*tools\.json"
)
_MOST_BYTES = 2 << 20
_HEAD = 1 << 16


class McpManifest:
    """Read who an agent's tools are, how they are started, and what they say of themselves."""

    card: ClassVar[Card] = Card(
        title="Tool manifest",
        summary="Tool servers an agent's host starts or reaches, and tools with the descriptions the model reads.",
        paper="Model Context Protocol 2025-06-18; OpenAI function tools",
        suffixes=(".json", ".jsonc"),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept by the keys such lists have."""
        if not blob.name.endswith((".json", ".jsonc")) or not is_text(blob.head):
            return False
        if blob.size > _MOST_BYTES:
            return "mcp" in blob.name
        if _SERVERS.search(blob.head) or _TOOLS.search(blob.head):
            return True
        if blob.size <= len(blob.head) or _NAMES.fullmatch(blob.name) is None:
            return False
        with blob.open() as stream:
            head = stream.read(_HEAD)
        return _SERVERS.search(head) is not None or _TOOLS.search(head) is not None

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - no parts
        """Read the document; one that is no list of tools says nothing."""
        if blob.size > _MOST_BYTES:
            raise LimitExceeded(f"{blob.size} bytes are more than the {_MOST_BYTES} of a manifest", fix="look by hand")
        read = read_text(blob, limits)
        documents: list[Document] = []
        problems: list[Problem] = []
        try:
            root = json_document(read.text, limits)
            kind = "tool-servers" if is_server_manifest(root) else "tools" if is_tool_list(root) else ""
            documents = [Document(kind, root)] if kind else []
        except NotJson as error:
            if _NAMES.fullmatch(blob.name):
                problems.append(Problem(kind="malformed", message=f"not read to its end: {error}"))
        except LimitExceeded as error:
            problems.append(Problem(kind="limit", message=error.what))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="mcp_manifest",
            size=blob.size,
            digest=read.digest,
            documents=tuple(documents),
            instructions=tuple(fact for document in documents for fact in _instructions(document)),
            problems=tuple(problems),
        )


def _instructions(document: Document) -> Iterator[Instruction]:
    """Yield the command and the variables of every server."""
    if document.kind != "tool-servers":
        return
    for server in tool_servers(document.root):
        place = Place(line=server.line)
        if server.command:
            text = " ".join((server.command, *server.arguments))
            yield Instruction(keyword="CMD", value=text, stage=server.name, place=place)
        for name, node in server.environment.fields.items():
            yield _variable(name, node, server.name)
        for name, node in server.headers.fields.items():
            if name.lower() in ("authorization", "x-api-key", "api-key"):
                yield _variable("AUTH_TOKEN" if name.lower() == "authorization" else "API_KEY", node, server.name)


def _variable(name: str, node: Node, stage: str) -> Instruction:
    text = re.sub(r"(?i)^(?:bearer|basic|token)\s+", "", node.text)
    return Instruction(keyword="ENV", value=f"{name}={text}", stage=stage, place=Place(line=node.line))
