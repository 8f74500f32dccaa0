"""Conda's environment.yml and recipe meta.yaml: packages of conda and of pip, and the channels they come from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

import yaml

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Place, Problem, Requirement
from hauberk.scanning.conda_names import conda_requirement
from hauberk.scanning.requirement_lines import requirement
from hauberk.scanning.text import read_text
from hauberk.scanning.yaml_documents import document

_NAME = re.compile(r"(?:.*[._-])?(?:environment|conda[_-]?env|conda)(?:[._-].*)?\.ya?ml")
_LOCK = re.compile(r".*conda-lock\.ya?ml")
_TEMPLATE = re.compile(r"\{%.*?%\}|\{\{.*?\}\}", re.S)
_ITEM = re.compile(r"^\s+-\s+([^\s#{%][^#\n]*)", re.M)
_PYTHON = re.compile(r"python\s*(?:=(?!=))?(?=[\s=<>!~\d]|$)")
_SECTION = re.compile(r"^requirements:\s*\n((?:[ \t]+.*\n|\s*\n|#.*\n)*)", re.M)


class CondaEnvironment:
    """Read conda environments (with their pip part) and the requirements of recipes."""

    card: ClassVar[Card] = Card(
        title="Conda environment",
        summary="Packages of conda and of pip inside it, and the channels they come from.",
        paper="conda's environment file and recipe formats",
        suffixes=(".yml", ".yaml"),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept by name and by the words such a file must have."""
        if blob.name == "meta.yaml":
            return b"package:" in blob.head and b"requirements:" in blob.read()[: 1 << 16]
        named = _NAME.fullmatch(blob.name) is not None and _LOCK.fullmatch(blob.name) is None
        return named and re.search(rb"^dependencies\s*:", blob.head, re.M) is not None

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - no parts
        """Read the dependencies."""
        read = read_text(blob, limits)
        problems: list[Problem] = []
        requirements: list[Requirement] = []
        notes: list[Note] = []
        if blob.name == "meta.yaml":
            requirements.extend(_recipe(read.text))
        else:
            try:
                content = document(read.text, limits)
                requirements.extend(_dependencies(content, read.text.split("\n"), problems, notes))
                notes.extend(_channels(content))
            except LimitExceeded:
                raise
            except (yaml.YAMLError, RecursionError, ValueError) as error:
                message = " ".join(str(error).split())[:200]
                problems.append(Problem(kind="malformed", message=f"not a conda environment: {message}"))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="conda_environment",
            size=blob.size,
            digest=read.digest,
            requirements=tuple(requirements),
            notes=tuple(notes),
            problems=tuple(problems),
        )


def _dependencies(
    content: object, lines: list[str], problems: list[Problem], notes: list[Note]
) -> Iterator[Requirement]:
    where = {line.strip().removeprefix("- ").strip().strip("'\""): at for at, line in enumerate(lines, 1)}
    rows = content.get("dependencies") if isinstance(content, dict) else None
    for row in rows if isinstance(rows, list) else ():
        pip = row.get("pip") if isinstance(row, dict) else None
        for text in pip if isinstance(pip, list) else ():
            place = Place(line=where.get(str(text).strip()))
            if str(text).startswith("-"):
                continue
            found = requirement(str(text), place)
            if found is None:
                problems.append(Problem(kind="malformed", message=f"not a requirement: {str(text)[:80]}", place=place))
            else:
                yield found
        if isinstance(row, str):
            if _PYTHON.match(row):
                notes.append(Note(name="requires-python", text=_PYTHON.sub("", row).strip() or "*"))
            found = conda_requirement(row, Place(line=where.get(row.strip())))
            if found is not None and not found.name.startswith("conda:"):
                yield found


def _channels(content: object) -> Iterator[Note]:
    rows = content.get("channels") if isinstance(content, dict) else None
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, str):
            yield Note(name="channel", text=row)


def _recipe(text: str) -> Iterator[Requirement]:
    """Read the list items below `requirements:`; a recipe is a template, so it is read by lines and not as YAML."""
    section = _SECTION.search(text)
    if section is None:
        return
    first = text.count("\n", 0, section.start(1)) + 1
    body = _TEMPLATE.sub("", section[1])
    for item in _ITEM.finditer(body):
        found = conda_requirement(item[1].strip(), Place(line=first + body.count("\n", 0, item.start(1))))
        if found is not None and not found.name.startswith("conda:"):
            yield found
