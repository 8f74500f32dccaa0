"""The texts that expressions of a Jinja template stand for, worked out without rendering: joins, formats, escapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import islice, product

from jinja2 import nodes

_DEPTH = 30
_VALUES = 8
_LONGEST = 4096
_WIDE = re.compile(r"%[^A-Za-z%]*\d{4,}|\{[^}]*\d{4,}|\*")
Texts = frozenset[str]
NONE: Texts = frozenset()


class Constants:
    """Folds expressions; a name stands for every constant text the template ever sets it to."""

    def __init__(self, tree: Sequence[nodes.Node]) -> None:
        self._set: dict[str, Texts] = {}
        self._lists: dict[str, nodes.Expr] = {}
        setting = [one for one in tree if isinstance(one, (nodes.Assign, nodes.AssignBlock, nodes.For))]
        for _ in range(2):  # a second look: names set from names set further down
            for one in setting:
                self._learn(one)

    def _learn(self, one: nodes.Assign | nodes.AssignBlock | nodes.For) -> None:
        if isinstance(one, nodes.Assign):
            self._assign(one.target, one.node)
        elif isinstance(one, nodes.AssignBlock):
            self._keep(_key(one.target), _data(one.body))
        elif isinstance(one.iter, (nodes.List, nodes.Tuple)) and isinstance(one.target, nodes.Name):
            for item in one.iter.items[:_VALUES]:
                self._keep(one.target.name, self.fold(item))

    def _assign(self, target: nodes.Node, value: nodes.Node) -> None:
        if isinstance(target, nodes.Tuple) and isinstance(value, (nodes.Tuple, nodes.List)):
            for one, item in zip(target.items, value.items, strict=False):
                self._assign(one, item)
        elif key := _key(target):
            self._keep(key, self.fold(value))
            if isinstance(value, (nodes.List, nodes.Tuple, nodes.Dict)):
                self._lists[key] = value
            if isinstance(value, nodes.Call) and isinstance(value.node, nodes.Name) and value.node.name == "namespace":
                for pair in value.kwargs:
                    self._keep(f"{key}.{pair.key}", self.fold(pair.value))

    def _keep(self, key: str, texts: Texts) -> None:
        if key and texts:
            self._set[key] = frozenset(islice(self._set.get(key, NONE) | texts, _VALUES))

    def fold(self, node: nodes.Node, depth: int = 0) -> Texts:
        """Return every text the expression may be as far as that is constant; none where it is not."""
        if depth > _DEPTH:
            return NONE
        depth += 1
        if isinstance(node, nodes.Const):
            return frozenset({str(node.value)[:_LONGEST]}) if isinstance(node.value, (str, int, float)) else NONE
        if isinstance(node, nodes.TemplateData):
            return frozenset({node.data[:_LONGEST]})
        if isinstance(node, (nodes.Name, nodes.Getattr)) and (key := _key(node)):
            return self._set.get(key, NONE)
        if isinstance(node, nodes.Concat):
            return self._joined([self.fold(one, depth) for one in node.nodes[:64]])
        if isinstance(node, nodes.Add):
            return self._joined([self.fold(node.left, depth), self.fold(node.right, depth)])
        if isinstance(node, nodes.Mod):
            return self._modulo(node, depth)
        if isinstance(node, nodes.CondExpr):
            other = self.fold(node.expr2, depth) if node.expr2 is not None else NONE
            return self.fold(node.expr1, depth) | other
        if isinstance(node, nodes.Or):
            return self.fold(node.left, depth) | self.fold(node.right, depth)
        if isinstance(node, nodes.Getitem):
            return self._item(node, depth)
        if isinstance(node, nodes.Filter) and node.node is not None:
            return self._filtered(node, node.node, depth)
        if isinstance(node, nodes.Call):
            return self._called(node, depth)
        return NONE

    def _joined(self, parts: Iterable[Texts], between: str = "") -> Texts:
        combinations = islice(product(*parts), _VALUES)
        return frozenset(between.join(parts)[:_LONGEST] for parts in combinations)

    def _modulo(self, node: nodes.Mod, depth: int) -> Texts:
        values = node.right.items if isinstance(node.right, nodes.Tuple) else [node.right]
        plain = [one.value if isinstance(one, nodes.Const) else next(iter(self.fold(one, depth)), "") for one in values]
        return frozenset(_formatted(text, tuple(plain)) for text in self.fold(node.left, depth))

    def _item(self, node: nodes.Getitem, depth: int) -> Texts:
        if isinstance(node.arg, nodes.Slice):
            bounds = [_number(one) for one in (node.arg.start, node.arg.stop, node.arg.step)]
            return frozenset(text[slice(*bounds)] for text in self.fold(node.node, depth) if bounds[2] != 0)
        held = self._lists.get(_key(node.node), node.node)
        if isinstance(held, (nodes.List, nodes.Tuple)):
            return frozenset().union(*(self.fold(one, depth) for one in held.items[:_VALUES]))
        if isinstance(held, nodes.Dict):
            return frozenset().union(*(self.fold(pair.value, depth) for pair in held.items[:_VALUES]))
        index = _number(node.arg)
        texts = self.fold(node.node, depth) if index is not None else NONE
        return frozenset(text[index] for text in texts if index is not None and -len(text) <= index < len(text))

    def _filtered(self, node: nodes.Filter, inner: nodes.Node, depth: int) -> Texts:
        held = self._lists.get(_key(inner), inner)
        between = next(iter(self.fold(node.args[0], depth)), "") if node.args else ""
        if node.name == "join" and isinstance(held, (nodes.List, nodes.Tuple)):
            return self._joined([self.fold(one, depth) for one in held.items[:64]], between)
        if node.name in ("join", "first", "last", "list", "string") and isinstance(held, nodes.Call):
            names = [pair.key for pair in held.kwargs]
            return frozenset({between.join(names)}) if names else NONE
        texts = self.fold(held, depth)
        if node.name == "format":
            values = tuple(next(iter(self.fold(one, depth)), "") for one in node.args)
            return frozenset(_formatted(text, values) for text in texts)
        if node.name == "replace" and len(node.args) >= 2:
            return self._replaced(texts, node.args, depth)
        return frozenset(_turned(node.name, text)[:_LONGEST] for text in texts)

    def _called(self, node: nodes.Call, depth: int) -> Texts:
        if not isinstance(node.node, nodes.Getattr):
            return NONE
        name, inner = node.node.attr, node.node.node
        texts = self.fold(inner, depth)
        if name == "join" and len(node.args) == 1 and isinstance(node.args[0], (nodes.List, nodes.Tuple)):
            parts = [self.fold(one, depth) for one in node.args[0].items[:64]]
            return frozenset().union(*(self._joined(parts, between) for between in texts))
        if name == "format":
            values = [_plain(one, next(iter(self.fold(one, depth)), "")) for one in node.args]
            return frozenset(_braced(text, values) for text in texts)
        if name == "replace" and len(node.args) >= 2:
            return self._replaced(texts, node.args, depth)
        return frozenset(_turned(name, text)[:_LONGEST] for text in texts)

    def _replaced(self, texts: Texts, arguments: list[nodes.Expr], depth: int) -> Texts:
        olds, news = self.fold(arguments[0], depth), self.fold(arguments[1], depth)
        made = (text.replace(old, new)[:_LONGEST] for text, old, new in product(texts, olds, news) if old)
        return frozenset(islice(made, _VALUES))


_TURNED: dict[str, Callable[[str], str]] = {
    "lower": str.lower,
    "upper": str.upper,
    "trim": str.strip,
    "strip": str.strip,
    "swapcase": str.swapcase,
    "reverse": lambda text: text[::-1],
}


def _turned(name: str, text: str) -> str:
    turn = _TURNED.get(name)
    return turn(text) if turn is not None else text


def _key(node: nodes.Node) -> str:
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.NSRef):
        return f"{node.name}.{node.attr}"
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        return f"{node.node.name}.{node.attr}"
    return ""


def _data(body: list[nodes.Node]) -> Texts:
    """Read a block that is text and nothing else."""
    texts = [one for output in body if isinstance(output, nodes.Output) for one in output.nodes]
    if texts and all(isinstance(one, nodes.TemplateData) for one in texts):
        return frozenset({"".join(one.data for one in texts if isinstance(one, nodes.TemplateData))[:_LONGEST]})
    return NONE


def _number(node: nodes.Node | None) -> int | None:
    if isinstance(node, nodes.Neg):
        value = _number(node.node)
        return None if value is None else -value
    return node.value if isinstance(node, nodes.Const) and isinstance(node.value, int) else None


def _plain(node: nodes.Node, folded: str) -> object:
    return node.value if isinstance(node, nodes.Const) else folded


def _formatted(text: str, values: tuple[object, ...]) -> str:
    """Format by "%", unless a width makes it a bomb."""
    if _WIDE.search(text):
        return text
    try:
        return (text % values)[:_LONGEST]
    except (TypeError, ValueError, OverflowError):
        return text


def _braced(text: str, values: list[object]) -> str:
    """Format by braces, but only plain fields: none that reaches an attribute or an item."""
    if (
        _WIDE.search(text)
        or re.search(r"\{[^}]*[.\[]", text)
        or not all(isinstance(v, (str, int, float)) for v in values)
    ):
        return text
    try:
        return text.format(*values)[:_LONGEST]
    except (IndexError, KeyError, ValueError, OverflowError):
        return text
