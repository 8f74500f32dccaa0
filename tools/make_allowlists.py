"""Generate the lists of framework classes whose construction and state are inert, from the pinned frameworks.

Run by hand after a pin moves: `python tools/make_allowlists.py`, or with names for other packages that are installed:
`python tools/make_allowlists.py pandas statsmodels`, or `… standard-library` for the data classes of Python itself
(enumerations, exceptions, named tuples). A class is listed when none of the methods that a
loader can reach (construction, state, attribute setting, hashing, filling, deletion), nor any own method those call,
calls anything that runs code, opens files or loads. Compiled classes have no source to read: their packages are named
below after a review of their pickling.
"""

from __future__ import annotations

import ast
import enum
import importlib
import importlib.util
import inspect
import json
import pkgutil
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).resolve().parent.parent / "src" / "hauberk" / "scanning" / "allowlists" / "frameworks"
REACHED = (
    "__new__", "__init__", "__setstate__", "__setattr__", "__getattr__", "__getattribute__", "__del__", "__hash__",
    "__eq__", "__setitem__", "append", "extend", "add", "update",
)  # fmt: skip
FORBIDDEN = frozenset(
    {
        "exec", "eval", "compile", "__import__", "import_module", "open", "fdopen", "system", "popen", "Popen", "run",
        "check_output", "check_call", "remove", "unlink", "rmtree", "rmdir", "rename", "replace_file", "load", "loads",
        "mkdir", "makedirs", "urlopen", "urlretrieve", "load_library", "CDLL", "mmap", "memmap", "start", "connect",
    }
)  # fmt: skip
COMPILED = (
    "sklearn.tree._tree", "sklearn.tree._splitter", "sklearn.tree._criterion", "sklearn.neighbors._kd_tree",
    "sklearn.neighbors._ball_tree", "sklearn.metrics._dist_metrics", "sklearn._loss._loss",
    "sklearn.neighbors._quad_tree", "sklearn.linear_model._sgd_fast", "pandas._libs.tslibs.offsets",
    "pandas._libs.tslibs.period", "pandas._libs.tslibs.timestamps", "pandas._libs.tslibs.timedeltas",
    "pandas._libs.interval", "pandas._libs.sparse", "pandas._libs.arrays", "pandas._libs.internals",
    "hdbscan.dist_metrics", "scipy.spatial.transform._rotation", "scipy.interpolate._dierckx",
)  # fmt: skip
FACTORIES = {
    "sklearn.neighbors._kd_tree": ("newObj",),
    "sklearn.neighbors._ball_tree": ("newObj",),
    "sklearn.metrics._dist_metrics": ("newObj",),
    "sklearn.linear_model._sgd_fast": (
        "Hinge", "SquaredHinge", "EpsilonInsensitive", "SquaredEpsilonInsensitive", "Huber", "ModifiedHuber", "Log",
        "SquaredLoss", "LossFunction",
    ),
    "sklearn.tree._tree": ("Tree",),
}  # fmt: skip
LEFT_OUT = (
    "tests", "test", "conftest", "externals", "_testing", "datasets", "__main__", "setup", "_build_utils", "testing",
    "cli", "commands", "app", "downloader", "examples", "benchmarks", "scripts", "io", "plotting", "visualization",
)  # fmt: skip
LARGE = ("transformers", "accelerate", "peft", "diffusers", "datasets", "matplotlib")
UNIMPORTED = frozenset({"antigravity", "this", "idlelib", "turtledemo", "turtle", "tkinter", "__main__"})
TORCH = ("torch.nn.modules", "torch.optim", "torch.distributions")
TORCH_TYPES = (
    "float32", "float", "float64", "double", "float16", "half", "bfloat16", "uint8", "int8", "int16", "short", "int32",
    "int", "int64", "long", "complex32", "complex64", "complex128", "bool", "quint8", "qint8", "qint32", "quint4x2",
    "float8_e4m3fn", "float8_e5m2", "strided", "sparse_coo", "contiguous_format", "channels_last", "preserve_format",
    "per_tensor_affine", "per_channel_affine", "FloatStorage", "DoubleStorage", "HalfStorage", "BFloat16Storage",
    "LongStorage", "IntStorage", "ShortStorage", "CharStorage", "ByteStorage", "BoolStorage", "ComplexFloatStorage",
    "ComplexDoubleStorage", "QUInt8Storage", "QInt8Storage", "QInt32Storage",
)  # fmt: skip


