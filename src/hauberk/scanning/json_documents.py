"""JSON with line numbers, comments and trailing commas allowed as hosts of tool servers do; no recursion."""

from __future__ import annotations

import json
import re

from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.document_tree import MOST_NODES, NOTHING, Node

_TOKEN = re.compile(
    r"(?P<blank>[ \t\r\n\ufeff]+|//[^\n]*|/\*(?:[^*]|\*(?!/))*+\*/)|(?P<text>\"(?:[^\"\\\n]|\\.)*+\")"
    r"|(?P<sign>[{}\[\],:])"
    r"|(?P<word>[^\s{}\[\],:\"]+)"
)
_DEEPEST = 100


class NotJson(ValueError):
    """The text is not JSON, with what is allowed above."""


def json_document(text: str, limits: Limits) -> Node:
    """Read a document; raises NotJson, or LimitExceeded where it is too large or too deep."""
    stack: list[tuple[int, dict[str, Node] | list[Node], list[str]]] = []
    root, line, at, count = NOTHING, 1, 0, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise NotJson(f"line {line}: unexpected {text[at : at + 10]!r}")
        at, piece, kind = match.end(), match[0], match.lastgroup
        count += 1
        if count > min(limits.nodes, 4 * MOST_NODES) or len(stack) > _DEEPEST:
            raise LimitExceeded(f"JSON nested deeper than {_DEEPEST} or of too many nodes")
        node = NOTHING
        if piece in ("{", "["):
            stack.append((line, {} if piece == "{" else [], []))
        elif piece in ("}", "]"):
            if not stack or isinstance(stack[-1][1], dict) is (piece == "]"):
                raise NotJson(f"line {line}: unexpected {piece!r}")
            node = _closed(*stack.pop()[:2])
        elif kind in ("text", "word"):
            value = _unquoted(piece) if kind == "text" else piece
            if stack and isinstance(stack[-1][1], dict) and not stack[-1][2]:
                stack[-1][2].append(value)
            else:
                node = Node(line, value, kind="scalar")
        line += piece.count("\n")
        if node and stack:
            _take(stack[-1], node)
        elif node:
            root = node
    if stack:
        raise NotJson("it ends in the middle")
    return root


def _unquoted(token: str) -> str:
    try:
        text: str = json.loads(token)
    except ValueError:
        return token[1:-1]
    return text


def _closed(line: int, value: dict[str, Node] | list[Node]) -> Node:
    if isinstance(value, dict):
        return Node(line, fields=value, kind="mapping")
    return Node(line, items=tuple(value), kind="sequence")


def _take(into: tuple[int, dict[str, Node] | list[Node], list[str]], node: Node) -> None:
    _, value, key = into
    if isinstance(value, list):
        value.append(node)
    elif key:
        value[key.pop()] = node
