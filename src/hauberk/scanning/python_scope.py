"""What a Python program's names stand for while it is read: scopes, and a memory that outlives one reading."""

from __future__ import annotations

import builtins
from functools import lru_cache
from typing import TypeAlias

from hauberk.scanning.python_sanitizers import judged
from hauberk.scanning.python_values import NOTHING, Value, merge, same

_BUILTINS = frozenset(dir(builtins))
_RENAMED = {
    "cPickle": "pickle", "_pickle": "pickle", "pickle5": "pickle", "six.moves.cPickle": "pickle",
    "tensorflow.keras": "keras", "tensorflow.python.keras": "keras", "tf_keras": "keras",
    "sklearn.externals.joblib": "joblib", "torch.serialization": "torch", "pandas.io.pickle": "pandas",
    "numpy.lib.npyio": "numpy", "__builtins__": "builtins", "keras.src.saving": "keras.saving",
    "gr": "gradio",
}  # fmt: skip
"""Modules that are others under an old or inner name."""


@lru_cache(maxsize=4096)
def canonical(path: str) -> str:
    """Return a dotted path under its usual name; a builtin's is its bare name."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        renamed = _RENAMED.get(".".join(parts[:length]))
        if renamed is not None:
            path = ".".join([renamed, *parts[length:]])
            break
    return path.removeprefix("builtins.")


class Memory:
    """What calls, methods and attributes of this file are known to give, over all readings of it.

    Keys: "param :ask question", "return :ask", "attribute :Agent().client". It only ever learns more; `stale` says that
    something learned had been looked up before.
    """

    def __init__(self) -> None:
        self._values: dict[str, Value] = {}
        self._asked: set[str] = set()
        self.stale = False

    def begin(self) -> None:
        """Start another reading."""
        self._asked.clear()
        self.stale = False

    def look(self, key: str) -> Value:
        """Return what is known, NOTHING where nothing is."""
        self._asked.add(key)
        return self._values.get(key, NOTHING)

    def add(self, key: str, value: Value) -> None:
        """Learn that it may also be `value`."""
        old = self._values.get(key)
        new = value if old is None else merge(old, value)
        if old is None or not same(new, old):
            self._values[key] = new
            self.stale = self.stale or (key in self._asked and not same(new, NOTHING))


_PARTS = 4
"""Steps from a part to the whole: url → urlparse(url) → .hostname → .lower()."""
Written: TypeAlias = dict[str, Value]
Before: TypeAlias = dict[str, Value | None]


class Scope:
    """Names of a module, class or function. parts: of which name another is the deciding part: its host, its folder."""

    __slots__ = ("_before", "decorators", "function", "guarded", "holder", "names", "parent", "parts", "stars")

    def __init__(self, parent: Scope | None, function: str, holder: str = "", decorators: tuple[str, ...] = ()) -> None:
        self.parent, self.function, self.holder, self.decorators = parent, function, holder, decorators
        self.names: dict[str, Value] = {}
        self.stars: list[str] = []
        self.parts: dict[str, str] = {}
        self.guarded = False
        self._before: Before | None = None

    def lookup(self, name: str) -> Value:
        """Resolve a name; one that nothing here binds stands for itself, or for a name of a star import."""
        scope: Scope | None = self
        while scope is not None:
            found = scope.names.get(name)
            if found is not None:
                return found
            scope = scope.parent
        return Value(path=self._free(name))

    def _free(self, name: str) -> str:
        scope: Scope | None = self
        while scope is not None:
            if scope.stars and name not in _BUILTINS:
                return canonical(f"{scope.stars[-1]}.{name}")
            scope = scope.parent
        return canonical(name)

    def put(self, name: str, value: Value) -> None:
        """Bind a name; inside a branch what it was before is kept."""
        if self._before is not None:
            self._before.setdefault(name, self.names.get(name))
        self.names[name] = value

    def enter(self) -> Before | None:
        """Begin a branch; hand what this returns to `leave`."""
        outer, self._before = self._before, {}
        return outer

    def leave(self, outer: Before | None) -> Written:
        """End the branch: take back what it bound, and return it."""
        before, self._before = self._before or {}, outer
        written = {}
        for name, old in before.items():
            written[name] = self.names[name]
            if old is None:
                del self.names[name]
            else:
                self.names[name] = old
        return written

    def written(self) -> Written:
        """Return what the running branch has bound so far."""
        return {name: self.names[name] for name in self._before or ()}

    def meet(self, *branches: Written | None) -> None:
        """Go on with what holds after any of the branches; None for one that never gets here."""
        live = [branch for branch in branches if branch is not None]
        for name in dict.fromkeys(name for branch in live for name in branch):
            values = [value for branch in live if (value := branch.get(name, self.names.get(name))) is not None]
            result = values[0]
            for value in values[1:]:
                result = merge(result, value)
            self.put(name, result)

    def trust(self, name: str) -> None:
        """Drop the taints of a name that was held against a list of what is allowed, and of what it is a part of."""
        for _ in range(_PARTS):
            value = self.lookup(name)
            if value.everything():
                entries = tuple((key, item._replace(taints=(), inside=())) for key, item in value.entries)
                self.put(name, value._replace(taints=(), inside=(), entries=entries))
            name = self.parts.get(name, "")
            if not name:
                return

    def doubt(self, name: str) -> None:
        """Note that a function whose name promises a check was asked about a name."""
        value = self.lookup(name)
        if value.taints:
            self.put(name, value._replace(taints=judged(value.taints)))
