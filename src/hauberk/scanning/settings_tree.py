"""Settings as plain trees that keep repeated keys, walked node by node without recursion, a shared node once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias, Union

from hauberk.core.errors import LimitExceeded
from hauberk.scanning.watch import Watch

_SHOWN = 160
_STEPS = 40

Tree: TypeAlias = Union["Pairs", "list[Tree]", str, int, float, bool, None]
Path: TypeAlias = "tuple[Path, str | int] | None"
"""The way to a node: the way to what holds it, and the key or index; None at the root."""


class Pairs(list[tuple[str, "Tree"]]):
    """A mapping as the pairs that were written, in their order, repeated keys included."""

    def get(self, key: str) -> Tree:
        """Return the value a loader would take, the last; None without one."""
        return next((value for name, value in reversed(self) if name == key), None)

    def text(self, key: str) -> str:
        """Return the last text under a key; "" without one."""
        return next((value for name, value in reversed(self) if name == key and isinstance(value, str)), "")


class Entry(NamedTuple):
    """A node and the way to it. line: 1-based, 0 where it is not known."""

    value: Tree
    path: Path = None
    line: int = 0

    @property
    def key(self) -> str:
        """The key that holds it; of an item of a list, the list's."""
        path = self.path
        while path is not None:
            if isinstance(path[1], str):
                return path[1]
            path = path[0]
        return ""


def json_tree(text: str) -> Tree:
    """Read JSON; raises ValueError where it is none, LimitExceeded where it is nested too deeply."""
    try:
        tree: Tree = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=Pairs)
    except RecursionError as error:
        raise LimitExceeded("JSON nested too deeply to be read", fix="look by hand") from error
    return tree


def entries(tree: Tree, watch: Watch) -> Iterator[Entry]:
    """Yield every node from the root on, outer before inner; raises LimitExceeded."""
    seen: set[int] = set()
    pending = [Entry(tree)]
    while pending:
        entry = pending.pop()
        watch.tick()
        yield entry
        if not isinstance(entry.value, list) or id(entry.value) in seen:
            continue
        seen.add(id(entry.value))
        if isinstance(entry.value, Pairs):
            inner = [Entry(value, (entry.path, key), entry.line) for key, value in entry.value]
        else:
            inner = [Entry(value, (entry.path, index), entry.line) for index, value in enumerate(entry.value)]
        pending.extend(reversed(inner))


def worded(path: Path) -> str:
    """Write the way to a node: "config.layers[0].name"."""
    steps: list[str] = []
    while path is not None and len(steps) < _STEPS:
        outer, step = path
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step[:80]}")
        path = outer
    return "".join(reversed(steps)).removeprefix(".")


def shortened(tree: Tree) -> str:
    """Write the beginning of a tree on one line."""
    parts: list[str] = []
    length = 0
    pending: list[tuple[str, Tree]] = [("", tree)]
    while pending and length <= _SHOWN:
        before, node = pending.pop()
        if isinstance(node, Pairs):
            text = before + "{"
            pending.append(("}", ""))
            for key, value in reversed(list(node)[:20]):
                pending.append((f"{key[:40]}=", value))
        elif isinstance(node, list):
            text = before + "["
            pending.append(("]", ""))
            pending.extend(("", value) for value in reversed(node[:20]))
        else:
            text = before if before in ("}", "]") else before + repr(node[:_SHOWN] if isinstance(node, str) else node)
        parts.append(text)
        length += len(text) + 2
    whole = ", ".join(parts).replace("{, ", "{").replace("[, ", "[").replace(", }", "}").replace(", ]", "]")
    return whole[:_SHOWN] + ("…" if pending or len(whole) > _SHOWN else "")
