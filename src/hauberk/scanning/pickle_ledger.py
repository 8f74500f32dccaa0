"""What an abstract pickle machine imported and called: recorded when it happens, followed through indirection."""

from __future__ import annotations

import _compat_pickle
from collections import Counter
from typing import Literal

from hauberk.core.errors import LimitExceeded
from hauberk.scanning.allowlist import is_keras_loader
from hauberk.scanning.artifact import Call, Import, Place
from hauberk.scanning.pickle_costs import made
from hauberk.scanning.pickle_values import (
    Bag,
    Global,
    Made,
    Payload,
    Value,
    dotted,
    positional,
    render,
    render_arguments,
)

LOADERS = frozenset(
    {
        "pickle.loads", "pickle.load", "_pickle.loads", "_pickle.load", "pickle._loads",
        "dill.loads", "dill._dill.loads",
        "cloudpickle.loads", "cloudpickle.cloudpickle.loads", "joblib.load", "joblib.numpy_pickle.load", "torch.load",
        "torch.serialization.load", "torch.storage._load_from_bytes", "numpy.load", "pandas.read_pickle",
        "pandas.io.pickle.read_pickle", "marshal.loads", "numba.core.serialize._unpickle__CustomPickled",
        "numba.core.serialize._numba_unpickle", "gensim.utils.unpickle", "joblib._dask._unpickle",
        "pandas.compat.pickle_compat.loads", "cPickle.loads", "sklearn.externals.joblib.load",
    }
)  # fmt: skip
"""Callables that load what they are given: bytes that reach one are read in their turn."""

CALLS_ARGUMENT = {
    "builtins.map": 0, "builtins.filter": 0, "functools.reduce": 0, "_functools.reduce": 0, "itertools.starmap": 0,
    "dill._dill._create_array": 0, "copyreg._reconstructor": 0, "copyreg.__newobj__": 0, "copyreg.__newobj_ex__": 0,
    "numpy.core.multiarray._reconstruct": 0, "numpy._core.multiarray._reconstruct": 0,
    "numpy.ma.core._mareconstruct": 0, "torch._tensor._rebuild_from_type": 0, "torch._tensor._rebuild_from_type_v2": 0,
    "torch._utils._rebuild_wrapper_subclass": 0, "pandas.core.indexes.base._new_Index": 0,
    "numpy.random._pickle.__generator_ctor": 1, "numpy.random._pickle.__randomstate_ctor": 1,
}  # fmt: skip
"""Callables that call, at once, the argument at that position: what they call counts as called."""

_MAKES_NEW = frozenset(
    {
        "copyreg._reconstructor", "copyreg.__newobj__", "copyreg.__newobj_ex__",
        "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "numpy.ma.core._mareconstruct",
    }
)  # fmt: skip
"""Of those, the ones that call `__new__` of a class and nothing else."""

_CODECS = frozenset({"_codecs.encode", "codecs.encode", "_codecs.latin_1_encode"})
"""How bytes are written before protocol 3: the text comes first, its encoding is no payload."""
_Effect = Literal["call", "new", "state", "persistent"]
_PARTIAL = frozenset({"functools.partial", "_functools.partial"})
_IMPORTERS = frozenset({"builtins.__import__", "importlib.import_module", "importlib.__import__"})
_SAME_CALLABLE = 8
_PLAIN_TYPES = frozenset(
    "slice dict list set frozenset tuple int float complex bool str bytes bytearray range object".split()  # noqa: SIM905
)
"""What dill names instead of importing, and that only holds values; its types of functions and code stay its own."""
_INDIRECTION = 32
_CALLABLES = 5_000
_IMPORTS = 50_000
_PAYLOADS = 64
_SEARCHED = 256


def canonical(module: str, name: str) -> Global:
    """Name a global as Python 3 does: `__builtin__.apply` and friends were renamed, and loaders follow."""
    if (module, name) in _compat_pickle.NAME_MAPPING:
        module, name = _compat_pickle.NAME_MAPPING[(module, name)]
    else:
        module = _compat_pickle.IMPORT_MAPPING.get(module, module)
    return Global(module, name)


def _attribute_read(callee: Value, arguments: Value) -> tuple[Value, str] | None:
    """Read `getattr(x, "name")`: another spelling of a global's dotted name, and how a bound method is pickled."""
    if not (isinstance(callee, Global) and callee.dotted == "builtins.getattr" and isinstance(arguments, Bag)):
        return None
    items = arguments.items
    if len(items) < 2 or not isinstance(items[0], Global | Made | Bag) or not isinstance(items[1], str):
        return None
    return items[0], items[1]


