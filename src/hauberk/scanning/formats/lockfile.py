"""Lock files: every package of a resolved environment, as Poetry, uv, PDM, Pipenv, conda-lock and PEP 751 write it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import ClassVar

import msgspec
import yaml
from packaging.utils import canonicalize_name

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Place, Problem, Requirement
from hauberk.scanning.conda_names import python_name
from hauberk.scanning.text import read_text
from hauberk.scanning.yaml_documents import document

_TOML = ("poetry.lock", "uv.lock", "pdm.lock", "pylock.toml")
_CONDA = re.compile(r"(?:.*[.-])?conda-lock\.ya?ml|pixi\.lock")
_FILES = re.compile(r'(?:^[ \t]+\{(?![^\n]*""")[^{}\n"\'#]*(?:"[^"\\\n]*"[^{}\n"\'#]*)*\},?\n)+', re.M)
"""Runs of lines that are one inline table each: the files, with hashes, of a package, most of a lock file's bytes."""


class Lockfile:
    """Read poetry.lock, uv.lock, pdm.lock, pylock.toml, Pipfile.lock, conda-lock.yml and pixi.lock."""

    card: ClassVar[Card] = Card(
        title="Lock file",
        summary="Exact versions and hashes of all packages, transitive ones too.",
        paper="PEP 751; Poetry's, uv's, PDM's, Pipenv's and conda-lock's own formats",
        suffixes=(
            "poetry.lock",
            "uv.lock",
            "pdm.lock",
            "pixi.lock",
            "pipfile.lock",
            "conda-lock.yml",
            "conda-lock.yaml",
            ".toml",
        ),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept by name."""
        named = blob.name.startswith("pylock.") and blob.name.endswith(".toml")
        return named or blob.name in _TOML or blob.name == "pipfile.lock" or _CONDA.fullmatch(blob.name) is not None

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - no parts
        """Read every package."""
        read = read_text(blob, limits)
        problems: tuple[Problem, ...] = ()
        requirements: tuple[Requirement, ...] = ()
        notes: tuple[Note, ...] = ()
        lines = read.text.split("\n")
        try:
            if blob.name == "pipfile.lock":
                content = msgspec.json.decode(read.data)
                requirements, notes = tuple(_pipenv(content, _index(lines, '"'))), tuple(_sources(content))
            elif _CONDA.fullmatch(blob.name):
                content = document(read.text, limits)
                requirements = tuple(_conda(content, _index(lines, ("- name: ", "name: "))))
            else:
                content = tomllib.loads(_FILES.sub('    {hash = "seen"},\n', read.text))
                requirements = tuple(_packages(content, _index(lines, "name = ")))
            if not requirements and not _empty(content, blob.name):
                problems = (Problem(kind="malformed", message="not a lock file: it lists no packages"),)
        except (tomllib.TOMLDecodeError, msgspec.DecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
            problems = (Problem(kind="malformed", message=f"not a lock file: {str(error)[:200]}"),)
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="lockfile",
            size=blob.size,
            digest=read.digest,
            requirements=requirements,
            notes=notes,
            problems=problems,
        )


def _empty(content: object, name: str) -> bool:
    """Tell a lock file of a project without dependencies from one that was cut off, or something else of that name.

    Poetry and PDM write their metadata last, conda-lock first.
    """
    marks = ("package", "packages") if _CONDA.fullmatch(name) else ("package", "packages", "default", "metadata")
    found = [content[mark] for mark in marks if mark in content] if isinstance(content, dict) else []
    return any(
        isinstance(value, dict)
        or (isinstance(value, list) and all(isinstance(row, dict) and row.get("name") for row in value))
        for value in found
    )


def _packages(content: object, lines: dict[str, int]) -> Iterator[Requirement]:
    for row in _rows(content, "package", "packages"):
        name, version, source = row.get("name"), row.get("version"), row.get("source")
        if not isinstance(name, str):
            continue
        # uv writes the project itself with source.virtual, PEP 751 with directory, and neither comes from an index.
        if isinstance(source, dict) and set(source) & {"virtual", "editable", "directory"}:
            continue
        if isinstance(row.get("directory"), dict):
            continue
        yield Requirement(
            name=canonicalize_name(name),
            specifier=f"=={version}" if version else "",
            version=version if isinstance(version, str) else None,
            hashed=any(row.get(key) for key in ("files", "wheels", "sdist", "archive")),
            url=_address(row, source),
            place=Place(line=lines.get(name)),
        )


def _address(row: dict[str, object], source: object) -> str:
    """Return where a package comes from if it is not an index: a repository with its commit, or an archive."""
    vcs, archive = row.get("vcs"), row.get("archive")
    if isinstance(vcs, dict):
        return f"git+{vcs.get('url', '')}@{vcs.get('commit-id', '')}"
    if isinstance(archive, dict):
        return str(archive.get("url", ""))
    if isinstance(source, dict):
        if source.get("type") == "legacy":
            return ""
        commit = source.get("resolved_reference")
        return str(source.get("git") or source.get("url") or "") + (f"@{commit}" if isinstance(commit, str) else "")
    git = row.get("git")
    return f"{git}@{row.get('revision', '')}" if isinstance(git, str) else ""


def _pipenv(content: object, lines: dict[str, int]) -> Iterator[Requirement]:
    for section in ("default", "develop"):
        table = content.get(section) if isinstance(content, dict) else None
        for name, row in table.items() if isinstance(table, dict) else ():
            if not isinstance(row, dict):
                continue
            version = str(row.get("version", ""))
            yield Requirement(
                name=canonicalize_name(name),
                specifier=version,
                version=version.removeprefix("==") if version.startswith("==") else None,
                hashed=bool(row.get("hashes")),
                url=str(row.get("git") or row.get("file") or "") + (f"@{row['ref']}" if row.get("ref") else ""),
                place=Place(line=lines.get(name)),
            )


def _sources(content: object) -> Iterator[Note]:
    """Name Pipenv's indexes after its first."""
    meta = content.get("_meta") if isinstance(content, dict) else None
    for number, row in enumerate(_rows(meta, "sources")):
        if isinstance(row.get("url"), str):
            yield Note(name=f"option {'--extra-index-url' if number else '--index-url'}", text=str(row["url"]))


def _conda(content: object, lines: dict[str, int]) -> Iterator[Requirement]:
    for row in _rows(content, "package", "packages"):
        name, version = row.get("name"), row.get("version")
        if not isinstance(name, str):
            continue
        pip = row.get("manager") == "pip" or "pypi" in row or row.get("kind") == "pypi"
        yield Requirement(
            name=canonicalize_name(name) if pip else python_name(name),
            specifier=f"=={version}" if version else "",
            version=str(version) if version else None,
            hashed=bool(row.get("hash") or row.get("sha256")),
            place=Place(line=lines.get(name)),
        )


def _rows(content: object, *keys: str) -> Iterator[dict[str, object]]:
    for key in keys:
        table = content.get(key) if isinstance(content, dict) else None
        for row in table if isinstance(table, list) else ():
            if isinstance(row, dict):
                yield row


def _index(lines: list[str], prefix: str | tuple[str, ...]) -> dict[str, int]:
    """Map package names to the lines that name them: TOML and JSON readers do not say it."""
    found: dict[str, int] = {}
    prefixes = (prefix,) if isinstance(prefix, str) else prefix
    for number, line in enumerate(lines, 1):
        stripped = line.strip()
        for one in prefixes:
            if stripped.startswith(one):
                found.setdefault(stripped[len(one) :].lstrip('"').split('"')[0], number)
                break
    return found
