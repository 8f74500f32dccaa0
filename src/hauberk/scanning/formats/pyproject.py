"""pyproject.toml: dependencies as PEP 621, PEP 735, PEP 518, Poetry and PDM declare them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import ClassVar

from packaging.utils import canonicalize_name

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Place, Problem, Requirement
from hauberk.scanning.requirement_lines import requirement
from hauberk.scanning.text import read_text

_SOUGHT = 5000


class Pyproject:
    """Read a project's declared dependencies and its extra package indexes."""

    card: ClassVar[Card] = Card(
        title="pyproject.toml",
        summary="Declared dependencies, optional and grouped ones too, and the indexes they come from.",
        paper="PEP 518, PEP 621, PEP 735; Poetry's and PDM's own tables",
        suffixes=("pyproject.toml",),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept by name."""
        return blob.name == "pyproject.toml"

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - no parts
        """Read the tables."""
        read = read_text(blob, limits)
        requirements: list[Requirement] = []
        notes: list[Note] = []
        problems: list[Problem] = []
        try:
            document = tomllib.loads(read.text)
        except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
            problems.append(Problem(kind="malformed", message=f"not TOML: {str(error)[:200]}"))
            document = {}
        lines = read.text.split("\n")
        for text in _declared(document):
            found = requirement(text, _place(lines, text))
            if found is not None:
                requirements.append(found)
            else:
                problems.append(
                    Problem(kind="malformed", message=f"not a requirement: {text[:80]}", place=_place(lines, text))
                )
        requirements.extend(_poetry(document, lines))
        for url in _indexes(document):
            notes.append(Note(name="option --extra-index-url", text=url, place=_place(lines, url)))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="pyproject",
            size=blob.size,
            digest=read.digest,
            requirements=tuple(requirements),
            notes=tuple(notes),
            problems=tuple(problems),
        )


def _at(document: object, *keys: str) -> object:
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, str))
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)


def _declared(document: object) -> Iterator[str]:
    yield from _strings(_at(document, "project", "dependencies"))
    yield from _strings(_at(document, "project", "optional-dependencies"))
    yield from _strings(_at(document, "dependency-groups"))
    yield from _strings(_at(document, "build-system", "requires"))
    yield from _strings(_at(document, "tool", "pdm", "dev-dependencies"))
    yield from _strings(_at(document, "tool", "uv", "dev-dependencies"))


def _poetry(document: object, lines: list[str]) -> Iterator[Requirement]:
    tables = [_at(document, "tool", "poetry", "dependencies"), _at(document, "tool", "poetry", "dev-dependencies")]
    groups = _at(document, "tool", "poetry", "group")
    if isinstance(groups, dict):
        tables.extend(_at(group, "dependencies") for group in groups.values())
    for table in tables:
        for name, value in table.items() if isinstance(table, dict) else ():
            if name != "python":
                yield _poetry_row(name, value, _place(lines, name))


def _poetry_row(name: str, value: object, place: Place) -> Requirement:
    written = value.get("version", "") if isinstance(value, dict) else value
    version = written if isinstance(written, str) else ""
    plain = version.removeprefix("==").strip()
    url = ""
    if isinstance(value, dict):
        url = str(value.get("git") or value.get("url") or value.get("path") or "")
    exact = plain if plain[:1].isdigit() and not set(plain) & set("*,<>^~| ") else None
    return Requirement(
        name=canonicalize_name(name),
        specifier="" if version == "*" else version,
        version=exact,
        url=url,
        place=place,
    )


def _indexes(document: object) -> Iterator[str]:
    for table in (_at(document, "tool", "uv", "index"), _at(document, "tool", "poetry", "source")):
        for row in table if isinstance(table, list) else ():
            if isinstance(row, dict) and isinstance(row.get("url"), str):
                yield row["url"]


def _place(lines: list[str], text: str) -> Place:
    """Find the line of a text among the first few thousand: TOML readers do not say it."""
    for number, line in enumerate(lines[:_SOUGHT], 1):
        if text in line:
            return Place(line=number, column=line.index(text) + 1)
    return Place()
