"""Where a project file is wrong: the line, the key path, what was expected, and the nearest valid key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec
from msgspec import inspect

from hauberk.core.errors import ProjectError, nearest

Path: TypeAlias = tuple[str | int, ...]
_HEADER = re.compile(r"^\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"^\s*([\w\-\"'. ]+?)\s*=")
_DOT = re.compile(r"""\s*\.\s*(?=(?:[^"']|"[^"]*"|'[^']*')*$)""")


def toml_fault(error: tomllib.TOMLDecodeError, text: str, where: str) -> ProjectError:
    """Word a syntax fault with its line."""
    stated = re.search(r"\(at line (\d+), column \d+\)", str(error))
    line = int(stated[1]) if stated else max(1, len(text.rstrip().splitlines()))
    message = re.sub(r"\s*\(at .*\)$", "", str(error))
    return ProjectError(f"not valid TOML: {message}", where=f"{where}:{line}", fix="mend this line")


def record_fault(
    error: msgspec.ValidationError, raw: Mapping[str, object], kind: type, text: str, where: str
) -> ProjectError:
    """Word what does not fit the record, at the deepest key that is wrong."""
    fault = next(_faults(raw, inspect.type_info(kind), ()), None)
    if fault is None:
        return ProjectError(str(error), where=where)
    path, message, remedy = fault
    return ProjectError(message, where=place(text, where, path), fix=remedy)


Fault: TypeAlias = tuple[Path, str, str]


def _faults(value: object, kind: inspect.Type, path: Path) -> Iterator[Fault]:
    """Walk value and type together down to each leaf that does not fit."""
    if isinstance(kind, inspect.UnionType):
        inner = [option for option in kind.types if not isinstance(option, inspect.NoneType)]
        tables: list[inspect.Type] = [option for option in inner if isinstance(option, inspect.DictType)]
        inner = tables if tables and isinstance(value, Mapping) else inner
        if len(inner) == 1:
            yield from _faults(value, inner[0], path)
            return
    if isinstance(kind, inspect.StructType) and isinstance(value, Mapping):
        yield from _struct_faults(value, kind, path)
    elif isinstance(kind, inspect.DictType) and isinstance(value, Mapping):
        for key, item in value.items():
            yield from _faults(item, kind.value_type, (*path, str(key)))
    elif isinstance(kind, inspect.VarTupleType) and isinstance(value, list):
        for row, item in enumerate(value):
            yield from _faults(item, kind.item_type, (*path, row))
    else:
        yield from _leaf_faults(value, kind, path)


def _struct_faults(value: Mapping[str, object], kind: inspect.StructType, path: Path) -> Iterator[Fault]:
    fields = {field.encode_name: field for field in kind.fields}
    for key in value:
        if key not in fields:
            yield (*path, key), f'unknown key "{_dotted((*path, key))}"', nearest(key, fields)
    for name, field in fields.items():
        if name in value:
            yield from _faults(value[name], field.type, (*path, name))
        elif field.required:
            yield path, f'key "{_dotted((*path, name))}" is missing', f"add {name} = … here"
    if hasattr(kind.cls, "__post_init__"):
        yield from _refused(value, kind.cls, path)


def _refused(value: Mapping[str, object], kind: type, path: Path) -> Iterator[Fault]:
    """Say why a record whose values have the right types refuses them together."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        yield path, f"{_dotted(path)}: {error}", "mend this value"


def _leaf_faults(value: object, kind: inspect.Type, path: Path) -> Iterator[Fault]:
    expected = _expected(kind)
    if not _fits(value, kind):
        yield path, f'"{_dotted(path)}": expected {expected}, got {value!r}', _remedy(value, kind)


def _fits(value: object, kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.UnionType):
        return any(_fits(value, option) for option in kind.types)
    if isinstance(kind, inspect.LiteralType):
        return value in kind.values
    if isinstance(kind, inspect.TupleType):
        return (
            isinstance(value, list)
            and len(value) == len(kind.item_types)
            and all(_fits(item, option) for item, option in zip(value, kind.item_types, strict=True))
        )
    simple: dict[type, tuple[type, ...]] = {
        inspect.BoolType: (bool,),
        inspect.IntType: (int,),
        inspect.FloatType: (int, float),
        inspect.StrType: (str,),
        inspect.NoneType: (type(None),),
    }
    wanted = simple.get(type(kind))
    if wanted is None:
        return _converts(value, kind)
    return isinstance(value, wanted) and (bool in wanted or not isinstance(value, bool))


def _converts(value: object, kind: inspect.Type) -> bool:
    """Try types with no plain counterpart, such as dates; a table or list where none is expected does not fit."""
    if isinstance(kind, inspect.DateType):
        return hasattr(value, "isoformat") and not hasattr(value, "hour")
    return False


def _expected(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.UnionType):
        return " or ".join(_expected(option) for option in kind.types if not isinstance(option, inspect.NoneType))
    if isinstance(kind, inspect.LiteralType):
        return "one of " + ", ".join(f'"{value}"' for value in kind.values)
    if isinstance(kind, inspect.TupleType):
        return f"[{', '.join(_expected(item) for item in kind.item_types)}]"
    names: dict[type, str] = {
        inspect.BoolType: "true or false",
        inspect.IntType: "a whole number",
        inspect.FloatType: "a number",
        inspect.StrType: "text in quotes",
        inspect.VarTupleType: "a list [ … ]",
        inspect.DictType: "a table",
        inspect.StructType: "a table",
        inspect.DateType: "a date such as 2027-01-31",
    }
    return names.get(type(kind), "something else")


def _remedy(value: object, kind: inspect.Type) -> str:
    options = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    choices = [str(value) for option in options if isinstance(option, inspect.LiteralType) for value in option.values]
    return nearest(str(value), choices) if choices else ""


def _dotted(path: Sequence[str | int]) -> str:
    return ".".join(str(key) for key in path)


def place(text: str, where: str, path: Path) -> str:
    """Find the line of a key path, or of the nearest table above it."""
    lines = _lines(text)
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return f"{where}:{lines[path[:length]]}"
    return f"{where}:1"


def _lines(text: str) -> dict[Path, int]:
    """Map every table header and key to its line; rows of [[a.b]] are ("a", "b", 0), ("a", "b", 1) …"""
    found: dict[Path, int] = {}
    table: Path = ()
    rows: dict[Path, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        key = None if header else _KEY.match(line)
        if header:
            table = _keys(header[2])
            if header[1] == "[[":
                rows[table] = rows.get(table, -1) + 1
                found.setdefault(table, number)
                table = (*table, rows[table])
            found.setdefault(table, number)
        elif key:
            full = (*table, *_keys(key[1]))
            for length in range(len(table) + 1, len(full) + 1):
                found.setdefault(full[:length], number)
    return found


def _keys(dotted: str) -> tuple[str, ...]:
    return tuple(key.strip().strip("\"'") for key in _DOT.split(dotted))
