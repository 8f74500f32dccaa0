"""Plug-ins are found on disk: one file each, the name is the path, the card is read without importing the file."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeAlias, get_type_hints

import msgspec

from hauberk.core.card import Card
from hauberk.core.card_index import indexed
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


Settings: TypeAlias = Mapping[str, Scalar | Mapping[str, Scalar]]
"""Settings by name; one of a record inside has a dotted name, "driving.draws", or stands in a table, "driving"."""


class Knob(NamedTuple):
    """One setting of a plug-in: its dotted name, its type in words, its default."""

    name: str
    type: str
    default: object


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
    if not folder.is_dir():
        return ()

    def read() -> tuple[Listing, ...]:
        return tuple(sorted(_read(family, folder), key=lambda listing: listing.name))

    return indexed(family, folder, Listing, read)


def _read(family: str, folder: Path) -> Iterator[Listing]:
    for path in sorted(folder.rglob("*.py")):
        yield from _entries(family, folder, path)


def _entries(family: str, folder: Path, path: Path) -> Iterator[Listing]:
    name = ".".join(path.relative_to(folder).with_suffix("").parts)
    for symbol, card in _cards(path):
        module = ".".join(("hauberk", *path.relative_to(_ROOT).with_suffix("").parts))
        yield Listing(family=family, name=name, module=module, symbol=symbol, card=card)


_CLASS = re.compile(r"^class (\w+)", re.MULTILINE)
_CARD = re.compile(r"^    card(?:: ClassVar\[Card\])? = (Card\((?:.*\)$|\n(?:(?!    \)).*\n)*?    \)))", re.MULTILINE)


def _cards(path: Path) -> Iterator[tuple[str, Card]]:
    """Find `class X: card[: ClassVar[Card]] = Card(key=literal, …)` in a file's text.

    The card alone is parsed, where the formatter's layout tells where it ends: parsing whole files takes a hundred
    times as long, at every start of the program. A file laid out otherwise is parsed whole.
    """
    text = path.read_text(encoding="utf-8")
    if "card" not in text:
        return
    found = list(_CARD.finditer(text))
    if len(found) != len(re.findall(r"\bcard(?:: ClassVar\[Card\])? = ", text)):
        yield from _parsed(ast.parse(text, str(path)))
        return
    for match in found:
        *_, owner = _CLASS.finditer(text, 0, match.start())
        call = ast.parse(match[1], mode="eval").body
        assert isinstance(call, ast.Call)
        yield owner[1], _literal(call)


def _parsed(tree: ast.Module) -> Iterator[tuple[str, Card]]:
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        for statement in node.body:
            target: ast.expr | None = statement.target if isinstance(statement, ast.AnnAssign) else None
            if isinstance(statement, ast.Assign):
                target = statement.targets[0]
            value = getattr(statement, "value", None)
            if isinstance(target, ast.Name) and target.id == "card" and isinstance(value, ast.Call):
                yield node.name, _literal(value)


def _literal(call: ast.Call) -> Card:
    return msgspec.convert({keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}, Card)


def listing(family: str, name: str) -> Listing:
    """Return one plug-in's line, read from its own file alone; raises UnknownName with the nearest name."""
    own = _alone(family, name)
    if own is not None:
        return own
    known = {entry.name: entry for entry in catalog(family)}
    if name not in known:
        raise UnknownName(f'no {family.removesuffix("s")} "{name}"', fix=nearest(name, known))
    return known[name]


@cache
def _alone(family: str, name: str) -> Listing | None:
    """Read the one file whose path is the name."""
    if family not in FAMILIES or not all(part.isidentifier() for part in name.split(".")):
        return None
    folder = _ROOT / FAMILIES[family]
    path = folder.joinpath(*name.split(".")).with_suffix(".py")
    found = list(_entries(family, folder, path)) if path.is_file() else []
    return found[0] if len(found) == 1 else None


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


def build(family: str, name: str, settings: Settings | None = None) -> object:
    """Make a plug-in with some of its settings changed.

    Raises UsageError naming a wrong setting and the nearest right one.
    """
    kind = load(family, name)
    given = dict(_dotted(settings or {}))
    known = [knob.name for knob in knobs(kind)]
    for key in given:
        if key not in known:
            raise UsageError(f'{name} has no setting "{key}"', fix=nearest(key, known))
    try:
        return kind(**_values(kind, given))
    except msgspec.ValidationError as error:
        raise UsageError(f"{name}: {error}", fix=f"see `hauberk list {family} {name}`") from error


def _dotted(settings: Settings) -> Iterator[tuple[str, Scalar]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}.{inner}", one) for inner, one in value.items())
        else:
            yield key, value


def _values(kind: type, given: Mapping[str, Scalar]) -> dict[str, object]:
    """Convert settings to the types of a record's fields; those of a record inside change its default."""
    hints = get_type_hints(kind) if given else {}
    values = {key: msgspec.convert(value, hints[key], strict=False) for key, value in given.items() if "." not in key}
    inner: dict[str, dict[str, Scalar]] = {}
    for key, value in given.items():
        if "." in key:
            head, _, rest = key.partition(".")
            inner.setdefault(head, {})[rest] = value
    defaults = dict(_defaults(kind))
    for head, own in inner.items():
        record = defaults[head]
        now = {name: getattr(record, name) for name, _ in _defaults(type(record))}
        values[head] = type(record)(**now | _values(type(record), own))
    return values


def _defaults(kind: type) -> Iterator[tuple[str, object]]:
    if not dataclasses.is_dataclass(kind):
        return
    for field in dataclasses.fields(kind):
        if field.init:
            made = field.default_factory
            yield field.name, field.default if made is dataclasses.MISSING else made()


def knobs(kind: type) -> tuple[Knob, ...]:
    """List what can be set of a plug-in; the settings of a record inside by dotted names."""
    words = (
        {field.name: str(field.type) for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else {}
    )
    rows: list[Knob] = []
    for name, default in _defaults(kind):
        if _is_record(default):
            inner = knobs(type(default))
            rows.extend(Knob(f"{name}.{one.name}", one.type, getattr(default, one.name)) for one in inner)
        else:
            rows.append(Knob(name, words[name], default))
    return tuple(rows)


def settings_of(plugin: object) -> tuple[Setting, ...]:
    """Record a plug-in's settings as evidence keeps them; what is no plain value is written as text.

    Of a field with metadata {"secret": True} the digest is kept alone: evidence is shown to others.
    """
    if not dataclasses.is_dataclass(plugin) or isinstance(plugin, type):
        return ()
    rows: list[Setting] = []
    for field in dataclasses.fields(plugin):
        value = getattr(plugin, field.name)
        if field.metadata.get("secret"):
            digest = hashlib.sha256(str(value).encode()).hexdigest()
            rows.append(Setting(name=field.name, value=f"sha256:{digest}"))
        elif _is_record(value):
            rows.extend(Setting(name=f"{field.name}.{row.name}", value=row.value) for row in settings_of(value))
        else:
            rows.append(Setting(name=field.name, value=plain(value)))
    return tuple(rows)


def plain(value: object) -> Scalar:
    """Write a setting's value as evidence keeps it."""
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def _is_record(value: object) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def summary_of(kind: type) -> str:
    """Return the first line of a class's docstring."""
    return (inspect.getdoc(kind) or "").partition("\n")[0]
