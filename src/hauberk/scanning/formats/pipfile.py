"""Pipfile: what Pipenv is asked for, before it is locked."""

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

_SECTIONS = ("packages", "dev-packages")


class Pipfile:
    """Read packages, development packages and sources."""

    card: ClassVar[Card] = Card(
        title="Pipfile",
        summary="Dependencies as Pipenv is asked for them, and the indexes they come from.",
        paper="Pipenv's Pipfile format",
        suffixes=("pipfile",),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept by name."""
        return blob.name == "pipfile"

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - no parts
        """Read the tables."""
        read = read_text(blob, limits)
        problems: tuple[Problem, ...] = ()
        content: dict[str, object] = {}
        try:
            content = tomllib.loads(read.text)
        except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
            problems = (Problem(kind="malformed", message=f"not TOML: {str(error)[:200]}"),)
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="pipfile",
            size=blob.size,
            digest=read.digest,
            requirements=tuple(_rows(content, read.text.split("\n"))),
            notes=(*_sources(content), *_python(content)),
            problems=problems,
        )


def _rows(content: dict[str, object], lines: list[str]) -> Iterator[Requirement]:
    where = {line.partition("=")[0].strip().strip("\"'"): at for at, line in enumerate(lines, 1) if "=" in line}
    for section in _SECTIONS:
        table = content.get(section)
        for name, value in table.items() if isinstance(table, dict) else ():
            place = Place(line=where.get(name))
            row = value if isinstance(value, dict) else {"version": value}
            address = row.get("git") or row.get("file") or row.get("path")
            version = str(row.get("version") or "*")
            if address:
                url = f"{address}@{row['ref']}" if row.get("ref") else str(address)
                yield Requirement(name=canonicalize_name(name), specifier="", version=None, url=url, place=place)
                continue
            found = requirement(f"{name}{'' if version == '*' else version}", place)
            yield found or Requirement(name=canonicalize_name(name), specifier=version, version=None, place=place)


def _sources(content: dict[str, object]) -> Iterator[Note]:
    rows = content.get("source")
    for number, row in enumerate(rows if isinstance(rows, list) else ()):
        if isinstance(row, dict) and isinstance(row.get("url"), str):
            yield Note(name=f"option {'--extra-index-url' if number else '--index-url'}", text=row["url"])
            if row.get("verify_ssl") is False:
                yield Note(name="option --trusted-host", text=row["url"])


def _python(content: dict[str, object]) -> Iterator[Note]:
    requires = content.get("requires")
    version = requires.get("python_version") if isinstance(requires, dict) else None
    if isinstance(version, str):
        yield Note(name="requires-python", text=version)
