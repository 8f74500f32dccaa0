"""What the modules of a project say of each other: who returns a model's answer, who is handed one.

Only modules near a source of outside data are read: those that name one, what these import, and who imports these. Each
is read with what is known so far, until nothing new is learned or the allowance is spent. Nothing is executed.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import msgspec

from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import DEFAULT_LIMITS, Limits
from hauberk.scanning.artifact import Artifact
from hauberk.scanning.python_reader import Reader
from hauberk.scanning.python_text import decode_python, parse
from hauberk.scanning.python_values import NOTHING_KNOWN, UNKNOWN, Known, Value
from hauberk.scanning.tree import Listed
from hauberk.scanning.watch import Watch

MODULES = 400
"""Modules that are read together at most; the nearest to a source come first."""
SECONDS = 20.0
ROUNDS = 4
"""Readings of one module at most."""
_BYTES = 1 << 20
_STEPS = 2
"""Imports between a source and a module that is read."""
_SOURCE = re.compile(
    rb"\b(openai|anthropic|litellm|langchain\w*|llama_index|ollama|cohere|mistralai|transformers|vllm|smolagents|crewai"
    rb"|autogen|dspy|replicate|groq|genai|bedrock|InferenceClient|flask|fastapi|starlette|django|aiohttp|quart|sanic|bottle"
    rb"|gradio|streamlit|chainlit|mcp|request)\b"
)
_IMPORT = re.compile(rb"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import[ \t]+([^\n#]*)|import[ \t]+([\w., \t]+))", re.M)


class Index(NamedTuple):
    """What is known of each module by its path. omitted: modules that should have been read and were not."""

    known: dict[str, Known] = {}  # noqa: RUF012 - never written to
    omitted: int = 0

    def of(self, path: str) -> Known:
        """Return what the other modules say of one."""
        return self.known.get(path, NOTHING_KNOWN)

    def stamp(self, path: str) -> str:
        """Return a digest of what is said of a module, "" where nothing is: a kept result holds only under it."""
        known = self.known.get(path)
        return hashlib.sha256(repr(_plain(known)).encode()).hexdigest() if known else ""


EMPTY = Index()


def survey(files: Sequence[Listed], limits: Limits = DEFAULT_LIMITS) -> Index:
    """Read the project's modules near a source together; EMPTY where fewer than two of them import each other."""
    modules = {listed.path: listed for listed in files if listed.path.endswith(".py")}
    if len(modules) < 2:
        return EMPTY
    texts = {path: data for path, listed in modules.items() if (data := _head(listed)) is not None}
    sources = [path for path, data in texts.items() if _SOURCE.search(data)]
    if not sources:
        return EMPTY
    names = _Names(modules)
    imports = {path: names.imported(path, data) for path, data in texts.items()}
    near = _near(sources, imports)
    if len(near) < 2:
        return EMPTY
    return _Survey(near[:MODULES], texts, imports, limits).run(max(0, len(near) - MODULES))


def _head(listed: Listed) -> bytes | None:
    try:
        with Path(listed.file).open("rb") as stream:
            data = stream.read(_BYTES + 1)
    except OSError:
        return None
    return data if len(data) <= _BYTES else None


def _near(sources: list[str], imports: dict[str, dict[str, str]]) -> list[str]:
    """Order the modules by their distance from a source that imports, or is imported by, another module."""
    links: dict[str, set[str]] = {}
    for path, targets in imports.items():
        for target in targets.values():
            if target != path:
                links.setdefault(path, set()).add(target)
                links.setdefault(target, set()).add(path)
    seen = dict.fromkeys(path for path in sources if path in links)
    edge = list(seen)
    for _ in range(_STEPS):
        edge = [other for path in edge for other in sorted(links[path]) if other not in seen]
        seen.update(dict.fromkeys(edge))
    return list(seen)


