"""Values made of other values: literal containers, joined text, and the calls that only name or bind things."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from hauberk.scanning.python_scope import canonical
from hauberk.scanning.python_values import ENTRIES, TEXT_LIMIT, UNKNOWN, Bound, CallSite, Value, join, longer, merge

LOG_METHODS = frozenset(["debug", "info", "warning", "warn", "error", "exception", "critical", "log"])
_WORDS = 40


def all_of(site: CallSite) -> Iterable[Value]:
    """Yield every argument."""
    yield from site.arguments
    for _, value in site.keywords:
        yield value


def built(site: CallSite) -> Value | None:
    """Evaluate the calls that only name or bind things."""
    first = site.argument(0)
    if site.path == "getattr" and len(site.arguments) >= 2 and isinstance(site.arguments[1].constant, str):
        return Value(path=canonical(longer(first.path, f".{site.arguments[1].constant}")), taints=first.taints)
    if site.path in ("__import__", "importlib.import_module") and isinstance(first.constant, str):
        return Value(path=canonical(first.constant))
    if site.path == "functools.partial" and site.arguments:
        inner = first.bound or Bound((), ())
        bound = Bound((*inner.arguments, *site.arguments[1:]), (*site.keywords, *inner.keywords))
        return Value(path=first.path, bound=bound, taints=first.taints)
    if site.path == "dict" and site.keywords and not site.arguments:
        return holding(list(site.keywords))
    return None


def holding(rows: list[tuple[str, Value]]) -> Value:
    """Make a literal container; of what is beyond the first entries only the taints are kept."""
    if len(rows) > ENTRIES:
        rest = join(*(value.everything() for _, value in rows[ENTRIES:]))
        return Value(entries=tuple(rows[:ENTRIES]), taints=rest)
    return Value(entries=tuple(rows))


def element_of(value: Value) -> Value:
    """Return what any element of a container may be."""
    if not value.entries:
        return Value(path=longer(value.path, "[]") if value.path else "", taints=value.taints)
    result = value.entries[0][1]
    for _, item in value.entries[1:]:
        result = merge(result, item)
    return result._replace(taints=join(result.taints, value.taints))


def text_of(parts: list[Value]) -> Value:
    """Join pieces of a string (or add numbers, which nobody minds)."""
    pieces = [part.text if part.text else "{}" for part in parts]
    constant = "".join(part.constant for part in parts if isinstance(part.constant, str))
    whole = all(isinstance(part.constant, str) for part in parts)
    return Value(
        constant=constant if whole else UNKNOWN,
        taints=join(*(part.everything() for part in parts)),
        text="".join(pieces)[:TEXT_LIMIT] if any(part.text for part in parts) else "",
    )


def site_logs(path: str) -> bool:
    """Tell whether a call may write to a log or the output: only then its arguments' names are asked for."""
    return path == "print" or path.rsplit(".", 1)[-1] in LOG_METHODS


def words_of(node: ast.Call) -> tuple[str, ...]:
    """Collect the names that stand in the arguments, a bounded number of them."""
    words: list[str] = []
    queue: list[ast.AST] = [*node.args, *(keyword.value for keyword in node.keywords)]
    looked = 0
    while queue and looked < _WORDS:
        looked += 1
        item = queue.pop(0)
        if isinstance(item, ast.Name):
            words.append(item.id.lower())
        elif isinstance(item, ast.Attribute):
            words.append(item.attr.lower())
            continue
        elif isinstance(item, ast.Call):
            continue
        queue.extend(ast.iter_child_nodes(item))
    return tuple(words)
