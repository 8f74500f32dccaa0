"""pyproject.toml: dependencies as PEP 621, PEP 735, PEP 518, Poetry and PDM declare them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import ClassVar

from packaging.utils import canonicalize_name

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Place, Problem, Requirement
from hauberk.scanning.requirement_lines import pin_of_text, requirement
from hauberk.scanning.text import read_text

_SOUGHT = 5000
_BARE = re.compile(r"([\^~]?)\s*v?(\d[\w.!+*-]{0,60})")


class Pyproject:
    """Read a project's declared dependencies and its extra package indexes."""

    card: ClassVar[Card] = Card(
        title="pyproject.toml",
        summary="Declared dependencies, optional and grouped ones too, and the indexes they come from.",
        paper="PEP 518, PEP 621, PEP 735; Poetry's and PDM's own tables",
        suffixes=("pyproject.toml",),
        by_name=True,
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
            place = _place(lines, text)
            found = requirement(text, place)
            if found is not None:
                requirements.append(found)
            else:
                problems.append(Problem(kind="malformed", message=f"not a requirement: {text[:80]}", place=place))
        requirements.extend(_poetry(document, lines))
        for option, url in _indexes(document):
            if url:
                notes.append(Note(name=f"option {option}", text=url, place=_place(lines, url)))
        notes.extend(_about(document, lines))
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
    """Yield the texts of a list, or of the lists in a table of them; TOML nests deeper than recursion goes."""
    for inner in value.values() if isinstance(value, dict) else (value,):
        yield from (item for item in inner if isinstance(item, str)) if isinstance(inner, list) else ()


def _declared(document: object) -> Iterator[str]:
    yield from _strings(_at(document, "project", "dependencies"))
    yield from _strings(_at(document, "project", "optional-dependencies"))
    yield from _strings(_at(document, "dependency-groups"))
    yield from _strings(_at(document, "build-system", "requires"))
    yield from _strings(_at(document, "tool", "pdm", "dev-dependencies"))
    yield from _strings(_at(document, "tool", "uv", "dev-dependencies"))
    environments = _at(document, "tool", "hatch", "envs")
    for table in environments.values() if isinstance(environments, dict) else ():
        yield from _strings(_at(table, "dependencies"))
        yield from _strings(_at(table, "extra-dependencies"))


def _about(document: object, lines: list[str]) -> Iterator[Note]:
    """Note what the project says of itself: name, version, licence, and the Python it runs on."""
    table = _at(document, "project") or _at(document, "tool", "poetry")
    licence = _at(table, "license")
    rows = (
        ("name", _at(table, "name")),
        ("version", _at(table, "version")),
        ("licence", _at(licence, "text") if isinstance(licence, dict) else licence),
        ("requires-python", _at(table, "requires-python") or _at(document, "tool", "poetry", "dependencies", "python")),
    )
    for name, value in rows:
        if isinstance(value, str):
            yield Note(name=name, text=value, place=_place(lines, value))


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
    specifier = poetry_specifier(version)
    url = ""
    if isinstance(value, dict):
        url = str(value.get("git") or value.get("url") or value.get("path") or "")
        commit = value.get("rev") or value.get("tag")
        url += f"@{commit}" if url and isinstance(commit, str) else ""
    return Requirement(
        name=canonicalize_name(name), specifier=specifier, version=pin_of_text(specifier), url=url, place=place
    )


def poetry_specifier(text: str) -> str:
    """Write Poetry's ranges as PEP 440: ^1.2 is >=1.2,<2, ~1.2.3 is >=1.2.3,<1.3, a bare number is a pin."""
    parts = (part.strip() for part in text.split(","))
    return "" if text.strip() == "*" else ",".join(_poetry_part(part) for part in parts if part)


def _poetry_part(part: str) -> str:
    bare = _BARE.fullmatch(part)
    if bare is None:
        return part
    mark, version = bare[1], bare[2]
    if mark not in ("^", "~"):
        return f"=={version}"
    numbers = [int(number) for number in re.findall(r"\d+", version.split("-")[0])[:3]]
    at = 1 if mark == "~" and len(numbers) > 1 else 0
    if mark == "^":
        at = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
    above = [*numbers[:at], numbers[at] + 1]
    return f">={version},<{'.'.join(str(number) for number in above)}"


def _indexes(document: object) -> Iterator[tuple[str, str]]:
    """Yield (option, address) of each further index, as pip would call it.

    uv takes a package from the first index that has it, unless told otherwise; a source marked explicit serves only
    the packages that name it.
    """
    mixed = str(_at(document, "tool", "uv", "index-strategy") or "").startswith("unsafe")
    for row in _tables(_at(document, "tool", "uv", "index")):
        explicit = row.get("explicit") is True
        yield "--extra-index-url" if mixed and not explicit else "--index-url", str(row.get("url", ""))
    for row in _tables(_at(document, "tool", "poetry", "source")):
        single = row.get("priority") in ("explicit", "default") or row.get("default") is True
        yield "--index-url" if single else "--extra-index-url", str(row.get("url", ""))
    for row in _tables(_at(document, "tool", "pdm", "source")):
        yield "--index-url" if row.get("name") == "pypi" else "--extra-index-url", str(row.get("url", ""))


def _tables(value: object) -> Iterator[dict[str, object]]:
    yield from (row for row in value if isinstance(row, dict)) if isinstance(value, list) else ()


def _place(lines: list[str], text: str) -> Place:
    """Find the line of a text among the first few thousand: TOML readers do not say it."""
    for number, line in enumerate(lines[:_SOUGHT], 1):
        if text in line:
            return Place(line=number, column=line.index(text) + 1)
    return Place()
