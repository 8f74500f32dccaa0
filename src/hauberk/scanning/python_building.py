"""Values made of other values: literal containers, joined text, and the calls that only name or bind things."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

from hauberk.scanning.python_scope import Scope, canonical
from hauberk.scanning.python_sources import is_runnable, secret
from hauberk.scanning.python_values import (
    ENTRIES,
    TEXT_LIMIT,
    UNKNOWN,
    Bound,
    CallSite,
    Taint,
    Value,
    join,
    longer,
    merge,
    widen,
)

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
    if (
        site.path in ("staticmethod", "classmethod", "functools.wraps()", "functools.lru_cache()", "typing.cast")
        and site.arguments
    ):
        return site.arguments[-1]
    if site.tail == "get" and site.receiver.entries and site.receiver.entries[0][0]:
        return element_of(site.receiver)
    if site.path == "shlex.split":
        return Value(path="shlex.split()", taints=first.everything(), text=first.text)
    if site.path in ("os.path.join", "pathlib.Path") and not site.keywords:
        return _joined_path(site)
    if site.path == "dict" and site.keywords and not site.arguments:
        return holding(list(site.keywords))
    return None


def _joined_path(site: CallSite) -> Value:
    """Join the pieces of a path, an unknown one as {}; an absolute piece begins anew."""
    pieces: list[str] = []
    for value in site.arguments:
        piece = value.text or "{}"
        pieces = [piece] if piece.startswith("/") else [*pieces, piece.rstrip("/")]
    taints = join(*(value.everything() for value in site.arguments))
    text = "/".join(pieces)[:TEXT_LIMIT] if any(value.text for value in site.arguments) else ""
    return Value(path=f"{site.path}()", taints=taints, text=text)


def holding(rows: list[tuple[str, Value]]) -> Value:
    """Make a literal container; of what is beyond the first entries only the taints are kept, inside."""
    inside = join(*(value.everything() for _, value in rows))
    return Value(entries=tuple(rows[:ENTRIES]), inside=inside)


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


def from_files(value: Value, files: Mapping[str, tuple[Taint, ...]]) -> Value:
    """Return a command or a path with what steers the files of the program's own making that it names."""
    if value.entries:
        rows = [(key, item if item.entries else from_files(item, files)) for key, item in value.entries]
        return holding(rows)._replace(taints=value.taints)
    words = value.text.split() if isinstance(value.constant, str) else ()
    taints = join(value.taints, *(files[word] for word in words if word in files))
    return value._replace(taints=taints) if taints else value


def handed_over(names: tuple[str, ...], function: str, site: CallSite) -> Iterator[tuple[str, Value]]:
    """Yield what a call hands to the parameters of a function, where anything is known of it."""
    line = f"line {site.place.line}: handed to {function.replace('?', '').lstrip(':')}()"
    for name, value in (*zip(names, site.arguments, strict=False), *site.keywords):
        if value.taints or value.entries or (value.path and not value.path.startswith("?")):
            yield name, Value(path=value.path, taints=widen(value.everything(), line))


def from_table(path: str, key: str, line: int, scope: Scope) -> Value | None:
    """Read the tables that hold names: globals()["eval"], sys.modules["pickle"], os.environ["API_KEY"]."""
    if path in ("globals()", "vars()", "locals()", "builtins.__dict__", "__dict__", "builtins"):
        return scope.lookup(key)
    if path == "sys.modules":
        return Value(path=canonical(key))
    found = secret(key, line) if path == "os.environ" else None
    return Value(path=f"os.environ[{key[:40]}]", taints=(found,)) if found else None


def piped(values: list[Value]) -> Value:
    """Read prompt | model | parser, a chain that asks the model when it is invoked."""
    taints = join(*(value.everything() for value in values))
    if any(is_runnable(value) for value in values):
        return Value(path="langchain.chain()", taints=taints)
    return Value(taints=taints, path=values[0].path if len(values) == 1 else "")
