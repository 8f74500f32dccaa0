"""Manifests of tools that agents use: servers to start or to reach, and the descriptions the model reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hauberk.scanning.document_tree import Node

_SERVER_KEYS = ("mcpServers", "mcp_servers", "servers", "context_servers")
_READ = frozenset(
    ["description", "instructions", "title", "prompt", "text", "annotations", "systemPrompt", "system_prompt"]
)


class ToolServer(NamedTuple):
    """A server that an agent's host starts (command, arguments, environment) or reaches (url)."""

    name: str
    command: str
    arguments: tuple[str, ...]
    url: str
    environment: Node
    headers: Node
    line: int


def is_server_manifest(root: Node) -> bool:
    """Tell a host's list of tool servers."""
    return any(True for _ in _groups(root))


def is_tool_list(root: Node) -> bool:
    """Tell a list of tools with descriptions and schemas, bare or under `tools` or a protocol's result."""
    rows = tools(root)
    return bool(rows) and any(
        row.get("description") and (row.get("inputSchema") or row.get("input_schema") or row.get("parameters"))
        for row in rows
    )


def tools(root: Node) -> tuple[Node, ...]:
    """Return the tools of a list; functions of a chat request too."""
    rows = root.items or root.get("tools").items or root.get("result", "tools").items or root.get("functions").items
    return tuple(row.get("function") or row for row in rows if row.kind == "mapping")


def tool_servers(root: Node) -> Iterator[ToolServer]:
    """Yield every server of a manifest, those of single projects too."""
    for group in _groups(root):
        for name, node in group.fields.items():
            if node.kind == "mapping" and node.get("disabled").truth is not True:
                command = node.get("command")
                words = command.words if command.kind == "sequence" else tuple(command.text.split()) if command else ()
                yield ToolServer(
                    name=name[:80],
                    command=words[0] if words else "",
                    arguments=(*words[1:], *node.get("args").words),
                    url=node.get("url").text or node.get("serverUrl").text or node.get("httpUrl").text,
                    environment=node.get("env"),
                    headers=node.get("headers"),
                    line=node.line or 1,
                )


def _groups(root: Node) -> Iterator[Node]:
    """Yield the mappings of servers, at the top, under `mcp`, and under each project."""
    tops = [root, root.get("mcp"), *root.get("projects").fields.values()]
    for top in tops:
        for key in _SERVER_KEYS:
            group = top.get(key)
            rows = [row for row in group.fields.values() if row.kind == "mapping"]
            if any(row.get("command") or row.get("url") or row.get("serverUrl") or row.get("httpUrl") for row in rows):
                yield group


def descriptions(root: Node) -> Iterator[tuple[str, Node]]:
    """Yield every text that a model reads of a tool, with the tool's name."""
    for row in (*tools(root), *(node for group in _groups(root) for node in group.fields.values())):
        name = row.get("name").text or "tool server"
        for key, node in row.walk():
            if node.kind == "scalar" and (key in _READ or key == ""):
                yield f"tool {name[:60]}", node
    for key in ("instructions", "description"):
        node = root.get(key)
        if node.kind == "scalar":
            yield "the manifest", node
