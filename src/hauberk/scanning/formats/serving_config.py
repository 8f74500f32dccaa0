"""Configurations of model servers that are not YAML: TorchServe, Triton, Jupyter, nginx; as settings, key by key."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Instruction, Place, Problem
from hauberk.scanning.json_documents import NotJson, json_document
from hauberk.scanning.python_text import decode_python, parse
from hauberk.scanning.serving_documents import scalars
from hauberk.scanning.shell_lines import MOST_BYTES
from hauberk.scanning.text import is_text, read_text

_JUPYTER = re.compile(r"jupyter\w*_config\.(?:py|json)")
_NGINX = re.compile(r"nginx.*\.conf|.*\.nginx|.*nginx.*\.conf\.template")
_PROPERTY = re.compile(r"^[ \t]*([\w.-]+)[ \t]*[=:][ \t]*(.*?)[ \t]*$")
_PBTXT = re.compile(
    r"([A-Za-z_]\w*)\s*(?::\s*(?:\"((?:[^\"\\\n]|\\.)*+)\"|([\w.+-]+))|:?(?=\s*[{\[]))|([{}\[\]])|#[^\n]*"
)
_DIRECTIVE = re.compile(r"^\s*([a-z_]+)\s+([^;{]+);", re.M)


class ServingConfig:
    """Read a server's own configuration file as `SETTING key=value`; a Python one is read, not run."""

    card: ClassVar[Card] = Card(
        title="Model server configuration",
        summary="TorchServe config.properties, Triton config.pbtxt, Jupyter's configuration, nginx.",
        paper="TorchServe configuration; Triton model_config.proto; Jupyter Server; nginx",
        suffixes=("config.properties", ".pbtxt", "_config.py", "_config.json", ".conf", ".nginx", ".conf.template"),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept by name."""
        name = blob.name
        known = name.endswith("config.properties") or name in ("config.pbtxt", "ts.config")
        return (known or _JUPYTER.fullmatch(name) is not None or _NGINX.fullmatch(name) is not None) and is_text(
            blob.head
        )

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - no parts
        """Read every setting."""
        if blob.size > MOST_BYTES:
            raise LimitExceeded(f"{blob.size} bytes are more than the {MOST_BYTES} of such a file", fix="look by hand")
        read = read_text(blob, limits)
        problems: list[Problem] = []
        rows: list[tuple[str, str, int]] = []
        try:
            rows = [*_rows(blob.name, read.text, read.data, limits)]
        except LimitExceeded as error:
            problems.append(Problem(kind="limit", message=error.what))
        except NotJson as error:
            problems.append(Problem(kind="malformed", message=f"not read to its end: {error}"))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="serving_config",
            size=blob.size,
            digest=read.digest,
            instructions=tuple(
                Instruction(keyword="SETTING", value=f"{key}={value}", place=Place(line=line))
                for key, value, line in rows
            ),
            problems=tuple(problems),
        )


def _rows(name: str, text: str, data: bytes, limits: Limits) -> Iterator[tuple[str, str, int]]:
    if name.endswith(".py"):
        yield from _assigned(data)
    elif name.endswith(".json"):
        yield from ((way, node.text, node.line or 1) for way, node in scalars(json_document(text, limits)))
    elif name.endswith(".pbtxt"):
        yield from _proto(text)
    elif _NGINX.fullmatch(name):
        for match in _DIRECTIVE.finditer(text):
            yield f"nginx.{match[1]}", " ".join(match[2].split()), text.count("\n", 0, match.start(1)) + 1
    else:
        for number, line in enumerate(text.split("\n"), 1):
            found = _PROPERTY.match(line)
            if found is not None and not line.lstrip().startswith(("#", "!")):
                yield found[1], found[2], number


def _assigned(data: bytes) -> Iterator[tuple[str, str, int]]:
    """Yield `c.Class.trait = literal` without the `c.`."""
    text, _ = decode_python(data)
    tree, _ = parse(text)
    for node in tree.body if tree is not None else ():
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Attribute):
            continue
        names: list[str] = []
        target: ast.expr = node.targets[0]
        while isinstance(target, ast.Attribute):
            names.append(target.attr)
            target = target.value
        value = node.value
        written = str(value.value) if isinstance(value, ast.Constant) else ast.unparse(value)[:200]
        yield ".".join(reversed(names)), written, node.lineno


def _proto(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield the scalars of a text protobuf by their ways; a map's entry by its key."""
    way: list[str] = []
    name, key, last, line = "", "", 0, 1
    for match in _PBTXT.finditer(text):
        line += text.count("\n", last, match.start())
        last = match.start()
        if match[4] in ("{", "["):
            way.append(name)
        elif match[4] is not None:
            del way[-1:]
        elif match[1] is not None:
            name = match[1]
            value = match[2] if match[2] is not None else match[3]
            if value is not None and name == "key":
                key = value
            elif value is not None:
                inside = [part for part in way if part != "value"]
                named = [*inside, key] if name == "string_value" else [*inside, name]
                yield ".".join(("triton", *named)), value, line
