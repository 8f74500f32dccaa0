"""Caffe networks as text (.prototxt): layer types, and the Python modules that layers name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Operator, Place, Problem, Reference
from hauberk.scanning.text import read_text
from hauberk.scanning.watch import Watch

_TOKEN = re.compile(
    r"#[^\n]*|\s+|(?P<text>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')|(?P<word>[\w.+\-/\[\]]+)|(?P<mark>.)", re.DOTALL
)
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_LAYERS = ("layer", "layers")
_DEPTH = 100


class CaffeText:
    """Read protobuf's text format as far as layers and their types go."""

    card: ClassVar[Card] = Card(
        title="Caffe network as text",
        summary="Layers of .prototxt files; a Python layer imports the module it names.",
        paper="BVLC/caffe, src/caffe/proto/caffe.proto, PythonParameter; protobuf.dev, text format",
        suffixes=(".prototxt",),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the ending."""
        return blob.name.endswith(".prototxt") and blob.size > 0

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - text has no parts
        """Read the text whole."""
        read = read_text(blob, limits)
        used: Counter[str] = Counter()
        references: list[Reference] = []
        problems: list[Problem] = []
        modules: dict[tuple[str, ...], _Value] = {}
        try:
            for value in _values(read.text, Watch(limits)):
                if len(value.keys) == 2 and value.keys[0] in _LAYERS and value.keys[1] == "type":
                    used[value.text] += 1
                elif value.keys[-2:] == ("python_param", "module"):
                    modules[value.keys] = value
                elif value.keys[-2:] == ("python_param", "layer"):
                    module = modules.pop((*value.keys[:-1], "module"), None)
                    name = f"python_param: {module.text}.{value.text}" if module else f"python_param: {value.text}"
                    references.append(Reference(kind="named-import", value=name, place=Place(line=value.line)))
        except LimitExceeded as error:
            problems.append(Problem(kind="limit", message=error.what))
        for value in modules.values():
            fact = Reference(kind="named-import", value=f"python_param: {value.text}", place=Place(line=value.line))
            references.append(fact)
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="caffe_text",
            size=blob.size,
            digest=read.digest,
            references=tuple(references),
            operators=tuple(Operator(domain="caffe", type=kind, count=used[kind]) for kind in sorted(used)),
            problems=tuple(problems),
        )


class _Value(NamedTuple):
    """One field that is no message: the names that lead to it, its text without quotes, its line."""

    keys: tuple[str, ...]
    text: str
    line: int


def _values(text: str, watch: Watch) -> Iterator[_Value]:
    """Yield every plain field; texts that follow one another are one text. Raises LimitExceeded."""
    keys: list[str] = []
    name, parts, line, seen, valued = "", list[str](), 1, 0, False
    for token in _TOKEN.finditer(text):
        if token.lastgroup is None:
            continue
        watch.tick()
        if parts and token.lastgroup != "text":
            yield _Value((*keys, name), "".join(parts), line)
            name, parts, valued = "", [], False
        if token.lastgroup == "text":
            line, seen = line + text.count("\n", seen, token.start()), token.start()
            parts.append(_unescaped(token.group()[1:-1]))
        elif token.lastgroup == "word":
            if valued:
                yield _Value((*keys, name), token.group(), line)
            name, valued = "" if valued else token.group(), False
        elif token.group() == ":":
            valued = True
        elif token.group() in "{<":
            keys.append(name)
            name, valued = "", False
            if len(keys) > _DEPTH:
                raise LimitExceeded(f"messages nested more than {_DEPTH} deep", fix="look by hand")
        elif token.group() in "}>":
            name, keys = "", keys[:-1]
    if parts:
        yield _Value((*keys, name), "".join(parts), line)


def _unescaped(text: str) -> str:
    def char(found: re.Match[str]) -> str:
        code = found[1]
        if code[0] == "x" and len(code) > 1:
            return chr(int(code[1:], 16))
        return chr(int(code, 8)) if code[0] in "01234567" else {"n": "\n", "t": "\t", "r": "\r"}.get(code, code)

    return _ESCAPE.sub(char, text)
