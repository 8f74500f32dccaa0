"""What a source in hauberk.toml names: a file, a folder, an address, or an object as "module:callable"."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from hauberk.core.errors import ProjectError, nearest
from hauberk.core.plugins import Listing, catalog, listing

_NAMED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_LOCK = threading.RLock()
ANYTHING = "builtins.object"


def is_named(source: str) -> bool:
    """Tell whether a source has the form "module:callable"."""
    return _NAMED.fullmatch(source) is not None


def choose(family: str, source: str, kind: str, folder: Path, key: str) -> Listing | None:
    """Pick the plug-in of `family` for a source by its kind, or by the beginnings and endings its card names.

    None where the source is "module:callable" and no kind is said: the object decides (`choose_for`).
    key: the key path that messages name, such as "model". Raises UnknownName, or ProjectError naming what is nearest.
    """
    if kind:
        return listing(family, kind)
    lowered = source.lower()
    for entry in catalog(family):
        if lowered.startswith(entry.card.prefixes):
            return entry
    lowered += "/" if (folder / source).is_dir() and not lowered.endswith("/") else ""
    for entry in catalog(family):
        if lowered.endswith(entry.card.suffixes):
            return entry
    if is_named(source):
        return None
    known = [ending for entry in catalog(family) for ending in (*entry.card.suffixes, *entry.card.prefixes)]
    ending = Path(source).suffix
    raise ProjectError(
        f'do not know how to open "{source}"',
        where=f"{key}.source",
        fix=(nearest(ending, known) if ending else f"known: {', '.join(sorted(known))}") + " or module:callable",
    )


def choose_for(family: str, made: object) -> Listing:
    """Pick the plug-in whose card wraps the closest of an object's types; raises ProjectError where none does."""
    for kind in type(made).__mro__:
        dotted = f"{kind.__module__}.{kind.__qualname__}"
        for entry in catalog(family):
            if dotted in entry.card.wraps:
                return entry
    raise ProjectError(f"no way to use a {type(made).__name__}", fix=nearest("", [e.name for e in catalog(family)]))


@contextmanager
def imports_from(folder: Path) -> Iterator[None]:
    """Let a project folder's own modules be imported, and leave sys.path and older modules of their names as found.

    Two projects that both have a model.py do not see each other's; modules of the standard library always win.
    """
    folder = folder.resolve()
    own = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    own -= {*sys.stdlib_module_names, "hauberk"}
    with _LOCK:
        aside = {
            name: module
            for name, module in list(sys.modules.items())
            if name.partition(".")[0] in own and not _lies_in(module, folder)
        }
        for name in aside:
            del sys.modules[name]
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()
        try:
            yield
        finally:
            if str(folder) in sys.path:
                sys.path.remove(str(folder))
            sys.modules.update(aside)


def _lies_in(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve().is_relative_to(folder)


def named(source: str, folder: Path, key: str) -> object:
    """Import what "module:callable" names from a project folder.

    key: the key path that messages name. Raises ProjectError; where the module itself raised, it is chained.
    """
    if not is_named(source):
        raise ProjectError(f'"{source}" is not of the form module:callable', where=key, fix='such as "model:build"')
    module_name, _, path = source.partition(":")
    with imports_from(folder):
        found: object = _module(module_name, folder, key)
        for part in path.split("."):
            if not hasattr(found, part):
                names = [name for name in vars(found) if not name.startswith("_")] if hasattr(found, "__dict__") else []
                raise ProjectError(f'{module_name} has no "{part}"', where=key, fix=nearest(part, names))
            found = getattr(found, part)
    return found


def _module(name: str, folder: Path, key: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name + ".").startswith(error.name + "."):
            raise ProjectError(f"{name} needs {error.name}, which is not installed", where=key) from error
        near = nearest(name, (path.stem for path in folder.glob("*.py")))
        raise ProjectError(f'no module "{name}" in {folder.name}', where=key, fix=near) from error
    except (Exception, SystemExit) as error:  # a project's module may raise anything while it is imported
        raise ProjectError(
            f"importing {name} raised {type(error).__name__}: {error}",
            where=key,
            fix='what runs on import belongs under `if __name__ == "__main__":`',
        ) from error


def made(source: str, folder: Path, key: str, family: str) -> object:
    """Import what "module:callable" names; where it is a class, or callable without arguments, what it returns.

    An object that a plug-in of `family` wraps is taken as it is. Raises ProjectError; what the call raised is chained.
    """
    found = named(source, folder, key)
    special = {dotted for entry in catalog(family) for dotted in entry.card.wraps} - {ANYTHING}
    if special & {f"{kind.__module__}.{kind.__qualname__}" for kind in type(found).__mro__}:
        return found
    if not callable(found) or not _needs_nothing(found):
        return found
    try:
        with imports_from(folder):
            result: object = found()
    except (Exception, SystemExit) as error:  # a project's code may raise anything
        raise ProjectError(f"{source} raised {type(error).__name__}: {error}", where=key) from error
    return result


def _needs_nothing(function: object) -> bool:
    """Tell whether a callable can be called without arguments; one that hides its signature cannot."""
    assert callable(function)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return all(p.default is not inspect.Parameter.empty or p.kind in free for p in parameters)
