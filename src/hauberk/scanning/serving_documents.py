"""Settings of model servers, gateways and monitoring kept in YAML, as `SETTING key=value` instructions."""

from __future__ import annotations

from collections.abc import Iterator

from hauberk.scanning.artifact import Instruction, Place
from hauberk.scanning.document_tree import Document, Node

_READ = frozenset(["prometheus", "litellm", "ray-serve", "bentoml", "helm-values", "settings"])
_MOST = 20_000


def serving_instructions(document: Document) -> Iterator[Instruction]:
    """Yield every scalar of a settings document with its dotted way, bounded."""
    if document.kind not in _READ:
        return
    for count, (way, node) in enumerate(scalars(document.root)):
        if count >= _MOST:
            return
        value = f"{way}={node.text}"
        yield Instruction(keyword="SETTING", value=value, stage=document.kind, place=Place(line=node.line))


def scalars(root: Node) -> Iterator[tuple[str, Node]]:
    """Yield every scalar with its dotted way, "[]" for an item of a list; a shared node once."""
    seen: set[int] = set()
    pending: list[tuple[str, Node]] = [("", root)]
    while pending:
        way, node = pending.pop()
        if node.kind == "scalar":
            yield way, node
        elif id(node) not in seen:
            seen.add(id(node))
            pending.extend((f"{way}[]", item) for item in reversed(node.items))
            below = f"{way}." if way else ""
            pending.extend((f"{below}{key[:80]}", item) for key, item in reversed([*node.fields.items()]))
