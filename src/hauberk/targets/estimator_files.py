"""Load estimators from files: skops without running code, joblib and pickle only with the user's word."""

from __future__ import annotations

import importlib
from pathlib import Path

from hauberk.core.errors import MissingExtra, ProjectError, nearest
from hauberk.targets.hints import TRUST_NOTE


def load_estimator(path: Path, *, trust: bool) -> tuple[object, tuple[str, ...]]:
    """Load a fitted estimator and what the report must say of it.

    Raises ProjectError where the file is missing, broken, or would need trust that was not given.
    """
    if not path.is_file():
        near = nearest(path.name, (other.name for other in path.parent.glob(f"*{path.suffix}")))
        raise ProjectError("no such file", where=f"model.source {path.name}", fix=near)
    if path.suffix.lower() == ".skops":
        return _skops(path, trust)
    if not trust:
        raise ProjectError(
            "loading it can run any code that is in it",
            where=path.name,
            fix="save it with skops.io.dump, or set model.trust = true if you made the file yourself",
        )
    import joblib

    try:
        return joblib.load(path), (TRUST_NOTE,)
    except Exception as error:  # a pickle may raise anything
        raise _broken(path, error) from error


def _skops(path: Path, trust: bool) -> tuple[object, tuple[str, ...]]:
    try:
        import skops.io
    except ModuleNotFoundError as error:
        raise MissingExtra("skops", "models") from error
    try:
        asked = list(skops.io.get_untrusted_types(file=path))
    except Exception as error:  # a broken archive may raise anything
        raise _broken(path, error) from error
    foreign = sorted(name for name in asked if not _of_sklearn(name))
    if foreign and not trust:
        raise ProjectError(
            f"it holds types that could run code on load: {', '.join(foreign)}",
            where=path.name,
            fix="rebuild the model of scikit-learn's own parts, or set model.trust = true if you know these types",
        )
    try:
        return skops.io.load(path, trusted=asked), ((TRUST_NOTE,) if foreign else ())
    except Exception as error:  # a broken archive may raise anything
        raise _broken(path, error) from error


def _of_sklearn(name: str) -> bool:
    """Tell whether a name is a class that scikit-learn itself defines, such as a tree: not a function, not an alias.

    skops asks about these because it does not list them, not because they run code of the file.
    """
    module, _, symbol = name.rpartition(".")
    if not module.startswith("sklearn."):
        return False
    try:
        found = getattr(importlib.import_module(module), symbol, None)
    except ImportError:
        return False
    return isinstance(found, type) and found.__module__.startswith("sklearn.")


def _broken(path: Path, error: Exception) -> ProjectError:
    return ProjectError(f"cannot be loaded: {type(error).__name__}: {error}", where=path.name, fix="save it again")