def knowing(artifact: Artifact, known: Known) -> Artifact:
    """Return an artifact whose program is read with what the project's other modules say of it."""
    if artifact.source is None or known == NOTHING_KNOWN:
        return artifact
    return msgspec.structs.replace(artifact, source=artifact.source._replace(known=known))


class _Names:
    """The dotted names by which a project's modules may be imported."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._named: dict[str, str] = {}
        self._paths = set(paths)
        ambiguous = set()
        for path in sorted(self._paths):
            parts = _dotted(path)
            for start in range(len(parts)):
                name = ".".join(parts[start:])
                if self._named.setdefault(name, path) != path:
                    ambiguous.add(name)
        self._ambiguous = ambiguous

    def imported(self, path: str, data: bytes) -> dict[str, str]:
        """Map the dotted prefixes a module uses for other modules of the project to their paths."""
        found: dict[str, str] = {}
        for match in _IMPORT.finditer(data):
            if match[3]:
                wanted = [(piece.split(b" as ")[0].strip(), b"") for piece in match[3].split(b",")]
            else:
                wanted = [(match[1], b"")]
                wanted += [
                    (match[1], piece.split()[0]) for piece in match[2].strip(b"( \t)\\").split(b",") if piece.split()
                ]
            for module, name in wanted:
                dotted = _joined(module.decode("ascii", "replace"), name.decode("ascii", "replace"))
                target = self._find(dotted, path)
                if target is not None:
                    found[dotted] = target
        return found

    def _find(self, dotted: str, path: str) -> str | None:
        level = len(dotted) - len(dotted.lstrip("."))
        here = PurePosixPath(path).parent.parts
        if level:
            base = here[: len(here) - level + 1] if level > 1 else here
            return self._file("/".join((*base, *dotted[level:].split("."))).strip("/"))
        sibling = self._file("/".join((*here, *dotted.split("."))))
        if sibling is not None:
            return sibling
        return None if dotted in self._ambiguous else self._named.get(dotted)

    def _file(self, stem: str) -> str | None:
        return next((name for name in (f"{stem}.py", f"{stem}/__init__.py") if name in self._paths), None)


def _dotted(path: str) -> list[str]:
    parts = path.removesuffix(".py").split("/")
    return parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts


def _joined(module: str, name: str) -> str:
    if not name:
        return module
    return f"{module}{name}" if module.endswith(".") else f"{module}.{name}"


class _Module(NamedTuple):
    """What one reading of a module gave: parameters and results of its functions, its names, what it hands on."""

    functions: dict[str, tuple[tuple[str, ...], Value]]
    names: dict[str, Value]
    sent: dict[tuple[str, str], Value]


class _Survey:
    def __init__(
        self, paths: list[str], texts: dict[str, bytes], imports: dict[str, dict[str, str]], limits: Limits
    ) -> None:
        self._paths, self._texts, self._imports, self._limits = paths, texts, imports, limits
        self._given: dict[str, dict[str, Value]] = {}
        self._read: dict[str, _Module] = {}
        self._importers: dict[str, set[str]] = {}
        for path in paths:
            for target in imports[path].values():
                self._importers.setdefault(target, set()).add(path)

    def run(self, omitted: int) -> Index:
        deadline = time.monotonic() + min(SECONDS, self._limits.seconds)
        queue = deque(self._paths)
        times: dict[str, int] = {}
        while queue:
            path = queue.popleft()
            if times.get(path, 0) >= ROUNDS:
                continue
            if time.monotonic() > deadline:
                omitted += len({*queue, path})
                break
            times[path] = times.get(path, 0) + 1
            queue.extend(other for other in self._again(path) if other not in queue)
        known = {path: self._known(path) for path in self._paths if path in self._read}
        return Index({path: one for path, one in known.items() if _tells(one)}, omitted)

    def _again(self, path: str) -> list[str]:
        """Read a module; return the modules that are to be read again for what was learned."""
        old = self._read.get(path)
        new = self._reading(path)
        if new is None:
            return []
        self._read[path] = new
        changed = []
        if old is None or old.functions != new.functions or old.names != new.names:
            changed += sorted(other for other in self._importers.get(path, ()) if other in self._read)
        for (dotted, parameter), value in new.sent.items():
            changed += self._hand(path, dotted, parameter, value)
        return [other for other in dict.fromkeys(changed) if other in self._texts]

    def _hand(self, path: str, dotted: str, parameter: str, value: Value) -> list[str]:
        found = self._place(path, dotted)
        if found is None or not value.taints:
            return []
        target, function = found
        taints = tuple(taint.elsewhere(path) for taint in value.taints if taint.kind != "secret")
        key = f"param {function} {parameter}"
        held = self._given.setdefault(target, {})
        old = held.get(key, Value())
        new = old._replace(taints=tuple(dict.fromkeys((*old.taints, *taints)))[:4])
        if new == old:
            return []
        held[key] = new
        return [target]

    def _reading(self, path: str) -> _Module | None:
        text, _ = decode_python(self._texts[path])
        tree, _ = parse(text)
        if tree is None:
            return None
        reader = Reader([tree], Watch(self._limits), self._known(path))
        try:
            reader.run()
        except LimitExceeded:
            return None
        functions = {}
        for name, parameters in reader.expressions.functions.items():
            functions[name] = (parameters, _abroad(reader.memory.look(f"return {name}"), path))
        names = {}
        for name, value in reader.scope.names.items():
            if not name.startswith("__") and not value.path.startswith(":"):
                names[name] = _abroad(value, path)
        return _Module(functions, names, dict(reader.expressions.sent))

    def _known(self, path: str) -> Known:
        """Put together what the other modules say of one."""
        functions: list[tuple[str, tuple[str, ...], Value]] = []
        names: list[tuple[str, Value]] = []
        for dotted, target in self._imports[path].items():
            module = self._read.get(target)
            if module is None or target == path:
                continue
            for function, (parameters, value) in module.functions.items():
                functions.append((_joined(dotted, function.removeprefix(":")), parameters, value))
            for name, value in module.names.items():
                if value.taints or (value.path and "." in value.path) or value.constant is not UNKNOWN:
                    names.append((_joined(dotted, name), value))
        given = tuple(sorted(self._given.get(path, {}).items(), key=lambda row: row[0]))
        return Known(tuple(functions), tuple(names), given)

    def _place(self, path: str, dotted: str) -> tuple[str, str] | None:
        """Return the module and the function that a dotted name of another module stands for."""
        imports = self._imports[path]
        rest: list[str] = []
        prefix = dotted
        while prefix:
            target = imports.get(prefix)
            if target is not None and target in self._read:
                return target, ":" + ".".join(rest)
            prefix, _, last = prefix.rpartition(".")
            rest.insert(0, last)
        return None


def _abroad(value: Value, path: str) -> Value:
    """Return a value as other modules see it: where it comes from, who steers it, and a plain constant."""
    taints = tuple(taint.elsewhere(path) for taint in value.everything())
    plain = value.constant if isinstance(value.constant, str | int | float | bool) else UNKNOWN
    path_of = "" if value.path.startswith(("?", ":")) else value.path
    short = plain if not isinstance(plain, str) or len(plain) <= 200 else UNKNOWN
    return Value(path=path_of, constant=short, taints=taints, text=value.text[:200])


def _tells(known: Known) -> bool:
    """Tell whether anything is said of a module that reading it alone does not show."""
    return bool(
        known.given
        or any(value.taints or value.path for _, _, value in known.functions)
        or any(value.taints or "()" in value.path or value.constant is not UNKNOWN for _, value in known.names)
    )


def _plain(item: object) -> object:
    """Return a record as nested tuples whose text is the same in every process."""
    if isinstance(item, frozenset):
        return sorted(map(str, item))
    if isinstance(item, tuple):
        return tuple(_plain(one) for one in item)
    return repr(item)
