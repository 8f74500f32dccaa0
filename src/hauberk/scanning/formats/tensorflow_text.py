"""TensorFlow graphs written as text (.pbtxt): operators and the texts in them, from the tokens alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Operator, Problem, Reference
from hauberk.scanning.text import is_text, read_text

_ENDINGS = (".pbtxt", ".prototxt", ".textproto")
_TOKEN = re.compile(
    r"""#[^\n]*|(?P<key>[A-Za-z_][\w.]*)\s*:?|(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|[{}<>\[\]]|[^\s\w"'#]|\d[\w.]*"""
)
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_GRAPH = re.compile(r"^\s*(?:node|graph_def|meta_graphs|saved_model_schema_version)\b", re.MULTILINE)
_PATHS = ("filename", "string_val", "s", "model_checkpoint_path")
_TOLD = 500


class TensorflowText:
    """Read keys and texts; adjacent texts are one, as the format has it, and escapes are undone."""

    card: ClassVar[Card] = Card(
        title="TensorFlow graph as text",
        summary="saved_model.pbtxt and GraphDef text files: operators, assets and paths.",
        paper="Protocol Buffers text format specification; tensorflow/core/framework/graph.proto",
        suffixes=(".pbtxt", ".prototxt", ".textproto"),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the endings where the text has a graph's keys."""
        head = blob.head.decode("utf-8", "replace")
        return blob.name.endswith(_ENDINGS) and is_text(blob.head) and bool(_GRAPH.search(head))

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - text has no parts
        """Read the text whole."""
        read = read_text(blob, limits)
        used: Counter[str] = Counter()
        references: dict[str, Reference] = {}
        for key, value in _pairs(read.text):
            if key == "op":
                used[value] += 1
            elif key in _PATHS and value and len(references) < _TOLD:
                kind = "external-data" if key == "filename" else "operator-file"
                shown = value if kind == "external-data" else f"Const: {value[:300]}"
                references.setdefault(shown, Reference(kind=kind, value=shown))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="tensorflow_text",
            size=blob.size,
            digest=read.digest,
            operators=tuple(Operator(domain="tensorflow", type=kind, count=used[kind]) for kind in sorted(used)),
            references=tuple(references.values()),
            problems=_balance(read.text),
        )


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Yield each key that has a text, with that text."""
    key, parts = "", list[str]()
    for match in _TOKEN.finditer(text):
        if match["text"] is not None:
            parts.append(_plain(match["text"][1:-1]))
        elif not match[0].startswith("#"):
            if key and parts:
                yield key, "".join(parts)
            key, parts = match["key"] or ("" if match[0] in "{}<>" else key), []
    if key and parts:
        yield key, "".join(parts)


def _plain(quoted: str) -> str:
    return _ESCAPE.sub(_unescaped, quoted) if "\\" in quoted else quoted


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] == "x" and len(code) > 1:
        return chr(int(code[1:], 16))
    return chr(int(code, 8) & 0xFF) if code[0] in "01234567" else _LETTERS.get(code, code)


def _balance(text: str) -> tuple[Problem, ...]:
    """Say where the text breaks off inside a message."""
    depth = 0
    for match in _TOKEN.finditer(text):
        depth += (match[0] in "{<") - (match[0] in "}>") if match["key"] is None and match["text"] is None else 0
    return () if depth == 0 else (Problem(kind="truncated", message=f"{abs(depth)} brackets have no partner"),)
