"""Safe changes of Python text: made from a call's syntax, applied together, kept only if the result still parses."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hauberk.scanning.artifact import Edit
from hauberk.scanning.python_text import parse
from hauberk.scanning.python_values import CallSite

_MOST = 1000
"""Edits of one file that are applied at once."""


class Fixed(NamedTuple):
    """A text with edits applied. applied: how many; refused: those that overlapped, or all of them if it broke."""

    text: str
    diff: str
    applied: int
    refused: int


def fixed(text: str, edits: Iterable[Edit], path: str = "file.py") -> Fixed:
    """Apply the edits that do not overlap; where the result no longer parses, none is applied."""
    wanted = list(dict.fromkeys(edits))
    chosen = _apart(wanted)[:_MOST]
    changed = _applied(text, chosen)
    if not chosen or parse(changed)[0] is None:
        return Fixed(text, "", 0, len(wanted))
    return Fixed(changed, _difference(text, changed, path), len(chosen), len(wanted) - len(chosen))


def _apart(edits: list[Edit]) -> list[Edit]:
    """Keep edits that do not overlap, the first in the text first."""
    kept: list[Edit] = []
    for edit in sorted(edits):
        begins, ends = (edit.line, edit.column), (edit.end_line, edit.end_column)
        if ends >= begins and (not kept or begins >= (kept[-1].end_line, kept[-1].end_column)):
            kept.append(edit)
    return kept


def _applied(text: str, edits: Sequence[Edit]) -> str:
    data = text.encode("utf-8", "surrogatepass")
    starts = [0]
    for line in data.split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    pieces, done = [], 0
    for edit in edits:
        if not (0 < edit.line < len(starts) and 0 < edit.end_line < len(starts)):
            continue
        begin, end = starts[edit.line - 1] + edit.column - 1, starts[edit.end_line - 1] + edit.end_column - 1
        pieces += [data[done:begin], edit.text.encode()]
        done = end
    pieces.append(data[done:])
    return b"".join(pieces).decode("utf-8", "surrogatepass")


def _difference(before: str, after: str, path: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{path}", f"b/{path}"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


# --- edits of one call


def set_keyword(site: CallSite, name: str, text: str) -> tuple[Edit, ...]:
    """Give a keyword that is written in the call another value; nothing where it is not written there."""
    keyword = _keyword(site, name)
    return (_replace(keyword.value, text),) if keyword is not None else ()


def add_keyword(site: CallSite, name: str, text: str) -> tuple[Edit, ...]:
    """Add a keyword after the last argument of a call, or set it where it is written."""
    if _keyword(site, name) is not None:
        return set_keyword(site, name, text)
    node = site.node
    if node is None or any(keyword.arg is None for keyword in node.keywords):
        return ()
    arguments = _arguments(node)
    if not arguments or isinstance(arguments[-1], ast.GeneratorExp):
        return ()
    place = _end(arguments[-1])
    return (Edit(*place, *place, f", {name}={text}"),)


def drop_keyword(site: CallSite, name: str) -> tuple[Edit, ...]:
    """Take a keyword out of the call with the comma that belongs to it."""
    node, keyword = site.node, _keyword(site, name)
    if node is None or keyword is None:
        return ()
    arguments = _arguments(node)
    at = next(index for index, item in enumerate(arguments) if item is keyword)
    if at > 0:
        return (Edit(*_end(arguments[at - 1]), *_end(keyword), ""),)
    if len(arguments) > 1:
        return (Edit(*_start(keyword), *_start(arguments[1]), ""),)
    return (Edit(*_start(keyword), *_end(keyword), ""),)


def set_name(site: CallSite, old: str, new: str) -> tuple[Edit, ...]:
    """Call another function of the same module: the last name of what is called, where it is written as `old`."""
    function = site.node.func if site.node is not None else None
    if not isinstance(function, ast.Attribute) or function.attr != old:
        return ()
    line, column = _end(function)
    return (Edit(line, column - len(old.encode()), line, column, new),)


def set_beginning(site: CallSite, position: int, old: str, new: str) -> tuple[Edit, ...]:
    """Replace the beginning of a literal text in a positional argument, where it is written as one plain string."""
    item = site.node.args[position] if site.node is not None and position < len(site.node.args) else None
    if isinstance(item, ast.Constant) and isinstance(item.value, str) and item.value.startswith(old):
        return (_replace(item, repr(new + item.value[len(old) :])),)
    return ()


def _keyword(site: CallSite, name: str) -> ast.keyword | None:
    keywords = site.node.keywords if site.node is not None else []
    return next((keyword for keyword in keywords if keyword.arg == name), None)


def _arguments(node: ast.Call) -> list[ast.expr | ast.keyword]:
    rows: list[ast.expr | ast.keyword] = [*node.args, *node.keywords]
    return sorted(rows, key=lambda item: (item.lineno, item.col_offset))


def _start(node: ast.expr | ast.keyword) -> tuple[int, int]:
    return node.lineno, node.col_offset + 1


def _end(node: ast.expr | ast.keyword) -> tuple[int, int]:
    return node.end_lineno or node.lineno, (node.end_col_offset or 0) + 1


def _replace(node: ast.expr, text: str) -> Edit:
    return Edit(*_start(node), *_end(node), text)
