"""setup.cfg and setup.py: what setuptools would require, read from the text without running it."""

from __future__ import annotations

import ast
import configparser
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Place, Problem, Requirement
from hauberk.scanning.requirement_lines import requirement
from hauberk.scanning.text import read_text

_KEYS = ("install_requires", "setup_requires", "tests_require", "extras_require")
_ABOUT = {"license": "licence", "name": "name", "version": "version", "python_requires": "requires-python"}
_LARGEST = 1 << 20
"""Characters of a setup.py that are parsed: real ones have some thousands."""


class _Row(NamedTuple):
    text: str
    line: int | None


class SetuptoolsFiles:
    """Read the requirements of setup.cfg, and the literal ones of setup.py."""

    card: ClassVar[Card] = Card(
        title="setup.py and setup.cfg",
        summary="Dependencies as setuptools declares them; what setup.py computes is named as not read.",
        paper="setuptools' declarative configuration",
        suffixes=("setup.cfg", "setup.py"),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept by name."""
        return blob.name in ("setup.cfg", "setup.py") and b"\x00" not in blob.head

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - no parts
        """Read the tables or the literals."""
        read = read_text(blob, limits)
        problems: list[Problem] = []
        notes: list[Note] = []
        try:
            rows = list(_script(read.text, notes) if blob.name == "setup.py" else _configured(read.text, notes))
        except (SyntaxError, RecursionError, MemoryError, ValueError, configparser.Error) as error:
            rows = []
            message = " ".join(str(error).split())[:200]
            problems.append(Problem(kind="malformed", message=f"not a setuptools file: {message}"))
        found: list[Requirement] = []
        for row in rows:
            place = Place(line=row.line)
            item = requirement(row.text, place)
            if item is not None:
                found.append(item)
            else:
                problems.append(Problem(kind="malformed", message=f"not a requirement: {row.text[:80]}", place=place))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="setuptools_files",
            size=blob.size,
            digest=read.digest,
            requirements=tuple(found),
            notes=tuple(notes),
            problems=tuple(problems),
        )


def _configured(text: str, notes: list[Note]) -> Iterator[_Row]:
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#", ";"))
    parser.read_string(text)
    where = {line.split("#")[0].strip(): number for number, line in enumerate(text.split("\n"), 1)}
    values = [parser.get("options", key, fallback="") for key in _KEYS[:3]]
    if parser.has_section("options.extras_require"):
        values.extend(value for _, value in parser.items("options.extras_require"))
    for value in values:
        for line in value.replace(";\n", "\n").split("\n"):
            row = line.split(" #")[0].strip()
            if row and not row.startswith(("#", "file:", "attr:")):
                yield _Row(row, where.get(row))
    about = (
        ("metadata", "license", "licence"),
        ("metadata", "name", "name"),
        ("options", "python_requires", "requires-python"),
    )
    for section, key, name in about:
        if parser.has_option(section, key):
            notes.append(Note(name=name, text=parser.get(section, key).strip()))


def _script(text: str, notes: list[Note]) -> Iterator[_Row]:
    """Read literal arguments of setup(…), and lists they name that are assigned once at the top of the file."""
    if len(text) > _LARGEST:
        raise ValueError(f"{len(text)} characters are more than the {_LARGEST} that are parsed")
    tree = ast.parse(text)
    names = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        callee = node.func if isinstance(node, ast.Call) else None
        called = callee.attr if isinstance(callee, ast.Attribute) else getattr(callee, "id", "")
        if isinstance(node, ast.Call) and called == "setup":
            for keyword in node.keywords:
                value = (
                    names.get(keyword.value.id, keyword.value) if isinstance(keyword.value, ast.Name) else keyword.value
                )
                if keyword.arg in _KEYS:
                    yield from _literals(value, keyword.arg or "", notes)
                elif keyword.arg in _ABOUT and isinstance(value, ast.Constant):
                    notes.append(Note(name=_ABOUT[keyword.arg], text=str(value.value), place=Place(line=value.lineno)))


def _literals(value: ast.expr, key: str, notes: list[Note]) -> Iterator[_Row]:
    lists = value.values if isinstance(value, ast.Dict) else [value]
    for one in lists:
        items = one.elts if isinstance(one, ast.List | ast.Tuple) else [one]
        for item in items:
            if isinstance(item, ast.Constant) and isinstance(item.value, str):
                for row in item.value.split("\n"):
                    if row.strip():
                        yield _Row(row.strip(), item.lineno)
            else:
                notes.append(Note(name="computed requirement", text=key, place=Place(line=item.lineno)))
