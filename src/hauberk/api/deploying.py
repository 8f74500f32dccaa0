"""The verb `init --deploy`: write a hardened Dockerfile, Compose file, Kubernetes manifest and seccomp profile."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from hauberk.api.initialising import Found, look
from hauberk.core.errors import ProjectError

FOLDER = "deploy"
_FILES = {
    "Dockerfile": "Dockerfile.jinja",
    "Dockerfile.dockerignore": "dockerignore.jinja",
    "compose.yaml": "compose.yaml.jinja",
    "kubernetes.yaml": "kubernetes.yaml.jinja",
    "seccomp.json": "seccomp.json.jinja",
}
_ENTRIES = ("serve.py", "server.py", "app.py", "main.py", "api.py")
_LOCKS = ("requirements.lock", "requirements.txt")
_SOURCES = ("src", "app")
_PYTHON = "3.12"
_SAFE = re.compile(r"[\w.-]+(?:/[\w.-]+)*")


class Written(NamedTuple):
    """What was written. todo: lines with an arrow, which need the owner's hand."""

    paths: tuple[Path, ...]
    todo: int


def deploy(folder: str | os.PathLike[str] = ".", *, force: bool = False) -> Written:
    """Write `deploy/` for a project; raises ProjectError where one of its files is there already.

    Example:
        >>> hauberk.api.deploying.deploy(".").paths  # doctest: +SKIP
    """
    root = Path(folder)
    if not root.is_dir():
        raise ProjectError("no such folder", where=str(root))
    texts = render(root, look(root))
    target = root / FOLDER
    there = [name for name in texts if (target / name).exists()]
    if there and not force:
        fix = "edit it, or run `hauberk init --deploy --force` to replace it"
        raise ProjectError("is there already", where=str(target / there[0]), fix=fix)
    try:
        target.mkdir(exist_ok=True)
        for name, text in texts.items():
            (target / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ProjectError(
            f"cannot be written: {error.strerror}", where=str(target), fix="make the folder writable"
        ) from error
    return Written(tuple(target / name for name in texts), sum(text.count("←") for text in texts.values()))


def render(root: Path, found: Found) -> dict[str, str]:
    """Word every file for what was found; names that a shell or a parser would misread are left out."""
    entry = next((name for name in _ENTRIES if (root / name).is_file()), "serve.py")
    folders = tuple(name for name in _SOURCES if (root / name).is_dir())
    sources = (*folders, entry) if (root / entry).is_file() or not folders else folders
    locked = next((name for name in _LOCKS if name in found.dependencies and _hashed(root / name)), "")
    values = {
        "name": _line(found.name),
        "slug": slug(found.name),
        "python": _PYTHON,
        "locked": locked,
        "entry": entry,
        "sources": sources,
        "folders": folders,
        "models": _models(found),
    }
    loader = PackageLoader("hauberk.api", "templates/deploy")
    made = Environment(loader=loader, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)  # noqa: S701
    return {name: made.get_template(template).render(values).rstrip() + "\n" for name, template in _FILES.items()}


def slug(name: str) -> str:
    """Make a name that images and clusters take: letters, digits, dashes, at most 40."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
    return plain if plain and plain[0].isalpha() else f"model-{plain}".strip("-")


def _line(name: str) -> str:
    """Write a name on one line of a comment."""
    return "".join(char if char.isprintable() else "?" for char in name)[:80]


def _hashed(path: Path) -> bool:
    try:
        return "--hash=" in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _models(found: Found) -> str:
    """Name the folder that holds the models; "models" where there is none of its own."""
    folders = {model.rpartition("/")[0] for model in found.models}
    folder = min(folders, default="")
    return folder if folder and _SAFE.fullmatch(folder) else "models"