def modules(package: str) -> Iterator[ModuleType]:
    """Import a package's modules, tests and data loaders left out."""
    root = importlib.import_module(package)
    yield root
    for info in pkgutil.walk_packages(getattr(root, "__path__", []), package + "."):
        if any(part in LEFT_OUT for part in info.name.split(".")):
            continue
        try:
            yield importlib.import_module(info.name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - an optional dependency is missing, or it refuses
            print(f"left out {info.name}: {error}")


def called_names(function: object) -> tuple[set[str], set[str]] | None:
    """Return names called, and own methods called; None where there is no source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))  # type: ignore[arg-type]
    except (OSError, TypeError, SyntaxError):
        return None
    names, own = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                names.add(node.func.id)
            elif isinstance(node.func, ast.Attribute):
                names.add(node.func.attr)
                if isinstance(node.func.value, ast.Name) and node.func.value.id in ("self", "cls"):
                    own.add(node.func.attr)
    return names, own


def is_compiled(kind: type) -> bool:
    """Say whether a class has no Python source to read."""
    try:
        inspect.getsource(kind)
    except (OSError, TypeError):
        return True
    return False


def is_inert(kind: type) -> bool:
    """Follow what a loader reaches through the class's own methods, over its whole line of bases."""
    queue, seen = list(REACHED), set()
    while queue:
        method = queue.pop()
        if method in seen:
            continue
        seen.add(method)
        for base in kind.__mro__:
            function = vars(base).get(method)
            function = getattr(function, "__func__", function)
            found = called_names(function) if inspect.isfunction(function) else None
            if found is None:
                continue
            if found[0] & FORBIDDEN:
                return False
            queue.extend(found[1])
    return True


def classes(package: str) -> dict[str, set[str]]:
    """List the inert classes of a package by the module that defines them."""
    listed: dict[str, set[str]] = {}
    for module in modules(package):
        for name, kind in vars(module).items():
            if not inspect.isclass(kind) or kind.__module__ != module.__name__ or kind.__qualname__ != name:
                continue
            if (is_compiled(kind) and module.__name__ not in COMPILED) or not is_inert(kind):
                print(f"not listed: {module.__name__}.{name}")
                continue
            listed.setdefault(module.__name__, set()).add(name)
    for name in COMPILED:
        if not name.startswith(package + "."):
            continue
        factories = {
            function for function in vars(importlib.import_module(name)) if function.startswith("__pyx_unpickle_")
        }
        if factories:
            listed.setdefault(name, set()).update(factories)
    return listed


def with_older_paths(listed: dict[str, set[str]]) -> dict[str, set[str]]:
    """Add the public spelling of private modules, as releases before they were made private pickled them."""
    both = {module: set(names) for module, names in listed.items()}
    for module, names in listed.items():
        older = ".".join(part.lstrip("_") for part in module.split("."))
        both.setdefault(older, set()).update(names)
        both.setdefault(module.split("._")[0], set()).update(names)
    return both


def write(framework: str, listed: dict[str, set[str]]) -> None:
    """Write one list, sorted."""
    version = str(getattr(importlib.import_module(framework), "__version__", "unknown")).split("+")[0]
    names = {module: sorted(kinds) for module, kinds in sorted(listed.items())}
    record = {"framework": framework, "version": version, "names": names}
    text = json.dumps(record, indent=1, sort_keys=True)
    (FOLDER / f"{framework}.json").write_text(text + "\n", encoding="utf-8")
    print(f"{framework} {version}: {sum(map(len, names.values()))} names")


def standard_library() -> None:
    """Write the enumerations, exceptions and named tuples of the standard library whose construction is inert."""
    data: set[str] = set()
    for top in sorted(sys.stdlib_module_names - UNIMPORTED):
        try:
            found = list(modules(top))
        except Exception as error:  # noqa: BLE001 - of another system
            print(f"left out {top}: {error}")
            continue
        for module in found:
            data.update(
                f"{module.__name__}.{name}" for name, kind in vars(module).items() if is_data(kind, module, name)
            )
    head = "# Enumerations, exceptions and named tuples of Python's standard library (tools/make_allowlists.py).\n"
    text = head + "\n".join(sorted(data)) + "\n"
    (FOLDER.parent / "standard_library_data.txt").write_text(text, encoding="utf-8")
    print(f"standard library: {len(data)} names")


def is_data(kind: object, module: ModuleType, name: str) -> bool:
    """Say whether an attribute of a module is a class of plain data, defined there or published from there."""
    if not inspect.isclass(kind) or kind.__qualname__ != name or name in ("Enum", "IntEnum", "Flag", "NamedTuple"):
        return False
    if kind.__module__ != module.__name__ or not is_inert(kind):
        return False
    named = issubclass(kind, tuple) and (hasattr(kind, "_fields") or hasattr(kind, "n_fields"))
    return issubclass(kind, BaseException | enum.Enum) or named


def enumerations(package: str) -> dict[str, set[str]]:
    """List the enumerations of a package too large to import whole, read from its sources."""
    spec = importlib.util.find_spec(package)
    listed: dict[str, set[str]] = {}
    for folder in spec.submodule_search_locations or () if spec else ():
        for path in sorted(Path(folder).rglob("*.py")):
            module = ".".join((package, *path.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__")
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and any(
                    ast.unparse(base).endswith(("Enum", "Flag", "NamedTuple")) for base in node.bases
                ):
                    listed.setdefault(module, set()).add(node.name)
    return listed


def main() -> None:
    """Write the lists of the pinned frameworks, or of the packages named."""
    warnings.simplefilter("ignore")
    if sys.argv[1:] == ["standard-library"]:
        standard_library()
        return
    for package in sys.argv[1:]:
        large = package in LARGE
        write(package, enumerations(package) if large else classes(package))
    if sys.argv[1:]:
        return
    sklearn = classes("sklearn")
    for module, made in FACTORIES.items():
        sklearn.setdefault(module, set()).update(made)
    write("sklearn", with_older_paths(sklearn))
    torch: dict[str, set[str]] = {"torch": set(TORCH_TYPES)}
    for package in TORCH:
        for module, names in classes(package).items():
            torch.setdefault(module, set()).update(names)
    write("torch", torch)


if __name__ == "__main__":
    main()
