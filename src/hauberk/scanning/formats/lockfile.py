"""Lock files: every package of a resolved environment, as Poetry, uv, PDM, Pipenv and PEP 751 write it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import ClassVar

import msgspec
from packaging.utils import canonicalize_name

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Place, Problem, Requirement
from hauberk.scanning.text import read_text

_TOML = ("poetry.lock", "uv.lock", "pdm.lock", "pylock.toml")


class Lockfile:
    """Read poetry.lock, uv.lock, pdm.lock, pylock.toml and Pipfile.lock."""

    card: ClassVar[Card] = Card(
        title="Lock file",
        summary="Exact versions and hashes of all packages, transitive ones too.",
        paper="PEP 751; Poetry's, uv's, PDM's and Pipenv's own formats",
        suffixes=("poetry.lock", "uv.lock", "pdm.lock", "pylock.toml", "pipfile.lock"),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept by name."""
        named = blob.name.startswith("pylock.") and blob.name.endswith(".toml")
        return named or blob.name in _TOML or blob.name == "pipfile.lock"

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - no parts
        """Read every package."""
        read = read_text(blob, limits)
        problems: tuple[Problem, ...] = ()
        requirements: tuple[Requirement, ...] = ()
        lines = read.text.split("\n")
        try:
            if blob.name == "pipfile.lock":
                requirements = tuple(_pipenv(msgspec.json.decode(read.data), _index(lines, '"')))
            else:
                requirements = tuple(_packages(tomllib.loads(read.text), _index(lines, "name = ")))
        except (tomllib.TOMLDecodeError, msgspec.DecodeError, RecursionError, ValueError) as error:
            problems = (Problem(kind="malformed", message=f"not a lock file: {str(error)[:200]}"),)
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="lockfile",
            size=blob.size,
            digest=read.digest,
            requirements=requirements,
            problems=problems,
        )


def _packages(document: object, lines: dict[str, int]) -> Iterator[Requirement]:
    rows: list[object] = []
    for key in ("package", "packages"):
        table = document.get(key) if isinstance(document, dict) else None
        rows.extend(table if isinstance(table, list) else ())
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("name"), str):
            continue
        version = row.get("version")
        source = row.get("source")
        url = ""
        if isinstance(source, dict):
            url = str(source.get("git") or source.get("url") or "")
        if isinstance(source, dict) and set(source) & {"virtual", "editable"}:
            continue  # the project itself
        hashed = any(row.get(key) for key in ("files", "wheels", "sdist", "archive"))
        yield Requirement(
            name=canonicalize_name(row["name"]),
            specifier=f"=={version}" if version else "",
            version=version if isinstance(version, str) else None,
            hashed=bool(hashed),
            url=url,
            place=Place(line=lines.get(row["name"])),
        )


def _pipenv(document: object, lines: dict[str, int]) -> Iterator[Requirement]:
    for section in ("default", "develop"):
        table = document.get(section) if isinstance(document, dict) else None
        for name, row in table.items() if isinstance(table, dict) else ():
            if not isinstance(row, dict):
                continue
            version = str(row.get("version", ""))
            yield Requirement(
                name=canonicalize_name(name),
                specifier=version,
                version=version.removeprefix("==") if version.startswith("==") else None,
                hashed=bool(row.get("hashes")),
                url=str(row.get("git") or row.get("file") or ""),
                place=Place(line=lines.get(name)),
            )


def _index(lines: list[str], prefix: str) -> dict[str, int]:
    """Map package names to the lines that name them: TOML and JSON readers do not say it."""
    found: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        stripped = line.strip()
        if stripped.startswith(prefix):
            found.setdefault(stripped.removeprefix(prefix).lstrip('"').split('"')[0], number)
    return found
