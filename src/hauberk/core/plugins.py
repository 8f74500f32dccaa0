"""Plug-ins are found on disk: one file each, the name is the path, the card is read without importing the file."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_type_hints

import msgspec

from hauberk.core.card import Card
from hauberk.core.errors import MissingExtra, UnknownName, UsageError, nearest
from hauberk.core.evidence import Scalar, Setting

FAMILIES: dict[str, str] = {
    "attacks": "attacks",
    "defenses": "defenses",
    "formats": "scanning/formats",
    "rules": "scanning/rules",
    "guards": "gateway/guards",
    "outputs": "assurance/outputs",
    "targets": "targets",
    "datasets": "datasets",
}
"""Catalogue → folder under the package. A file in it with a class that has a `card` is a plug-in."""

_ROOT = Path(__file__).resolve().parent.parent


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a catalogue. name: dotted path under its family's folder, such as "evasion.pgd"."""

    family: str
    name: str
    module: str
    symbol: str
    card: Card


@cache
def catalog(family: str) -> tuple[Listing, ...]:
    """List a family's plug-ins by reading their source, importing none; raises UnknownName."""
    if family not in FAMILIES:
        raise UnknownName(f'no catalogue "{family}"', fix=nearest(family, FAMILIES))
    folder = _ROOT / FAMILIES[family]
    return tuple(sorted(_read(family, folder), key=lambda listing: listing.name))


def _read(family: str, folder: Path) -> Iterator[Listing]:
    for path in sorted(folder.rglob("*.py")):
        name = ".".join(path.relative_to(folder).with_suffix("").parts)
        for symbol, card in _cards(path):
            module = ".".join(("hauberk", *path.relative_to(_ROOT).with_suffix("").parts))
            yield Listing(family=family, name=name, module=module, symbol=symbol, card=card)


def _cards(path: Path) -> Iterator[tuple[str, Card]]:
    """Find `class X: card[: ClassVar[Card]] = Card(key=literal, …)` in a file's syntax tree."""
    text = path.read_text(encoding="utf-8")
    if "card" not in text:
        return
    for node in ast.parse(text, str(path)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for statement in node.body:
            target: ast.expr | None = statement.target if isinstance(statement, ast.AnnAssign) else None
            if isinstance(statement, ast.Assign):
                target = statement.targets[0]
            value = getattr(statement, "value", None)
            if isinstance(target, ast.Name) and target.id == "card" and isinstance(value, ast.Call):
                fields = {keyword.arg: ast.literal_eval(keyword.value) for keyword in value.keywords}
                yield node.name, msgspec.convert(fields, Card)


def listing(family: str, name: str) -> Listing:
    """Return one plug-in's line; raises UnknownName with the nearest name."""
    known = {entry.name: entry for entry in catalog(family)}
    if name not in known:
        raise UnknownName(f'no {family.removesuffix("s")} "{name}"', fix=nearest(name, known))
    return known[name]


def load(family: str, name: str) -> type:
    """Import a plug-in's file and return its class.

    Raises UnknownName, or MissingExtra where a dependency is missing.
    """
    entry = listing(family, name)
    try:
        module = importlib.import_module(entry.module)
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] != "hauberk":
            raise MissingExtra(error.name, entry.card.extra or "models") from error
        raise
    symbol = getattr(module, entry.symbol)
    assert isinstance(symbol, type)
    return symbol


def build(family: str, name: str, settings: dict[str, Scalar] | None = None) -> object:
    """Make a plug-in with some of its settings changed.

    Raises UsageError naming a wrong setting and the nearest right one.
    """
    kind = load(family, name)
    settings = settings or {}
    known = {field.name: field for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else {}
    for key in settings:
        if key not in known:
            raise UsageError(f'{name} has no setting "{key}"', fix=nearest(key, known))
    hints = get_type_hints(kind, include_extras=False) if settings else {}
    try:
        values = {key: msgspec.convert(value, hints[key], strict=False) for key, value in settings.items()}
    except msgspec.ValidationError as error:
        raise UsageError(f"{name}: {error}", fix=f"see `hauberk list {family} {name}`") from error
    return kind(**values)


def settings_of(plugin: object) -> tuple[Setting, ...]:
    """Record a plug-in's settings as evidence keeps them; a nested value is written as text."""
    if not dataclasses.is_dataclass(plugin) or isinstance(plugin, type):
        return ()
    rows = []
    for field in dataclasses.fields(plugin):
        value = getattr(plugin, field.name)
        plain = value if isinstance(value, str | int | float | bool | None) else repr(value)
        rows.append(Setting(name=field.name, value=plain))
    return tuple(rows)


def summary_of(kind: type) -> str:
    """Return the first line of a class's docstring."""
    return (inspect.getdoc(kind) or "").partition("\n")[0]
