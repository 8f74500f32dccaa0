"""Which constant paths reach the operators of a TensorFlow graph that read or write files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hauberk.scanning.operators import reaching

_THROUGH = frozenset(
    {"Identity", "StringJoin", "ShardedFilename", "Select", "SelectV2", "Pack", "Reshape", "ExpandDims"}
)
_HOPS = 64
_KEPT = 20_000


class Node(NamedTuple):
    """A node of a graph or function. scope: which of them. texts: its constants' and path attributes' texts."""

    scope: int
    name: str
    kind: str
    inputs: tuple[str, ...]
    texts: tuple[str, ...]
    offset: int


class GraphPaths:
    """Keeps constants, what passes them on and what uses them; then follows each use back to its constants."""

    def __init__(self) -> None:
        self._sources: dict[tuple[int, str], Node] = {}
        self._uses: list[Node] = []

    def add(self, node: Node) -> None:
        """Take a node, if paths can stand in it or pass through it."""
        constant = node.kind == "Const"
        if len(self._sources) < _KEPT and (node.kind in _THROUGH or (constant and node.texts)):
            self._sources[node.scope, node.name] = node
        if len(self._uses) < _KEPT and (reaching(node.kind) or (not constant and node.texts)):
            self._uses.append(node)

    def found(self) -> Iterator[tuple[str, str, int]]:
        """Yield operator, constant text and offset of each use."""
        told: set[tuple[str, str]] = set()
        for node in self._uses:
            for path in (*node.texts, *self._behind(node)):
                if path and (node.kind, path) not in told and len(told) < 200:
                    told.add((node.kind, path))
                    yield node.kind, path[:300], node.offset

    def _behind(self, node: Node) -> Iterator[str]:
        pending, seen = [(node.scope, name) for name in node.inputs], set[tuple[int, str]]()
        while pending and len(seen) < _HOPS:
            scope, name = pending.pop()
            key = (scope, name.lstrip("^").partition(":")[0])
            source = self._sources.get(key)
            if source is None or key in seen:
                continue
            seen.add(key)
            if source.kind == "Const":
                yield from source.texts
            else:
                pending.extend((scope, inner) for inner in source.inputs)
