"""Jupyter notebooks: each cell a part, magics set aside, outputs kept as notes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import msgspec

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Instruction, Note, Place, Problem, Source
from hauberk.scanning.python_text import parse, understand
from hauberk.scanning.text import read_text

_PYTHON_CELLS = ("%%time", "%%timeit", "%%capture", "%%prun", "%%memit", "%%debug", "%%python", "%%python3")
_SHELL_CELLS = ("%%bash", "%%sh", "%%script", "%%system", "%%!")
_MAGIC = re.compile(r"^(\s*)([A-Za-z_][\w, ]*=\s*)?([%!]|\?)(?=\S)")
_HELP = re.compile(r"^\s*[\w.]+\?{1,2}\s*$")
_SHELL = re.compile(r"^\s*(?:[\w, ]+=\s*)?(?:!{1,2}|%{1,2}(?:sx|system|pip|conda|mamba)\b)\s*(.*)$")
_OUTPUT_BYTES = 1 << 20


class Notebook:
    """Read .ipynb files: code cells share one namespace, so that an import in one is known in the next."""

    card: ClassVar[Card] = Card(
        title="Jupyter notebook",
        summary="Code cells as Python, shell magics as instructions, text and outputs as notes.",
        paper="nbformat 4 and 3",
        suffixes=(".ipynb",),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept by ending."""
        return blob.name.endswith(".ipynb")

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - cells are not files
        """Read the JSON and every cell."""
        read = read_text(blob, limits)
        problems: list[Problem] = []
        cells: list[_Cell] = []
        notes: tuple[Note, ...] = ()
        try:
            book = msgspec.json.decode(read.data)
            cells = [_cell(raw) for raw in _raw_cells(book)[: limits.members]]
            notes = tuple(Note(name=name, text=text) for name, text in _metadata(book))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, _NotANotebook) as error:
            problems.append(Problem(kind="malformed", message=f"not a notebook: {str(error)[:200]}"))
            notes = (Note(name="text", text=read.text, place=Place(line=1)),)
        unread = understand([cell.tree for cell in cells if cell.tree is not None], limits)
        if unread is not None:
            problems.append(unread)
        lost = unread is not None and unread.message.startswith("more than")
        parts = tuple(_part(blob, index, cell, lost) for index, cell in enumerate(cells, 1))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="notebook",
            size=blob.size,
            digest=read.digest,
            notes=notes,
            problems=tuple(problems),
            parts=parts,
        )


class _NotANotebook(Exception):
    pass


class _Cell(NamedTuple):
    text: str
    tree: ast.Module | None
    code: bool
    instructions: tuple[Instruction, ...]
    notes: tuple[Note, ...]
    problem: Problem | None


def _raw_cells(book: object) -> list[dict[str, object]]:
    if not isinstance(book, dict):
        raise _NotANotebook("the JSON is not an object")
    cells = book.get("cells")
    if cells is None and isinstance(book.get("worksheets"), list):  # nbformat 3
        sheets = [sheet for sheet in book["worksheets"] if isinstance(sheet, dict)]
        cells = [cell for sheet in sheets for cell in sheet.get("cells") or []]
    if not isinstance(cells, list):
        raise _NotANotebook('there is no list "cells"')
    return [cell for cell in cells if isinstance(cell, dict)]


def _metadata(book: object) -> Iterator[tuple[str, str]]:
    if isinstance(book, dict) and isinstance(book.get("metadata"), dict):
        yield "metadata", "\n".join(_texts(book["metadata"]))[:_OUTPUT_BYTES]


def _cell(raw: dict[str, object]) -> _Cell:
    source = raw.get("source", raw.get("input", ""))
    text = "".join(part for part in source if isinstance(part, str)) if isinstance(source, list) else str(source)
    outputs = "\n".join(_texts(raw.get("outputs", [])))[:_OUTPUT_BYTES]
    notes = (Note(name="output", text=outputs, place=Place(line=1)),) if outputs else ()
    if raw.get("cell_type") != "code":
        return _Cell(text, None, False, (), (Note(name="text", text=text, place=Place(line=1)), *notes), None)
    first = text.lstrip().split(maxsplit=1)[0] if text.strip() else ""
    if first.startswith("%%") and first not in _PYTHON_CELLS:
        body = text.lstrip().partition("\n")[2]
        shell = _lines_of_shell(body) if first in _SHELL_CELLS else ()
        return _Cell(text, None, True, shell, (*notes, Note(name=first, text=body, place=Place(line=2))), None)
    python, instructions, magics = _neutral(text)
    tree, problem = parse(python)
    return _Cell(text, tree, True, instructions, (*magics, *notes), problem)


def _part(blob: Blob, index: int, cell: _Cell, lost: bool) -> Artifact:
    name = f"cell {index}"
    return Artifact(
        path=blob.path,
        part=f"{blob.part}!{name}" if blob.part else name,
        format="notebook",
        size=len(cell.text),
        source=Source(cell.text, None if lost else cell.tree) if cell.code else None,
        instructions=cell.instructions,
        notes=cell.notes,
        problems=(cell.problem,) if cell.problem is not None else (),
    )


def _neutral(text: str) -> tuple[str, tuple[Instruction, ...], tuple[Note, ...]]:
    """Replace magics, shell escapes and help by Python, keeping line numbers: nothing, or a call of a shell."""
    lines, shell, notes = [], [], []
    for number, line in enumerate(text.split("\n"), 1):
        match = _MAGIC.match(line)
        if match is None and not _HELP.match(line):
            lines.append(line)
            continue
        indent, assigned = (match[1], match[2] or "") if match is not None else ("", "")
        command = _SHELL.match(line)
        does = _as_call(command[1]) if command is not None and "{" in line else "None"
        lines.append(f"{indent}{assigned}{does}")
        notes.append(Note(name="magic", text=line.strip(), place=Place(line=number)))
        if command is not None:
            value = re.sub(r"^\s*%(pip|conda|mamba)\b", r"\1", line) if "%" in line else command[1]
            shell.append(Instruction(keyword="RUN", value=value.strip(), place=Place(line=number)))
    python = "\n".join(lines)
    return (python, tuple(shell), tuple(notes)) if notes else (text, (), ())


def _as_call(command: str) -> str:
    """Write a shell escape with values in braces as the call it is, so that those are followed; else as nothing."""
    call = f"get_ipython().system(f{command!r})"
    return call if parse(call)[0] is not None else "None"


def _lines_of_shell(body: str) -> tuple[Instruction, ...]:
    return tuple(
        Instruction(keyword="RUN", value=line.strip(), place=Place(line=number))
        for number, line in enumerate(body.split("\n"), 2)
        if line.strip() and not line.strip().startswith("#")
    )


def _texts(value: object) -> Iterator[str]:
    """Yield the texts inside outputs and metadata, images left out."""
    queue = [value]
    while queue:
        item = queue.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            if item and all(isinstance(part, str) for part in item):
                yield "".join(item)
            else:
                queue.extend(reversed(item))
        elif isinstance(item, dict):
            rows = [inner for key, inner in item.items() if not str(key).startswith(("image/", "application/pdf"))]
            queue.extend(reversed(rows))