class Ledger:
    """Imports and calls in the order they happen, each callable at most a few times.

    payloads: what reached a loader, as (the loader, bytes of the file or a text). exhausting: what allowed calls would
    take of the loader's memory or time, and where. files: names of files that a loader reads besides, and where.
    """

    def __init__(self) -> None:
        self.imports: dict[tuple[str, str], Import] = {}
        self.calls: list[Call] = []
        self.payloads: list[tuple[str, Payload | str]] = []
        self.executed = 0
        self.exhausting: dict[str, int] = {}
        self.files: dict[str, int] = {}
        self._seen: Counter[str] = Counter()
        self._following = 0

    def resolve(self, module: str, name: str, offset: int) -> Global:
        """Record an import and return the global."""
        found = canonical(module, name)
        key = (found.module, found.name)
        if key not in self.imports:
            if len(self.imports) >= _IMPORTS:
                raise LimitExceeded(f"more than {_IMPORTS} different imports")
            self.imports[key] = Import(module=key[0], name=key[1], place=Place(offset=offset))
        return found

    def call(self, callee: Value, arguments: Value, offset: int, effect: Literal["call", "new"] = "call") -> Value:
        """Record a call and return what it gives, as far as that can be told without making it."""
        attribute = _attribute_read(callee, arguments)
        if attribute is not None:
            self.executed += 1
            return self._attribute(*attribute, offset) or Made(callee, arguments)
        name = dotted(callee)
        self._record(name, arguments, effect, offset)
        result = Made(callee, arguments)
        if isinstance(callee, Global):
            taken = made(name, result)
            if taken and len(self.exhausting) < _SAME_CALLABLE:
                self.exhausting.setdefault(f"{name} makes {taken}", offset)
        if self._following >= _INDIRECTION:
            return result
        self._following += 1
        folded = self._fold(callee, arguments, offset)
        self._following -= 1
        return result if folded is None else folded

    def state(self, target: Value, method: str, value: Value, offset: int) -> None:
        """Record that `method` of `target` is called with `value` (BUILD, or filling something not a container)."""
        name = dotted(target.callee if isinstance(target, Made) else target)
        slots = value.items[1] if isinstance(value, Bag) and value.kind == "tuple" and len(value.items) == 2 else None
        if isinstance(slots, Bag) and "__class__" in slots.items[::2]:
            self._record(f"{name}().__class__", value, "state", offset)  # slots are set one by one: it changes
        self._record(f"{name}.{method}", value, "state", offset)

    def persistent(self, identifier: Value, offset: int) -> None:
        """Record a persistent id handed to the loader."""
        self._record("persistent_load", identifier, "persistent", offset)

    def absorb(self, other: Ledger) -> None:
        """Take over what another reading of the same bytes recorded."""
        self.imports = {**other.imports, **self.imports}
        self.calls.extend(other.calls)
        self.payloads.extend(other.payloads)
        self.exhausting = {**other.exhausting, **self.exhausting}
        self.executed += other.executed

    def _record(self, name: str, arguments: Value, effect: _Effect, offset: int) -> None:
        self.executed += effect in ("call", "new")
        key = f"{effect} {name}"
        if key not in self._seen and len(self._seen) >= _CALLABLES:
            raise LimitExceeded(f"more than {_CALLABLES} different callables")
        self._seen[key] += 1
        if self._seen[key] <= _SAME_CALLABLE:
            text = render_arguments(arguments) if effect in ("call", "new") else render(arguments)
            self.calls.append(Call(callable=name, arguments=text, effect=effect, place=Place(offset=offset)))

    def _fold(self, callee: Value, arguments: Value, offset: int) -> Value:
        """Follow calls whose result is itself a known global, and those that call what they are given."""
        items = arguments.items if isinstance(arguments, Bag) else []
        if isinstance(callee, Made):
            return self._fold_made(callee, items, offset)
        name = dotted(callee)
        if name in LOADERS or is_keras_loader(name):
            self._load(name, arguments)
        position = CALLS_ARGUMENT.get(name)
        if position is not None and len(items) > position and isinstance(items[position], Global | Made):
            rest = Bag("tuple", items[position + 1 :])
            return self.call(items[position], rest, offset, "new" if name in _MAKES_NEW else "call")
        if name in _IMPORTERS and items and isinstance(items[0], str):
            return self.resolve(items[0], "", offset)
        if name == "dill._dill._load_type" and items and isinstance(items[0], str) and items[0] in _PLAIN_TYPES:
            return self.resolve("builtins", items[0], offset)
        if name == "pkgutil.resolve_name" and items and isinstance(items[0], str):
            module, _, attribute = items[0].partition(":") if ":" in items[0] else items[0].rpartition(".")
            return self.resolve(module, attribute, offset)
        return None

    def _fold_made(self, callee: Made, items: list[Value], offset: int) -> Value:
        """Follow the call of a partial, an attrgetter or a methodcaller."""
        given, name = positional(callee), dotted(callee.callee)
        if name in _PARTIAL and isinstance(callee.state, Bag) and callee.state.items:
            given = callee.state.items[:1]  # partial.__setstate__ replaces the function itself
        if name in _PARTIAL and given:
            return self.call(given[0], Bag("tuple", [*given[1:], *items]), offset)
        if not given or not items or not isinstance(given[0], str):
            return None
        if name in ("operator.attrgetter", "_operator.attrgetter"):
            return self._attribute(items[0], given[0], offset)
        if name in ("operator.methodcaller", "_operator.methodcaller"):
            method = self._attribute(items[0], given[0], offset)
            target = Made(Global("builtins", "getattr"), Bag("tuple", [items[0], given[0]]))
            return self.call(target if method is None else method, Bag("tuple", given[1:]), offset)
        return None

    def _attribute(self, owner: Value, attribute: str, offset: int) -> Value:
        if isinstance(owner, Made) or (isinstance(owner, Bag) and attribute.startswith("__")):
            name = dotted(owner.callee) if isinstance(owner, Made) else f"builtins.{owner.kind}"
            self.resolve(f"{name}()", attribute, offset)
        if not isinstance(owner, Global):
            return None
        return self.resolve(owner.module, f"{owner.name}.{attribute}".lstrip("."), offset)

    def _load(self, loader: str, arguments: Value) -> None:
        """Find the bytes and texts that reach a loader call."""
        queue: list[Value] = [arguments]
        for _ in range(_SEARCHED):
            if not queue or len(self.payloads) >= _PAYLOADS:
                return
            value = queue.pop(0)
            if isinstance(value, Payload) or (isinstance(value, str) and len(value) > 1):
                self.payloads.append((loader, value))
            elif isinstance(value, Bag):
                queue.extend(value.items)
            elif isinstance(value, Made):
                coded = isinstance(value.callee, Global) and value.callee.dotted in _CODECS
                queue.append(positional(value)[0] if coded and positional(value) else value.arguments)
                queue.append(value.state)
