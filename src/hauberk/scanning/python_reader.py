"""The reading of a Python program, statement by statement, with nothing executed.

Function bodies are read after the module, so that they see its names; what arguments, results and attributes carry
between functions of the file is learned over a few readings.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from hauberk.scanning.python_building import element_of
from hauberk.scanning.python_conditions import Proof, ends_program, part_of, proven
from hauberk.scanning.python_expressions import DEPTH, Expressions, place_of
from hauberk.scanning.python_scope import Memory, Scope, Written, canonical
from hauberk.scanning.python_sources import parameter
from hauberk.scanning.python_values import (
    NOTHING,
    NOTHING_KNOWN,
    UNKNOWN,
    CallSite,
    Defined,
    Known,
    Program,
    Returned,
    Value,
    join,
    tail_of,
)
from hauberk.scanning.watch import Watch

READINGS = 4
"""Readings of one file at most: each lets what is known travel through one more function."""
LOOPS = 3
"""Nested loops whose bodies are read twice."""
_CHECKED_TYPES = frozenset(
    ["int", "float", "bool", "uuid.UUID", "datetime.date", "datetime.datetime", "decimal.Decimal"]
)


class _Body(NamedTuple):
    """A function body to be read when the module has been. cell: the tree it stands in."""

    node: ast.FunctionDef | ast.AsyncFunctionDef
    scope: Scope
    cell: int


class Reader:
    """The reading of one module, or of the cells of one notebook, which share their names.

    expressions, memory, scope: what is known once it has run.
    """

    def __init__(self, trees: Sequence[ast.Module], watch: Watch, known: Known = NOTHING_KNOWN) -> None:
        self._trees, self._watch = trees, watch
        self.memory = Memory()
        for key, value in known.given:
            self.memory.add(key, value)
        self.expressions = Expressions(self.memory, watch, known)
        self.scope = Scope(None, "")
        self._functions: list[dict[str, Defined]] = [{} for _ in trees]
        self._sites: list[dict[int, CallSite]] = [{} for _ in trees]
        self._returns: list[list[Returned]] = []
        self._classes: dict[str, tuple[str, ...]] = {}
        self._queue: deque[_Body] = deque()
        self._cell = 0
        self._stopped = False
        self._loops = 0

    def run(self) -> list[Program]:
        """Read until nothing new is learned; raises LimitExceeded."""
        for _ in range(READINGS):
            self.memory.begin()
            self._once()
            if not self.memory.stale:
                break
        deep = self.expressions.too_deep or self._stopped
        classes, digested = tuple(self._classes.items()), frozenset(self.expressions.digested)
        rows = zip(self._sites, self._returns, self._functions, strict=True)
        return [
            Program(
                tuple(sorted(sites.values(), key=_order)),
                tuple(returns),
                classes,
                tuple(functions.values()),
                digested,
                deep,
            )
            for sites, returns, functions in rows
        ]

    def _once(self) -> None:
        self._returns = [[] for _ in self._trees]
        self._queue.clear()
        scope = self.scope = Scope(None, "")
        for cell, tree in enumerate(self._trees):
            self._enter(cell)
            self._guarded_body(tree.body, scope)
        while self._queue:
            body = self._queue.popleft()
            self._enter(body.cell)
            self._guarded_body(body.node.body, body.scope)

    def _enter(self, cell: int) -> None:
        self._cell = cell
        self.expressions.sites = self._sites[cell]

    def _guarded_body(self, body: list[ast.stmt], scope: Scope) -> None:
        try:
            self._block(body, scope)
        except RecursionError:
            self._stopped = True
            self.expressions.depth = 0

    # --- statements; each returns whether the next one is reached

    def _block(self, body: Sequence[ast.stmt], scope: Scope) -> bool:
        if self.expressions.depth >= DEPTH:
            self._stopped = True
            return True
        self.expressions.depth += 1
        try:
            reached = True
            for statement in body:
                self._watch.tick()
                reached = self._statement(statement, scope) and reached
            return reached
        finally:
            self.expressions.depth -= 1

    def _statement(self, node: ast.stmt, scope: Scope) -> bool:
        value = self.expressions.value
        match node:
            case ast.Expr():
                value(node.value, scope)
                if isinstance(node.value, ast.Call):
                    _trust(proven(node.value).holds, scope)
                return not ends_program(node.value)
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                self._assign(node, scope)
            case ast.Import() | ast.ImportFrom():
                self._import(node, scope)
            case ast.Return():
                self._return(node, scope)
                return False
            case ast.If():
                return self._if(node, scope)
            case ast.For() | ast.AsyncFor() | ast.While():
                self._loop(node, scope)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    entered = value(item.context_expr, scope)
                    if item.optional_vars is not None:
                        self.expressions.bind(item.optional_vars, entered, scope)
                return self._block(node.body, scope)
            case ast.Try() | ast.TryStar():
                return self._try(node, scope)
            case ast.Match():
                self._match(node, scope)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._define(node, scope)
            case ast.ClassDef():
                self._class(node, scope)
            case ast.Assert():
                value(node.test, scope)
                _trust(proven(node.test).holds, scope)
            case ast.Raise() | ast.Delete():
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        value(child, scope)
                return isinstance(node, ast.Delete)
            case ast.Continue() | ast.Break():
                return False
        return True

    def _assign(self, node: ast.Assign | ast.AnnAssign | ast.AugAssign, scope: Scope) -> None:
        result = self.expressions.value(node.value, scope)
        if isinstance(node, ast.AugAssign):
            old = self.expressions.value(node.target, scope)
            result = Value(taints=join(old.everything(), result.everything()), text=old.text + result.text)
        whole = part_of(node.value) if node.value is not None else ""
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            self.expressions.bind(target, result, scope)
            if whole and isinstance(target, ast.Name):
                scope.parts[target.id] = whole

    def _return(self, node: ast.Return, scope: Scope) -> None:
        result = self.expressions.value(node.value, scope)
        if not scope.function:
            return
        kept = result._replace(constant=UNKNOWN, text="", path="" if result.path.startswith("?") else result.path)
        self.memory.add(f"return {scope.function}", kept)
        self._returns[self._cell].append(Returned(result, place_of(node), scope.decorators))

    def _if(self, node: ast.If, scope: Scope) -> bool:
        ends: list[Written | None] = []
        rest = scope.enter()
        branch: ast.If | None = node
        while branch is not None:  # a long elif chain nests to the right: read it without recursion
            self.expressions.value(branch.test, scope)
            test = proven(branch.test)
            refused = scope.written()
            self._watch.tick(len(refused))
            outer = scope.enter()
            _trust(test.holds, scope)
            reached = self._block(branch.body, scope)
            written = scope.leave(outer)
            ends.append({**refused, **written} if reached else None)
            _trust(test.fails, scope)
            orelse = branch.orelse
            branch = orelse[0] if len(orelse) == 1 and isinstance(orelse[0], ast.If) else None
        reached = self._block(orelse, scope)
        written = scope.leave(rest)
        ends.append(written if reached else None)
        self._watch.tick(len(ends) * sum(len(names) for names in ends if names is not None) // 64)
        scope.meet(*ends)
        return any(names is not None for names in ends)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While, scope: Scope) -> None:
        self._loops += 1
        for _ in range(2 if self._loops <= LOOPS else 1):  # the second time with what the first one left behind
            outer = scope.enter()
            if isinstance(node, ast.While):
                self.expressions.value(node.test, scope)
            else:
                items = self.expressions.value(node.iter, scope)
                self.expressions.bind(node.target, element_of(items), scope)
            self._block(node.body, scope)
            written = scope.leave(outer)
            grown = any(value.taints != scope.names.get(name, NOTHING).taints for name, value in written.items())
            scope.meet(written, {})
            if not grown:
                break
        self._loops -= 1
        self._block(node.orelse, scope)

    def _try(self, node: ast.Try | ast.TryStar, scope: Scope) -> bool:
        outer = scope.enter()
        reached = self._block(node.body, scope)
        reached = self._block(node.orelse, scope) and reached if node.orelse else reached
        body = scope.leave(outer)
        ends: list[Written | None] = [body if reached else None]
        for handler in node.handlers:
            outer = scope.enter()
            scope.meet({}, body)
            reached = self._block(handler.body, scope)
            written = scope.leave(outer)
            ends.append(written if reached else None)
        scope.meet(*ends)
        finished = self._block(node.finalbody, scope)
        return finished and any(names is not None for names in ends)

    def _match(self, node: ast.Match, scope: Scope) -> None:
        subject = self.expressions.value(node.subject, scope)
        ends: list[Written | None] = [{}]
        for case in node.cases:
            outer = scope.enter()
            for pattern in ast.walk(case.pattern):
                name = getattr(pattern, "name", None)
                if isinstance(name, str):
                    scope.put(name, Value(path=f"?{name}", taints=subject.everything()))
            self.expressions.value(case.guard, scope)
            reached = self._block(case.body, scope)
            written = scope.leave(outer)
            ends.append(written if reached else None)
        scope.meet(*ends)

    # --- definitions

    def _define(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
        prefix = f"{scope.holder}." if scope.holder else f"{scope.function}." if scope.function else ":"
        path = f"{prefix}{node.name}"
        decorators = tuple(self.expressions.value(item, scope).path for item in node.decorator_list)
        spec = node.args
        arguments = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]
        defaults = self._defaults(spec, scope)
        method = bool(scope.holder) and "staticmethod" not in decorators
        names = tuple(argument.arg for argument in arguments)
        self.expressions.functions[path] = names[1:] if method else names
        body = Scope(scope.parent if scope.holder else scope, path, decorators=decorators)
        for position, argument in enumerate(arguments):
            default = defaults.get(argument.arg, NOTHING)
            body.names[argument.arg] = self._parameter(argument, path, decorators, scope, default)
            if method and position == 0:
                body.names[argument.arg] = Value(path=scope.holder)
        for extra in (spec.vararg, spec.kwarg):
            if extra is not None:
                body.names[extra.arg] = self._parameter(extra, path, decorators, scope)
        hints = tuple((name, body.names[name].path) for name in names)
        self._functions[self._cell][path] = Defined(path, node, hints, decorators)
        self._queue.append(_Body(node, body, self._cell))
        scope.put(node.name, Value(path=path))

    def _defaults(self, spec: ast.arguments, scope: Scope) -> dict[str, Value]:
        positional = [*spec.posonlyargs, *spec.args]
        rows = [*zip(reversed(positional), reversed(spec.defaults), strict=False)]
        rows += [(name, default) for name, default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True) if default]
        return {argument.arg: self.expressions.value(default, scope) for argument, default in rows}

    def _parameter(
        self, argument: ast.arg, path: str, decorators: tuple[str, ...], scope: Scope, default: Value = NOTHING
    ) -> Value:
        known = self.memory.look(f"param {path} {argument.arg}")
        filled = parameter(argument.arg, decorators, path, argument.lineno)
        hint = self.expressions.value(argument.annotation, scope)
        if path.endswith(("._run", "._arun")) and self._is_tool(path):
            filled = parameter(argument.arg, ("tool",), path, argument.lineno)
        if hint.path in _CHECKED_TYPES or tail_of(default.path) in ("Depends", "Security"):
            filled = None
        given = hint.path if "." in hint.path and not hint.path.startswith("?") else ""
        typed = f"{given}()" if given else f"?{argument.arg}"
        return Value(path=known.path or typed, taints=join((filled,) if filled else (), known.taints))

    def _is_tool(self, path: str) -> bool:
        bases = self._classes.get(path.rsplit("().", 1)[0], ())
        return any(tail_of(base) in ("BaseTool", "Tool", "StructuredTool") for base in bases)

    def _import(self, node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
        for alias in node.names:
            if isinstance(node, ast.Import):
                bound = alias.asname or alias.name.split(".")[0]
                scope.put(bound, Value(path=canonical(alias.name if alias.asname else bound)))
                continue
            module = "." * node.level + (node.module or "")
            if alias.name == "*":
                scope.stars.append(module)
                continue
            dotted = f"{module}.{alias.name}" if not module.endswith(".") else f"{module}{alias.name}"
            known = self.expressions.names.get(dotted)
            scope.put(alias.asname or alias.name, known or Value(path=canonical(dotted)))

    def _class(self, node: ast.ClassDef, scope: Scope) -> None:
        path = f"{scope.function}.{node.name}" if scope.function else f":{node.name}"
        self._classes[path] = tuple(self.expressions.value(base, scope).path for base in node.bases)
        self.expressions.classes.add(path)
        targets = (item.target for item in node.body if isinstance(item, ast.AnnAssign))
        self.expressions.fields[path] = tuple(target.id for target in targets if isinstance(target, ast.Name))
        for item in (*node.decorator_list, *(keyword.value for keyword in node.keywords)):
            self.expressions.value(item, scope)
        scope.put(node.name, Value(path=path))
        inner = Scope(scope, scope.function, holder=f"{path}()")
        self._block(node.body, inner)
        for name, value in inner.names.items():
            self.memory.add(f"attribute {path}().{name}", value)


def _trust(proof: Proof, scope: Scope) -> None:
    for name in proof.allowed:
        scope.trust(name)
    for name in proof.judged - proof.allowed:
        scope.doubt(name)


def _order(site: CallSite) -> tuple[int, int]:
    return (site.place.line or 0, site.place.column or 0)
