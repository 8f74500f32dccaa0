"""What is known of a callable by its dotted name: inert, dangerous, or unknown; from data files only.

Nothing installed is looked at, so a bare environment and one full of frameworks judge a file alike.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

Standing: TypeAlias = Literal["inert", "dangerous", "foreign", "framework", "unknown"]
"""foreign: of Python's own library or of a tool for other work, and nothing a model needs.

framework: of a package models are made with, unread.
"""
_FOLDER = Path(__file__).parent / "allowlists"
_DUNDERS = (
    "__globals__",
    "__builtins__",
    "__subclasses__",
    "__class__",
    "__bases__",
    "__mro__",
    "__code__",
    "__dict__",
)
_TORCHSCRIPT = "__torch__."
"""Classes of the TorchScript program in the same file: its own interpreter makes them, nothing is imported."""
_UNDECIDED = frozenset({"builtins.getattr"})
"""How a bound method is pickled, and how an attribute is reached: what it reaches is judged besides."""
_INERT_METHODS = (".__setstate__",)
_KERAS_LOADER = re.compile(
    r"keras\.src\.[\w.]+\._unpickle_model"
    r"|(tf_)?keras(\.src)?\.saving\.pickle_utils\.deserialize_model_from_bytecode"
)


class Generated(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A list made by tools/make_allowlists.py: class names by module."""

    framework: str
    version: str
    names: dict[str, tuple[str, ...]]


class Danger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whole modules, and exact names."""

    modules: frozenset[str]
    names: frozenset[str]
    methods: frozenset[str]


@cache
def standing(dotted: str) -> Standing:
    """Judge a callable, such as "os.system"; the state of an inert class is inert too.

    A name reached through another module ("torch.serialization.os.system") is judged by where it leads.
    """
    plain = dotted
    for method in _INERT_METHODS:
        plain = plain.removesuffix(method)
    top = plain.partition(".")[0]
    if plain in _reviewed() or plain in _generated(top) or is_keras_loader(plain):
        return "inert"
    if _PLAIN_METHOD.fullmatch(plain):
        return "inert"
    if top in _lines("standard_library.txt") and plain in _lines("standard_library_data.txt"):
        return "inert"
    if "<computed>" in dotted or any(dunder in dotted.split(".") for dunder in _DUNDERS):
        return "dangerous"
    owner, _, method = plain.rpartition("().")
    if _is_dangerous(plain) or plain.endswith(_BUILT_CODE) or (owner and method in _danger().methods):
        return "dangerous"
    if plain.startswith(_TORCHSCRIPT):
        return "inert"
    if plain in _UNDECIDED:
        return "unknown"
    if top in _lines("standard_library.txt") or top in _lines("tools.txt"):
        return "foreign"
    return "framework" if top in _lines("frameworks.txt") else "unknown"


_PLAIN_METHOD = re.compile(
    r"builtins\.(?:str|bytes|list|dict|tuple|set|frozenset|int|float|complex)\.(?!format)[a-z][a-z_]*"
)
"""`str.lower` and the like, as vectorisers keep them; `str.format` reads attributes."""
_BUILT_CODE = ("._make_function()", "._create_function()", ".FunctionType()")
"""What comes out of these is a function made of byte code in the file: that it is called is another matter."""
_RISKY = frozenset(
    {
        "exec", "execute", "executes", "eval", "evaluate", "run", "runs", "runner", "runstring", "system", "popen",
        "spawn", "shell", "command", "cmd", "script", "import", "importer", "imports", "load", "loads", "loader",
        "loadtxt", "genfromtxt", "read", "reads", "reader", "open", "opener", "download", "downloads", "fetch", "url",
        "urlopen", "urlretrieve", "request", "requests", "http", "ftp", "socket", "server", "serve", "connect",
        "connection", "compile", "codegen", "hub", "file", "files", "tofile", "fromfile", "write", "writes", "writer",
        "save", "saves", "dump", "dumps", "delete", "remove", "unlink", "rmtree", "rename", "mkdir", "makedirs",
        "chmod", "subprocess", "process", "fork", "marshal", "yaml", "template", "render", "query", "env",
        "environment", "setenv", "getenv", "putenv", "module", "library", "dll", "cdll", "extension", "plugin",
        "install", "pip", "macro", "debug", "debugger", "profile", "timeit", "breakpoint", "console", "interact",
        "bash", "call", "callback", "main", "imread", "instantiate", "inline", "autowrap", "unpickle", "deserialize",
        "export", "spawner", "resolve", "lookup",
    }
)  # fmt: skip
_RISKY_KINDS = frozenset({"popen", "server", "process", "executor", "shell", "socket", "downloader", "connection"})
_REBUILDS = ("_unpickle", "__pyx_unpickle", "_rebuild", "_reconstruct", "_restore", "_new_", "__new", "__set_state")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def is_keras_loader(dotted: str) -> bool:
    """Tell how every Keras object is unpickled: the archive it is given is read and judged in its turn."""
    return _KERAS_LOADER.fullmatch(dotted) is not None


def says_it_acts(dotted: str) -> bool:
    """Tell from an unreviewed callable's own name that it runs, loads, fetches, reads or writes something."""
    last = dotted.replace("()", "").rpartition(".")[2]
    if last.startswith(_REBUILDS):
        return False
    words = {word.lower() for word in _WORDS.findall(last)}
    return bool(words & (_RISKY_KINDS if last[:1].isupper() else _RISKY))


