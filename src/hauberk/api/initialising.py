"""Look at a folder and write a commented hauberk.toml: names, source text and a table are read, nothing is run."""

from __future__ import annotations

import ast
import csv
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from jinja2 import Environment, PackageLoader

from hauberk.api.data_expect import expect
from hauberk.core.errors import HauberkError, ProjectError
from hauberk.core.project import FILE_NAME

PRUNED = {"node_modules", "__pycache__", "site-packages", "venv", "env", "dist", "build"}
MODEL_SUFFIXES = (".safetensors", ".pt2", ".onnx", ".skops", ".joblib", ".pkl", ".pt", ".pth")
DATA_SUFFIXES = (".npz", ".csv", ".parquet")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
LABELS = ("label", "target", "class", "y", "outcome", "default", "creditability", "diagnosis", "species", "fraud")
TRUSTED_ONLY = (".joblib", ".pkl")
DEPENDENCY_FILES = ("requirements.txt", "pyproject.toml", "poetry.lock", "uv.lock", "Pipfile.lock", "setup.py")
MAX_FILES = 20_000
TABLE_BYTES = 256 << 20
"""A larger table is not read here: `hauberk data expect` takes its time."""
MOST_CLASSES = 20
"""With more different words in its label column, a table's classes are not written out."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at the folder found; paths are relative, POSIX, best guess first.

    expected: [data.columns] tables that the first table meets today; empty where none was read.
    classes: the words of the label column in sorted order; empty where labels are numbers or the words too many.
    """

    name: str
    models: tuple[str, ...]
    data: tuple[str, ...]
    dependencies: tuple[str, ...]
    notebooks: tuple[str, ...]
    containers: tuple[str, ...]
    factories: tuple[str, ...]
    label: str = ""
    label_sure: bool = False
    expected: str = ""
    classes: tuple[str, ...] = ()


def look(folder: Path) -> Found:
    """Look at file names, the header of a table and the classes in the source; nothing is imported or loaded."""
    files = sorted(_files(folder))
    names = [path.relative_to(folder).as_posix() for path in files]

    def ending(suffixes: tuple[str, ...]) -> tuple[str, ...]:
        rows = [name for name in names if name.lower().endswith(suffixes)]
        return tuple(sorted(rows, key=lambda name: (suffixes.index(Path(name).suffix.lower()), name.count("/"), name)))

    data = (*ending(DATA_SUFFIXES), *_image_folders(folder, files))
    label, sure = _label(folder / data[0]) if data and data[0].endswith(".csv") else ("", False)
    return Found(
        name=folder.resolve().name,
        models=ending(MODEL_SUFFIXES),
        data=data,
        dependencies=tuple(name for name in names if Path(name).name in DEPENDENCY_FILES),
        notebooks=ending((".ipynb",)),
        containers=tuple(name for name in names if "dockerfile" in Path(name).name.lower()),
        factories=tuple(factory for path in files if path.suffix == ".py" for factory in _factories(path, folder)),
        label=label,
        label_sure=sure,
        expected=_expected(folder, data[0], label) if data else "",
        classes=_classes(folder / data[0], label) if label else (),
    )


def _expected(folder: Path, name: str, label: str) -> str:
    """Propose what to expect of a table from what it holds; nothing for a large or broken one, or without [data]."""
    try:
        if not name.endswith((".csv", ".parquet")) or (folder / name).stat().st_size > TABLE_BYTES:
            return ""
        return expect(name, folder=folder, label=label)
    except (HauberkError, OSError):
        return ""


def init(folder: str | os.PathLike[str] = ".", *, force: bool = False) -> Path:
    """Write hauberk.toml for a folder; raises ProjectError where one is there already."""
    root = Path(folder)
    path = root / FILE_NAME
    if not root.is_dir():
        raise ProjectError("no such folder", where=str(root))
    if path.exists() and not force:
        raise ProjectError(
            "is there already", where=str(path), fix="edit it, or run `hauberk init --force` to replace it"
        )
    try:
        path.write_text(propose(look(root)), encoding="utf-8")
    except OSError as error:
        raise ProjectError(
            f"cannot be written: {error.strerror}", where=str(path), fix="make the folder writable"
        ) from error
    return path


def propose(found: Found) -> str:
    """Word a commented project file for what was found."""
    model = found.models[0] if found.models else ""
    loader = PackageLoader("hauberk.api")
    template = Environment(loader=loader, trim_blocks=True, lstrip_blocks=True).get_template("project.toml.jinja")  # noqa: S701
    table = bool(found.data) and found.data[0].endswith((".csv", ".parquet"))
    suffix = Path(model).suffix.lower()
    return template.render(
        found=found,
        model=model,
        suffix=suffix,
        table=table,
        needs_factory=suffix == ".safetensors",
        runs_code=suffix in TRUSTED_ONLY,
        checkpoint=suffix in (".pt", ".pth"),
        text=_quoted,
    )


def _quoted(value: str) -> str:
    return msgspec.json.encode(value).decode()


def _files(folder: Path) -> Iterator[Path]:
    seen = 0
    for base, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in PRUNED and not name.startswith("."))
        for name in sorted(files):
            seen += 1
            if seen > MAX_FILES:
                return
            yield Path(base) / name


def _image_folders(folder: Path, files: list[Path]) -> tuple[str, ...]:
    """Name folders whose sub-folders (two or more) hold images: a class per sub-folder."""
    classes: dict[Path, set[str]] = {}
    for path in files:
        if path.suffix.lower() in IMAGE_SUFFIXES and path.parent != folder:
            classes.setdefault(path.parent.parent, set()).add(path.parent.name)
    return tuple(sorted(base.relative_to(folder).as_posix() for base, names in classes.items() if len(names) > 1))


def _label(path: Path) -> tuple[str, bool]:
    """Guess the label column of a CSV file by name, else take the last one; say whether the guess is sure."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return "", False
    for name in LABELS:
        for column in header:
            if column.strip().lower() == name:
                return column, True
    return (header[-1], False) if header else ("", False)


def _classes(path: Path, label: str) -> tuple[str, ...]:
    """Read the words of a CSV file's label column, sorted as they are indexed where nobody says otherwise."""
    words: set[str] = set()
    try:
        if path.stat().st_size > TABLE_BYTES:
            return ()
        with path.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                words.add(row[label] or "")
                if len(words) > MOST_CLASSES:
                    return ()
    except (OSError, UnicodeDecodeError, csv.Error, KeyError):
        return ()
    words.discard("")
    return () if all(_number(word) for word in words) else tuple(sorted(words))


def _number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _factories(path: Path, folder: Path) -> Iterator[str]:
    """Name what could build a torch module: functions called build… or make…, and classes that extend nn.Module."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    module = ".".join(path.relative_to(folder).with_suffix("").parts)
    modules = [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Module") for base in node.bases)
    ]
    if modules:
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith(("build", "make", "create", "get_model")):
                yield f"{module}:{node.name}"
    yield from (f"{module}:{name}" for name in modules)
