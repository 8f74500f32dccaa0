"""The functions of a Python program that answer requests: routes of web frameworks, handlers, forms."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from hauberk.scanning.python_values import Defined, Program

_ROUTE = re.compile(r".*\.(get|post|put|patch|delete|route|websocket|api_route)\(\)")
_HANDLER = re.compile(r".*\.(exception_handler|errorhandler|app_errorhandler)\(\)")
_VIEW_METHODS = frozenset(["get", "post", "put", "patch", "do_POST", "do_GET"])
_VIEW = re.compile(r"(?i).*(view|resource|handler|endpoint|viewset|api)")


def endpoints(program: Program) -> Iterator[Defined]:
    """Yield the functions that answer requests: by decorator, or as methods of a class that is a view."""
    classes = dict(program.classes)
    for function in program.functions:
        if any(_ROUTE.fullmatch(path) for path in function.decorators) or is_view(function, classes):
            yield function


def is_view(function: Defined, classes: dict[str, tuple[str, ...]]) -> bool:
    """Tell a method that a web framework calls, by its name and its class."""
    holder, _, name = function.path.rpartition("().")
    return name in _VIEW_METHODS and any(_VIEW.fullmatch(base) for base in classes.get(holder, ()))


def error_handlers(program: Program) -> Iterator[Defined]:
    """Yield the functions that answer when another one failed."""
    return (function for function in program.functions if any(_HANDLER.fullmatch(path) for path in function.decorators))


def inside(function: Defined) -> Iterator[ast.AST]:
    """Yield every node of a function, those of functions inside it too."""
    return ast.walk(function.node)


def called(node: ast.expr) -> str:
    """Return the last name of what a call calls."""
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
