"""Settings read from JSON or YAML as one kind of tree that keeps what the text said: repeated keys, order, places."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias, Union

from hauberk.core.errors import LimitExceeded
from hauberk.scanning.watch import Watch

Tree: TypeAlias = Union["Pairs", list["Tree"], str, int, float, bool, None]
Path: TypeAlias = tuple[object, str | int] | None
"""The keys that lead to a node, innermost last, linked so that they are put into words only when asked for."""
_WORDED = 24
MOST_NODES = 2_000_000
"""About a hundred bytes of memory each."""


class Pairs:
    """A mapping as written: loaders differ on which of two equal keys they take, so both stay."""

    __slots__ = ("items",)

    def __init__(self, items: list[tuple[str, Tree]] | None = None) -> None:
        self.items = items if items is not None else []

    def __iter__(self) -> Iterator[tuple[str, Tree]]:
        return iter(self.items)

    def get(self, key: str) -> Tree:
        """Return the last value of a key, as most loaders do; None where there is none."""
        return next((value for name, value in reversed(self.items) if name == key), None)

    def text(self, key: str) -> str:
        """Return the last value of a key where it is text, else an empty one."""
        value = self.get(key)
        return value if isinstance(value, str) else ""


class Entry(NamedTuple):
    """One node of a tree, the keys that lead to it, and the last of them that names a field."""

    path: Path
    key: str
    value: Tree


_WALKED = (str, list, Pairs)


def json_tree(text: str) -> Tree:
    """Read JSON; raises ValueError where it is none, LimitExceeded where it is too deep or has too many nodes."""
    if sum(map(text.count, ",[{")) > MOST_NODES:
        raise LimitExceeded(f"JSON of more than {MOST_NODES} nodes", fix="look by hand")
    try:
        tree: Tree = json.loads(text, object_pairs_hook=Pairs)
    except RecursionError:
        raise LimitExceeded("JSON nested too deeply to be read", fix="look by hand") from None
    return tree


def entries(root: Tree, watch: Watch) -> Iterator[Entry]:
    """Yield every mapping and every text in the order written, without recursion; raises LimitExceeded."""
    pending: list[Iterator[Entry]] = [iter([Entry(None, "", root)])]
    while pending:
        entry = next(pending[-1], None)
        if entry is None:
            pending.pop()
            continue
        watch.tick()
        if isinstance(entry.value, (str, Pairs)):
            yield entry
        if isinstance(entry.value, (list, Pairs)):
            pending.append(_inside(entry, entry.value))


def _inside(entry: Entry, value: Pairs | list[Tree]) -> Iterator[Entry]:
    """Yield what a collection holds, but for numbers and their like."""
    path, key = entry.path, entry.key
    if isinstance(value, Pairs):
        for name, item in value.items:
            if isinstance(item, _WALKED):
                yield Entry((path, name), name, item)
    else:
        for index, item in enumerate(value):
            if isinstance(item, _WALKED):
                yield Entry((path, index), key, item)


def steps_to(path: Path, most: int = _WORDED) -> list[str | int]:
    """List the keys that lead to a node, innermost first, at most so many."""
    steps: list[str | int] = []
    while path is not None and len(steps) < most:
        outer, step = path
        steps.append(step)
        path = outer if isinstance(outer, tuple) else None
    return steps


def worded(path: Path) -> str:
    """Put the keys that lead to a node into words, such as "config.layers[3].config"."""
    words = ""
    for step in reversed(steps_to(path)):
        words += f"[{step}]" if isinstance(step, int) else f".{step[:60]}" if words else step[:60]
    return words


def shortened(value: Tree, cap: int = 160) -> str:
    """Show a value in a line of at most `cap` characters, its outer levels only."""
    return _shown(value, 3)[:cap]


def _shown(value: Tree, depth: int) -> str:
    if isinstance(value, Pairs):
        inner = ", ".join(f"{name[:40]}={_shown(item, depth - 1)}" for name, item in value.items[:6]) if depth else "…"
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(_shown(item, depth - 1) for item in value[:6]) if depth else '…'}]"
    return repr(value[:120]) if isinstance(value, str) else repr(value)
