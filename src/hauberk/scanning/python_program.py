"""A Python program as rules read it: every call with its resolved name, literal arguments and who steers them.

One reading per source, kept as long as its syntax tree lives, shared by all code rules. Function bodies are read after
the module, so that they see its names; what arguments, results and attributes carry between functions of the file is
learned over a few readings.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

from hauberk.core.limits import DEFAULT_LIMITS, Limits
from hauberk.scanning.artifact import Artifact
from hauberk.scanning.python_building import element_of
from hauberk.scanning.python_expressions import DEPTH, Expressions, place_of
from hauberk.scanning.python_scope import Memory, Scope, Written, canonical
from hauberk.scanning.python_sources import parameter
from hauberk.scanning.python_values import NOTHING, UNKNOWN, CallSite, Returned, Value, join, tail_of
from hauberk.scanning.watch import Watch

READINGS = 4
"""Readings of one file at most: each lets what is known travel through one more function."""
LOOPS = 3
"""Nested loops whose bodies are read twice."""
_CHECKS = frozenset({"isdigit", "isidentifier", "isalnum", "isnumeric", "isdecimal", "fullmatch"})


class Program(NamedTuple):
    """What a file calls and returns. too_deep: some of it is nested too deep and was not read."""

    calls: tuple[CallSite, ...] = ()
    returns: tuple[Returned, ...] = ()
    classes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    too_deep: bool = False

    def named(self, *paths: str) -> Iterator[CallSite]:
        """Yield calls of exactly these paths, in the order of the file."""
        wanted = frozenset(paths)
        return (site for site in self.calls if site.path in wanted)

    def tails(self, *tails: str) -> Iterator[CallSite]:
        """Yield calls whose last name is one of these, whatever it belongs to."""
        wanted = frozenset(tails)
        return (site for site in self.calls if site.tail in wanted)


_EMPTY = Program()
_READ: WeakKeyDictionary[ast.Module, Program] = WeakKeyDictionary()


def program_of(artifact: Artifact) -> Program:
    """Return the artifact's program; an empty one where it holds none or the text does not parse."""
    tree = artifact.source.tree if artifact.source is not None else None
    if tree is None:
        return _EMPTY
    found = _READ.get(tree)
    return found if found is not None else read([tree])[0]


def read(trees: Sequence[ast.Module], limits: Limits = DEFAULT_LIMITS) -> list[Program]:
    """Read the cells of one notebook, or the one module of a file; raises LimitExceeded."""
    reader = _Reader(trees, Watch(limits))
    programs = reader.run()
    for tree, program in zip(trees, programs, strict=True):
        _READ[tree] = program
    return programs


class _Body(NamedTuple):
    """A function body to be read when the module has been. cell: the tree it stands in."""

    node: ast.FunctionDef | ast.AsyncFunctionDef
    scope: Scope
    cell: int


