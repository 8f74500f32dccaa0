"""What a test in a Python program proves about a name: that it is one of a list, of a fixed shape, inside a folder."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

_SHAPES = frozenset(
    ["isdigit", "isidentifier", "isalnum", "isnumeric", "isdecimal", "isalpha", "fullmatch", "match", "isinstance"]
)
_INSIDE = frozenset(["is_relative_to", "startswith", "relative_to"])
_SQL = re.compile(r"\s*(select|with|show|explain)\b", re.I)
_FOLDERS = frozenset(["commonpath", "commonprefix"])
PROMISES = re.compile(
    r"_?((is|are|was|assert|ensure|require)_)?(not_)?"
    r"(valid|sanit|saniti[sz]|escap|allow|whitelist|verif|vet|restrict|safe|clean|check|quote|approv|confirm|permitted)",
    re.I,
)
"""Names of functions that promise a check or a cleaning; whether they keep the promise is not judged."""
_DEPTH = 20


class Proof(NamedTuple):
    """Names by what is known of them: allowed (held against a list or a shape), judged (a function promises it)."""

    allowed: frozenset[str] = frozenset()
    judged: frozenset[str] = frozenset()

    def union(self, other: Proof) -> Proof:
        """Return what either of the two proves."""
        return Proof(self.allowed | other.allowed, self.judged | other.judged)


NO_PROOF = Proof()


class Test(NamedTuple):
    """What a test proves where it holds, and where it does not."""

    holds: Proof = NO_PROOF
    fails: Proof = NO_PROOF


_NOTHING = Test()


def proven(test: ast.expr, depth: int = 0) -> Test:
    """Return what is known of names where the test holds, and where it does not."""
    if depth > _DEPTH:
        return _NOTHING
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            found = proven(inner, depth + 1)
            return Test(found.fails, found.holds)
        case ast.BoolOp(op=operator, values=values):
            return _joined(operator, [proven(value, depth + 1) for value in values])
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            return _compared(left, operator, right)
        case ast.Call():
            return _asked(test)
        case ast.BinOp(op=ast.Sub(), left=ast.Call(func=ast.Name(id="set"), args=[inner])):
            return Test(fails=Proof(roots(inner)))
        case ast.NamedExpr(value=ast.Call() as inner):
            return _asked(inner)
    return _NOTHING


def _joined(operator: ast.boolop, halves: list[Test]) -> Test:
    proof = NO_PROOF
    for half in halves:
        proof = proof.union(half.holds if isinstance(operator, ast.And) else half.fails)
    return Test(holds=proof) if isinstance(operator, ast.And) else Test(fails=proof)


def _compared(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> Test:
    if isinstance(left, ast.Constant) or (isinstance(left, ast.Call) and _name(left.func) == "len"):
        return _NOTHING
    if isinstance(right, ast.Attribute) and right.attr == "parents":  # FOLDER in path.parents
        left = right
    exact = isinstance(right, ast.Constant) or (isinstance(left, ast.Call) and _name(left.func) in _FOLDERS)
    proof = Proof(_all_roots(left))
    if isinstance(operator, ast.In) or (isinstance(operator, ast.Eq | ast.LtE) and (exact or _is_set(left))):
        return Test(holds=proof)
    if isinstance(operator, ast.NotIn) or (isinstance(operator, ast.NotEq) and exact):
        return Test(fails=proof)
    return _NOTHING


def _asked(call: ast.Call) -> Test:
    """Read x.isdigit(), re.fullmatch(p, x), path.is_relative_to(root), all(c in LIST for c in x), is_allowed(x)."""
    name = _name(call.func)
    holder = call.func.value if isinstance(call.func, ast.Attribute) else None
    if name in _INSIDE and holder is not None:
        first = call.args[0] if call.args else None
        if isinstance(first, ast.Constant) and _SQL.match(str(first.value)):
            return _NOTHING
        return Test(holds=Proof(roots(holder)))
    if name in _SHAPES:
        named = call.args[-1:] if name != "isinstance" else call.args[:1]
        proof = frozenset[str]().union(*(roots(item) for item in named)) if named else roots(holder or call.func)
        return Test(holds=Proof(proof))
    if name in ("all", "any") and len(call.args) == 1 and isinstance(call.args[0], ast.GeneratorExp | ast.ListComp):
        return _each(name, call.args[0])
    if PROMISES.match(name):
        arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
        return Test(holds=Proof(judged=frozenset[str]().union(*(roots(item) for item in arguments))))
    return _NOTHING


def _each(name: str, over: ast.GeneratorExp | ast.ListComp) -> Test:
    inner = proven(over.elt, _DEPTH - 1)
    items = roots(over.generators[0].iter)
    if name == "all" and inner.holds != NO_PROOF:
        return Test(holds=Proof(items))
    return Test(fails=Proof(items)) if name == "any" and inner.fails != NO_PROOF else _NOTHING


def _is_set(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and _name(node.func) == "set"


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def _all_roots(node: ast.expr) -> frozenset[str]:
    """Return the variable of an expression; of commonpath([a, b]) those of its list."""
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.List | ast.Tuple):
        return frozenset[str]().union(*(roots(item) for item in node.args[0].elts))
    return roots(node)


def roots(node: ast.expr) -> frozenset[str]:
    """Return the variable that an expression begins with."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        if isinstance(node, ast.Call) and node.args:
            node = node.args[0]
        else:
            node = node.func if isinstance(node, ast.Call) else node.value
    return frozenset((node.id,)) if isinstance(node, ast.Name) else frozenset()


_PARTS = frozenset(
    ["urlparse", "urlsplit", "hostname", "netloc", "scheme", "resolve", "realpath", "abspath", "normpath", "lower",
     "strip", "gethostbyname", "Path", "set", "ip_address", "host"]
)  # fmt: skip


def part_of(node: ast.expr) -> str:
    """Return the variable of which the expression is a decisive part (its host, its resolved path), else ""."""
    seen = False
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        seen = seen or _name(node.func if isinstance(node, ast.Call) else node) in _PARTS
        if isinstance(node, ast.Call) and node.args:
            node = node.args[0]
        else:
            node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if seen and isinstance(node, ast.Name) else ""


def ends_program(node: ast.expr) -> bool:
    """Tell whether a statement ends the program: exit(), sys.exit(), os._exit(), abort()."""
    return isinstance(node, ast.Call) and _name(node.func) in ("exit", "quit", "_exit", "abort")