def is_unreviewed_function(dotted: str) -> bool:
    """Tell a function or method, on no list, of a framework whose pickles were reviewed whole.

    What such a framework's objects call when they are loaded is known; classes are many, and those it gained since are
    no reason for alarm, but a function that no pickle of it needs is.
    """
    plain = dotted.replace("()", "")
    last = plain.rpartition(".")[2].lstrip("_")
    if not last[:1].islower() or plain.rpartition(".")[2].startswith(_REBUILDS):
        return False
    top = plain.partition(".")[0]
    return top in _WHOLE or bool(_generated(top))


_WHOLE = frozenset({"numpy", "joblib", "cloudpickle", "dill"})
"""Reviewed as a whole, without a generated list."""


def _is_dangerous(dotted: str) -> bool:
    """Look for a dangerous name or module at the start, or at any later segment of a name that leads elsewhere."""
    danger = _danger()
    parts = dotted.replace("()", "").split(".")
    for start in range(min(len(parts), 12)):
        tail = parts[start:]
        if ".".join(tail) in danger.names:
            return True
        stops = range(1, len(tail) + 1) if start == 0 else range(1, len(tail))
        if any(".".join(tail[:stop]) in danger.modules for stop in stops) and (start == 0 or _leads(tail)):
            return True
    return False


def _leads(tail: list[str]) -> bool:
    """Tell a module met on the way ("…os.system") from a package that merely has its name ("sklearn.inspect.…")."""
    return tail[0] in _THROUGH and len(tail) == 2


_THROUGH = frozenset({"os", "posix", "nt", "sys", "subprocess", "builtins", "importlib", "shutil", "socket", "ctypes"})


@cache
def _reviewed() -> frozenset[str]:
    with (_FOLDER / "reviewed.toml").open("rb") as stream:
        return frozenset(name for section in tomllib.load(stream).values() for name in section["names"])


@cache
def _generated(package: str) -> frozenset[str]:
    """Read one framework's list, when the first of its names is met."""
    path = _FOLDER / "frameworks" / f"{package}.json"
    if not package.isidentifier() or not path.is_file():
        return frozenset()
    made = msgspec.json.decode(path.read_bytes(), type=Generated)
    return frozenset(f"{module}.{name}" for module, listed in made.names.items() for name in listed)


@cache
def _lines(name: str) -> frozenset[str]:
    """Read a list of one name a line."""
    return frozenset((_FOLDER / name).read_text(encoding="utf-8").split("\n")[1:]) - {""}


@cache
def _danger() -> Danger:
    return msgspec.toml.decode((_FOLDER / "dangerous.toml").read_bytes(), type=Danger)