class _Reader:
    def __init__(self, trees: Sequence[ast.Module], watch: Watch) -> None:
        self._trees, self._watch = trees, watch
        self._memory = Memory()
        self._expressions = Expressions(self._memory, watch)
        self._sites: list[dict[int, CallSite]] = [{} for _ in trees]
        self._returns: list[list[Returned]] = []
        self._classes: dict[str, tuple[str, ...]] = {}
        self._queue: deque[_Body] = deque()
        self._cell = 0
        self._stopped = False
        self._loops = 0

    def run(self) -> list[Program]:
        for _ in range(READINGS):
            self._memory.begin()
            self._once()
            if not self._memory.stale:
                break
        deep = self._expressions.too_deep or self._stopped
        classes = tuple(self._classes.items())
        return [
            Program(tuple(sorted(sites.values(), key=_order)), tuple(returns), classes, deep)
            for sites, returns in zip(self._sites, self._returns, strict=True)
        ]

    def _once(self) -> None:
        self._returns = [[] for _ in self._trees]
        self._queue.clear()
        scope = Scope(None, "")
        for cell, tree in enumerate(self._trees):
            self._enter(cell)
            self._guarded_body(tree.body, scope)
        while self._queue:
            body = self._queue.popleft()
            self._enter(body.cell)
            self._guarded_body(body.node.body, body.scope)

    def _enter(self, cell: int) -> None:
        self._cell = cell
        self._expressions.sites = self._sites[cell]

    def _guarded_body(self, body: list[ast.stmt], scope: Scope) -> None:
        try:
            self._block(body, scope)
        except RecursionError:
            self._stopped = True
            self._expressions.depth = 0

    # --- statements; each returns whether the next one is reached

    def _block(self, body: Sequence[ast.stmt], scope: Scope) -> bool:
        if self._expressions.depth >= DEPTH:
            self._stopped = True
            return True
        self._expressions.depth += 1
        try:
            reached = True
            for statement in body:
                self._watch.tick()
                reached = self._statement(statement, scope) and reached
            return reached
        finally:
            self._expressions.depth -= 1

    def _statement(self, node: ast.stmt, scope: Scope) -> bool:
        value = self._expressions.value
        match node:
            case ast.Expr():
                value(node.value, scope)
                return not _exits(node.value)
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                self._assign(node, scope)
            case ast.Import() | ast.ImportFrom():
                _import(node, scope)
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
                        self._expressions.bind(item.optional_vars, entered, scope)
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
                _trust(_checked(node.test)[0], scope)
            case ast.Raise() | ast.Delete():
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        value(child, scope)
                return isinstance(node, ast.Delete)
            case ast.Continue() | ast.Break():
                return False
        return True

    def _assign(self, node: ast.Assign | ast.AnnAssign | ast.AugAssign, scope: Scope) -> None:
        result = self._expressions.value(node.value, scope)
        if isinstance(node, ast.AugAssign):
            old = self._expressions.value(node.target, scope)
            result = Value(taints=join(old.everything(), result.everything()), text=old.text + result.text)
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            self._expressions.bind(target, result, scope)

    def _return(self, node: ast.Return, scope: Scope) -> None:
        result = self._expressions.value(node.value, scope)
        if not scope.function:
            return
        kept = result._replace(constant=UNKNOWN, text="", path="" if result.path.startswith("?") else result.path)
        self._memory.add(f"return {scope.function}", kept)
        self._returns[self._cell].append(Returned(result, place_of(node), scope.decorators))

    def _if(self, node: ast.If, scope: Scope) -> bool:
        ends: list[Written | None] = []
        rest = scope.enter()
        branch: ast.If | None = node
        while branch is not None:  # a long elif chain nests to the right: read it without recursion
            self._expressions.value(branch.test, scope)
            good, bad = _checked(branch.test)
            refused = scope.written()
            self._watch.tick(len(refused))
            outer = scope.enter()
            _trust(good, scope)
            reached = self._block(branch.body, scope)
            written = scope.leave(outer)
            ends.append({**refused, **written} if reached else None)
            _trust(bad, scope)
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
                self._expressions.value(node.test, scope)
            else:
                items = self._expressions.value(node.iter, scope)
                self._expressions.bind(node.target, element_of(items), scope)
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
        subject = self._expressions.value(node.subject, scope)
        ends: list[Written | None] = [{}]
        for case in node.cases:
            outer = scope.enter()
            for pattern in ast.walk(case.pattern):
                name = getattr(pattern, "name", None)
                if isinstance(name, str):
                    scope.put(name, Value(path=f"?{name}", taints=subject.everything()))
            self._expressions.value(case.guard, scope)
            reached = self._block(case.body, scope)
            written = scope.leave(outer)
            ends.append(written if reached else None)
        scope.meet(*ends)

    # --- definitions

    def _define(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
        prefix = f"{scope.holder}." if scope.holder else f"{scope.function}." if scope.function else ":"
        path = f"{prefix}{node.name}"
        decorators = tuple(self._expressions.value(item, scope).path for item in node.decorator_list)
        spec = node.args
        arguments = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]
        for default in (*spec.defaults, *spec.kw_defaults):
            self._expressions.value(default, scope)
        method = bool(scope.holder) and "staticmethod" not in decorators
        names = tuple(argument.arg for argument in arguments)
        self._expressions.functions[path] = names[1:] if method else names
        body = Scope(scope.parent if scope.holder else scope, path, decorators=decorators)
        for position, argument in enumerate(arguments):
            body.names[argument.arg] = self._parameter(argument, path, decorators, scope)
            if method and position == 0:
                body.names[argument.arg] = Value(path=scope.holder)
        for extra in (spec.vararg, spec.kwarg):
            if extra is not None:
                body.names[extra.arg] = self._parameter(extra, path, decorators, scope)
        self._queue.append(_Body(node, body, self._cell))
        scope.put(node.name, Value(path=path))

    def _parameter(self, argument: ast.arg, path: str, decorators: tuple[str, ...], scope: Scope) -> Value:
        known = self._memory.look(f"param {path} {argument.arg}")
        filled = parameter(argument.arg, decorators, path, argument.lineno)
        hint = self._expressions.value(argument.annotation, scope)
        if path.endswith(("._run", "._arun")) and self._is_tool(path):
            filled = parameter(argument.arg, ("tool",), path, argument.lineno)
        given = hint.path if "." in hint.path and not hint.path.startswith("?") else ""
        typed = f"{given}()" if given else f"?{argument.arg}"
        return Value(path=known.path or typed, taints=join((filled,) if filled else (), known.taints))

    def _is_tool(self, path: str) -> bool:
        bases = self._classes.get(path.rsplit("().", 1)[0], ())
        return any(tail_of(base) in ("BaseTool", "Tool", "StructuredTool") for base in bases)

    def _class(self, node: ast.ClassDef, scope: Scope) -> None:
        path = f"{scope.function}.{node.name}" if scope.function else f":{node.name}"
        self._classes[path] = tuple(self._expressions.value(base, scope).path for base in node.bases)
        self._expressions.classes.add(path)
        for item in (*node.decorator_list, *(keyword.value for keyword in node.keywords)):
            self._expressions.value(item, scope)
        scope.put(node.name, Value(path=path))
        inner = Scope(scope, scope.function, holder=f"{path}()")
        self._block(node.body, inner)
        for name, value in inner.names.items():
            self._memory.add(f"attribute {path}().{name}", value)


