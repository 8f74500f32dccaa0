"""A settings file as a tree of nodes with line numbers: YAML by its events, JSON by its tokens, both within limits.

No tag is built and no number made: every scalar stays the text it is. An anchor's node is shared, not copied, so that
aliases of aliases cost nothing; "<<" merges fields, a bounded number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import yaml

from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits

_LOADER: type[yaml.BaseLoader] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_DEEPEST = 100
MOST_NODES = 400_000
_TRUE, _FALSE = frozenset(["true", "yes", "on", "1"]), frozenset(["false", "no", "off", "0"])


class Node(NamedTuple):
    """A scalar (text), a mapping (fields) or a sequence (items), and its 1-based line; NOTHING is none of them."""

    line: int | None = None
    text: str = ""
    fields: Mapping[str, Node] = {}
    items: tuple[Node, ...] = ()
    kind: str = ""

    def get(self, *keys: str) -> Node:
        """Follow keys down mappings; NOTHING where one is missing."""
        node = self
        for key in keys:
            node = node.fields.get(key, NOTHING)
        return node

    def __bool__(self) -> bool:
        return self.kind != ""

    @property
    def truth(self) -> bool | None:
        """What a boolean scalar says; None for anything else."""
        word = self.text.strip().lower()
        return True if word in _TRUE else False if word in _FALSE else None

    @property
    def words(self) -> tuple[str, ...]:
        """The scalars of a sequence, or the one scalar."""
        if self.kind == "scalar":
            return (self.text,) if self.text else ()
        return tuple(item.text for item in self.items if item.kind == "scalar")

    def walk(self) -> Iterator[tuple[str, Node]]:
        """Yield every node below with its key ("" in a sequence), a shared one once."""
        seen: set[int] = set()
        pending: list[tuple[str, Node]] = [("", self)]
        while pending:
            key, node = pending.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            yield key, node
            pending.extend(("", item) for item in reversed(node.items))
            pending.extend(reversed([*node.fields.items()]))


NOTHING = Node()


class Document(NamedTuple):
    """One document of a settings file. kind: what it configures, such as "kubernetes", "compose", "workflow"."""

    kind: str
    root: Node


class _Open(NamedTuple):
    """A collection that has begun. key: the mapping key that waits for its value."""

    line: int
    anchor: str | None
    fields: dict[str, Node] | None
    items: list[Node]
    key: list[str]
    merged: list[Node]


class YamlTrees:
    """Read the documents of a YAML text; `fault` says what ended the reading before its end."""

    def __init__(self, text: str, limits: Limits) -> None:
        self._text, self._most = text, min(limits.nodes, MOST_NODES)
        self.fault = ""

    def documents(self) -> Iterator[Node]:
        """Yield each document's root; raises LimitExceeded where there is too much of it or it is too deep."""
        anchors: dict[str, Node] = {}
        stack: list[_Open] = []
        root = NOTHING
        count = 0
        try:
            for event in yaml.parse(self._text, Loader=_LOADER):
                count += 1
                if count > self._most or len(stack) > _DEEPEST:
                    raise LimitExceeded(f"YAML nested deeper than {_DEEPEST} or of more than {self._most} nodes")
                line = event.start_mark.line + 1 if event.start_mark else 0
                node = NOTHING
                if isinstance(event, yaml.CollectionStartEvent):
                    mapping = isinstance(event, yaml.MappingStartEvent)
                    stack.append(_Open(line, event.anchor, {} if mapping else None, [], [], []))
                elif isinstance(event, yaml.CollectionEndEvent):
                    ended = stack.pop()
                    node, merged = _closed(ended)
                    count += merged
                    if ended.anchor:
                        anchors[ended.anchor] = node
                elif isinstance(event, yaml.ScalarEvent):
                    node = Node(line, event.value, kind="scalar")
                    if event.anchor:
                        anchors[event.anchor] = node
                elif isinstance(event, yaml.AliasEvent):
                    node = anchors.get(event.anchor or "", Node(line, "", kind="scalar"))
                elif isinstance(event, yaml.DocumentEndEvent):
                    yield root
                    anchors, root = {}, NOTHING
                if node and stack:
                    _take(stack[-1], node)
                elif node:
                    root = node
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            self.fault = " ".join(str(error).split())[:200]


def _take(into: _Open, node: Node) -> None:
    """Give a collection its next node: an item, a key, or the value of the key before."""
    if into.fields is None:
        into.items.append(node)
    elif not into.key:
        into.key.append(node.text)
    elif (key := into.key.pop()) == "<<":
        into.merged.extend(node.items or (node,))
    else:
        into.fields[key] = node


def _closed(ended: _Open) -> tuple[Node, int]:
    """Make the node of a collection that has ended; count the fields that were merged into it."""
    if ended.fields is None:
        return Node(ended.line, items=tuple(ended.items), kind="sequence"), 0
    fields, merged = ended.fields, 0
    for source in ended.merged:
        merged += len(source.fields)
        fields = {**source.fields, **fields}
    return Node(ended.line, fields=fields, kind="mapping"), merged
