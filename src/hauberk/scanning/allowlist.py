"""What is known of a callable by its dotted name: inert, dangerous, or unknown; from data files only.

Nothing installed is looked at, so a bare environment and one full of frameworks judge a file alike.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

Standing: TypeAlias = Literal["inert", "dangerous", "unknown"]
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
_INERT_METHODS = (".__setstate__",)


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
    if plain in _inert():
        return "inert"
    if "<computed>" in dotted or any(dunder in dotted.split(".") for dunder in _DUNDERS):
        return "dangerous"
    owner, _, method = plain.rpartition("().")
    if _is_dangerous(plain) or (owner and method in _danger().methods):
        return "dangerous"
    return "inert" if plain.startswith(_TORCHSCRIPT) else "unknown"


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
def _inert() -> frozenset[str]:
    names: set[str] = set()
    with (_FOLDER / "reviewed.toml").open("rb") as stream:
        for section in tomllib.load(stream).values():
            names.update(section["names"])
    for path in sorted(_FOLDER.glob("*.json")):
        made = msgspec.json.decode(path.read_bytes(), type=Generated)
        names.update(f"{module}.{name}" for module, listed in made.names.items() for name in listed)
    return frozenset(names)


@cache
def _danger() -> Danger:
    return msgspec.toml.decode((_FOLDER / "dangerous.toml").read_bytes(), type=Danger)