def _import(node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
    for alias in node.names:
        if isinstance(node, ast.Import):
            bound = alias.asname or alias.name.split(".")[0]
            scope.put(bound, Value(path=canonical(alias.name if alias.asname else bound)))
            continue
        module = "." * node.level + (node.module or "")
        if alias.name == "*":
            scope.stars.append(module)
        else:
            dotted = f"{module}.{alias.name}" if not module.endswith(".") else f"{module}{alias.name}"
            scope.put(alias.asname or alias.name, Value(path=canonical(dotted)))


def _checked(test: ast.expr, depth: int = 0) -> tuple[set[str], set[str]]:
    """Return the names that are known to be allowed where the test holds, and where it does not."""
    good: set[str] = set()
    bad: set[str] = set()
    if depth > 20:
        return good, bad
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            bad, good = _checked(inner, depth + 1)
        case ast.BoolOp(op=operator, values=values):
            halves = [_checked(value, depth + 1) for value in values]
            if isinstance(operator, ast.And):
                good = set().union(*(half[0] for half in halves))
            else:
                bad = set().union(*(half[1] for half in halves))
        case ast.Compare(left=left, ops=[ast.In() | ast.Eq()], comparators=[right]) if not isinstance(
            left, ast.Constant
        ):
            good = _roots(left) if isinstance(test.ops[0], ast.In) or isinstance(right, ast.Constant) else set()
        case ast.Compare(left=left, ops=[ast.NotIn() | ast.NotEq()], comparators=[right]):
            if isinstance(test.ops[0], ast.NotIn) or isinstance(right, ast.Constant):
                bad = _roots(left)
        case ast.Call(func=ast.Attribute(attr=name, value=holder), args=arguments) if name in _CHECKS:
            good = set().union(*(_roots(item) for item in arguments)) if arguments else _roots(holder)
    return good, bad


def _roots(node: ast.expr) -> set[str]:
    """Return the variable that an expression begins with."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        if isinstance(node, ast.Call) and node.args:
            node = node.args[0]
        else:
            node = node.func if isinstance(node, ast.Call) else node.value
    return {node.id} if isinstance(node, ast.Name) else set()


def _trust(names: set[str], scope: Scope) -> None:
    for name in names:
        scope.trust(name)


def _exits(node: ast.expr) -> bool:
    """Tell whether a statement ends the program: exit(), sys.exit(), os._exit(), abort()."""
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    return name in ("exit", "quit", "_exit", "abort")


def _order(site: CallSite) -> tuple[int, int]:
    return (site.place.line or 0, site.place.column or 0)
