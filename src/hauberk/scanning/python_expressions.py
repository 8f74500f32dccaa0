"""What the expressions of a Python program stand for, and every call in them, with nothing executed."""

from __future__ import annotations

import ast
from collections.abc import Callable

from hauberk.scanning.artifact import Place
from hauberk.scanning.python_building import (
    all_of,
    built,
    element_of,
    from_files,
    from_table,
    handed_over,
    holding,
    piped,
    site_logs,
    text_of,
    words_of,
)
from hauberk.scanning.python_sanitizers import is_digest, is_digest_check, passed
from hauberk.scanning.python_scope import Memory, Scope, canonical
from hauberk.scanning.python_sources import answer, attribute, handed, shown
from hauberk.scanning.python_values import (
    ENTRIES,
    NOTHING,
    NOTHING_KNOWN,
    TEXT_LIMIT,
    UNKNOWN,
    CallSite,
    Known,
    Taint,
    Value,
    join,
    longer,
    merge,
    widen,
)
from hauberk.scanning.watch import Watch

DEPTH = 130
"""Levels of nesting that are followed; the interpreter's own stack allows a few times as many."""
_RUNNERS = ("subprocess.", "os.system", "os.popen", "runpy.", "asyncio.create_subprocess", "importlib.import_module")
_TABLES = ("globals()", "locals()", "vars()")


def place_of(node: ast.expr | ast.stmt) -> Place:
    """Return where a node stands."""
    return Place(line=node.lineno, column=node.col_offset + 1, end_line=node.end_lineno)


class Expressions:
    """Evaluate expressions in a scope; calls are kept by node, so that a later reading replaces an earlier one.

    functions: parameter names of the functions of this file by path; classes: paths of the classes of this file;
    fields: the annotated names in them, which a data class takes as arguments.
    sent: what is handed to functions of other modules, by dotted name and parameter. digested: the functions in which a
    digest or signature is compared. files: what steers the files that were written, by name.
    """

    def __init__(self, memory: Memory, watch: Watch, known: Known = NOTHING_KNOWN) -> None:
        self.memory, self.watch = memory, watch
        self.names = dict(known.names)
        self.abroad = {path: (parameters, value) for path, parameters, value in known.functions}
        self.sent: dict[tuple[str, str], Value] = {}
        self.digested: set[str] = set()
        self.files: dict[str, tuple[Taint, ...]] = {}
        self.sites: dict[int, CallSite] = {}
        self.functions: dict[str, tuple[str, ...]] = {}
        self.classes: set[str] = set()
        self.fields: dict[str, tuple[str, ...]] = {}
        self.depth = 0
        self.too_deep = False
        self._handlers: dict[type, Callable[[ast.expr, Scope], Value]] = {
            ast.Constant: self._constant, ast.Name: self._name, ast.Attribute: self._attribute, ast.Call: self._call,
            ast.Subscript: self._subscript, ast.JoinedStr: self._joined, ast.BinOp: self._binary, ast.Dict: self._dict,
            ast.List: self._sequence, ast.Tuple: self._sequence, ast.Set: self._sequence, ast.IfExp: self._choice,
            ast.BoolOp: self._either, ast.NamedExpr: self._named, ast.Lambda: self._lambda,
            ast.ListComp: self._comprehension, ast.SetComp: self._comprehension, ast.DictComp: self._comprehension,
            ast.GeneratorExp: self._comprehension, ast.Compare: self._compare, ast.UnaryOp: self._unary,
        }  # fmt: skip

    def value(self, node: ast.expr | None, scope: Scope) -> Value:
        """Evaluate an expression; what is nested too deep is NOTHING and noted in `too_deep`."""
        if node is None:
            return NOTHING
        self.watch.tick()
        if self.depth >= DEPTH:
            self.too_deep = True
            return NOTHING
        self.depth += 1
        try:
            return self._handlers.get(type(node), self._other)(node, scope)
        finally:
            self.depth -= 1

    def bind(self, target: ast.expr, value: Value, scope: Scope) -> None:
        """Assign to a name, an attribute, an element or several at once."""
        if isinstance(target, ast.Name):
            path = f"?{target.id}" if not value.path or value.path.startswith("?") else value.path
            taints = value.taints
            if any(taint.line != target.lineno for taint in taints):
                taints = widen(taints, f"line {target.lineno}: into {target.id}")
            scope.put(target.id, value._replace(path=path, taints=taints))
        elif isinstance(target, ast.Tuple | ast.List):
            parts = [item for _, item in value.entries]
            exact = len(parts) == len(target.elts)
            for index, item in enumerate(target.elts):
                self.bind(item, parts[index] if exact else element_of(value), scope)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, element_of(value), scope)
        elif isinstance(target, ast.Attribute):
            base = self.value(target.value, scope)
            self.memory.add(f"attribute {base.path}.{target.attr}", value)
            self._stored(target, f"{base.path}.{target.attr}", value, scope)
        elif isinstance(target, ast.Subscript):
            self._store(target, value, scope)

    def _store(self, target: ast.Subscript, value: Value, scope: Scope) -> None:
        key = self.value(target.slice, scope)
        name = key.constant if isinstance(key.constant, str) else ""
        if name:
            base = self.value(target.value, scope)
            self._stored(target, longer(base.path, f"[{name[:40]}]"), value, scope)
        if isinstance(target.value, ast.Name):
            held = scope.lookup(target.value.id)
            entries = tuple(row for row in held.entries if row[0] != name or not name)
            inside = join(held.inside, value.everything())
            scope.put(target.value.id, held._replace(entries=(*entries, (name, value))[-ENTRIES:], inside=inside))

    def _stored(self, target: ast.expr, path: str, value: Value, scope: Scope) -> None:
        """Keep what is stored into attributes and keys as a call of "path =": settings are made this way too."""
        self.sites[id(target)] = CallSite(
            path=f"{path} =", place=place_of(target), arguments=(value,), function=scope.function
        )

    # --- leaves and names

    def _constant(self, node: ast.expr, _scope: Scope) -> Value:
        assert isinstance(node, ast.Constant)
        constant = node.value
        if isinstance(constant, str):
            return Value(constant=constant, text=constant[:TEXT_LIMIT])
        return Value(constant=UNKNOWN if constant is ... else constant)

    def _name(self, node: ast.expr, scope: Scope) -> Value:
        assert isinstance(node, ast.Name)
        return scope.lookup(node.id)

    def _attribute(self, node: ast.expr, scope: Scope) -> Value:
        assert isinstance(node, ast.Attribute)
        base = self.value(node.value, scope)
        path = canonical(longer(base.path, f".{node.attr}")) if base.path else f"?.{node.attr}"
        if isinstance(base.constant, str):
            path = f"str.{node.attr}"
        known = self.memory.look(f"attribute {path}") if path.startswith(":") else self.names.get(path, NOTHING)
        sent = attribute(path, node.lineno)
        taints = join(base.taints, known.taints, (sent,) if sent else ())
        if known is not NOTHING:
            return known._replace(path=known.path or path, taints=taints)
        return Value(path=path, taints=taints)

    def _subscript(self, node: ast.expr, scope: Scope) -> Value:
        assert isinstance(node, ast.Subscript)
        base, key = self.value(node.value, scope), self.value(node.slice, scope)
        if isinstance(key.constant, str):
            held = base.get(key.constant) or from_table(base.path, key.constant, node.lineno, scope)
            if held is not None:
                return held
            return Value(path=longer(base.path, f"[{key.constant[:40]}]"), taints=base.everything())
        if base.path in _TABLES:
            self.sites[id(node)] = CallSite(f"{base.path} []", place_of(node), (key,), function=scope.function)
        return element_of(base)

    # --- text and containers

    def _joined(self, node: ast.expr, scope: Scope) -> Value:
        assert isinstance(node, ast.JoinedStr)
        parts = []
        for part in node.values:
            parts.append(self.value(part.value if isinstance(part, ast.FormattedValue) else part, scope))
        return text_of(parts)

    def _binary(self, node: ast.expr, scope: Scope) -> Value:
        operands: list[ast.expr] = []
        operators: list[ast.operator] = []
        while isinstance(node, ast.BinOp):  # a long sum leans left: read it without recursion
            operands.append(node.right)
            operators.append(node.op)
            node = node.left
        values = [self.value(item, scope) for item in (node, *reversed(operands))]
        if all(isinstance(operator, ast.BitOr) for operator in operators):
            return piped(values)
        if isinstance(operators[-1], ast.Mod) and len(values) == 2:
            first, second = values
            return text_of([first, second])._replace(text=first.text)
        joined = text_of(values)
        if isinstance(operators[-1], ast.Div) and values[0].path.startswith("pathlib."):
            return joined._replace(
                path=values[0].path, text="/".join(value.text or "{}" for value in values)[:TEXT_LIMIT]
            )
        return joined

    def _dict(self, node: ast.expr, scope: Scope) -> Value:
        assert isinstance(node, ast.Dict)
        rows: list[tuple[str, Value]] = []
        for key, item in zip(node.keys, node.values, strict=True):
            value = self.value(item, scope)
            if key is None:
                rows.extend(value.entries)
                continue
            name = self.value(key, scope).constant
            rows.append((name if isinstance(name, str) else "", value))
        return holding(rows)

    def _sequence(self, node: ast.expr, scope: Scope) -> Value:
        assert isinstance(node, ast.List | ast.Tuple | ast.Set)
        return holding([("", self.value(item, scope)) for item in node.elts])

    # --- control inside expressions

    def _choice(self, node: ast.expr, scope: Scope) -> Value:
        assert isinstance(node, ast.IfExp)
        self.value(node.test, scope)
        return merge(self.value(node.body, scope), self.value(node.orelse, scope))

    def _either(self, node: ast.expr, scope: Scope) -> Value:
        assert isinstance(node, ast.BoolOp)
        values = [self.value(item, scope) for item in node.values]
        result = values[0]
        for value in values[1:]:
            result = merge(result, value)
        return result

    def _compare(self, node: ast.expr, scope: Scope) -> Value:
        assert isinstance(node, ast.Compare)
        for item in (node.left, *node.comparators):
            if is_digest(self.value(item, scope).path):
                scope.guarded = True
                self.digested.add(scope.function)
        return NOTHING

    def _unary(self, node: ast.expr, scope: Scope) -> Value:
        assert isinstance(node, ast.UnaryOp)
        constant = self.value(node.operand, scope).constant
        if isinstance(node.op, ast.Not) and constant is not UNKNOWN:
            return Value(constant=not constant)
        return NOTHING

    def _named(self, node: ast.expr, scope: Scope) -> Value:
        assert isinstance(node, ast.NamedExpr)
        value = self.value(node.value, scope)
        self.bind(node.target, value, scope)
        return value

    def _lambda(self, node: ast.expr, scope: Scope) -> Value:
        assert isinstance(node, ast.Lambda)
        inner = Scope(scope, scope.function)
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            inner.names[argument.arg] = Value(path=f"?{argument.arg}")
        return Value(taints=self.value(node.body, inner).taints)

    def _comprehension(self, node: ast.expr, scope: Scope) -> Value:
        assert isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp)
        inner = Scope(scope, scope.function)
        for generator in node.generators:
            self.bind(generator.target, element_of(self.value(generator.iter, inner)), inner)
            for test in generator.ifs:
                self.value(test, inner)
        if isinstance(node, ast.DictComp):
            key, value = self.value(node.key, inner), self.value(node.value, inner)
            return Value(taints=join(key.taints, value.everything()))
        return element_of(self.value(node.elt, inner))._replace(path="", constant=UNKNOWN)

    def _other(self, node: ast.expr, scope: Scope) -> Value:
        """Await, yield, starred, slices: carry on what is inside."""
        inner = [self.value(child, scope) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
        if len(inner) == 1:
            return inner[0]
        return Value(taints=join(*(value.everything() for value in inner)))

    # --- calls

    def _call(self, node: ast.expr, scope: Scope) -> Value:
        assert isinstance(node, ast.Call)
        callee = self.value(node.func, scope)
        receiver = self._receiver(node, callee, scope)
        arguments = [self.value(item, scope) for item in node.args]
        if self.files and callee.path.startswith(_RUNNERS):
            arguments = [from_files(value, self.files) for value in arguments]
        spread = any(isinstance(item, ast.Starred) for item in node.args)
        keywords: list[tuple[str, Value]] = []
        for keyword in node.keywords:
            value = self.value(keyword.value, scope)
            if keyword.arg is not None:
                keywords.append((keyword.arg, value))
            elif value.entries:
                keywords.extend(value.entries)
            else:
                spread = True
        if callee.bound is not None:
            arguments = [*callee.bound.arguments, *arguments]
            keywords = [*keywords, *callee.bound.keywords]
        site = CallSite(
            path=callee.path,
            place=place_of(node),
            arguments=tuple(arguments),
            keywords=tuple(keywords),
            open=spread,
            function=scope.function,
            receiver=receiver,
            words=words_of(node) if site_logs(callee.path) else (),
            guarded=scope.guarded,
            node=node,
        )
        self.sites[id(node)] = site
        if is_digest_check(site.path):
            scope.guarded = True
            self.digested.add(scope.function)
        return self._result(site)

    def _receiver(self, node: ast.Call, callee: Value, scope: Scope) -> Value:
        if not isinstance(node.func, ast.Attribute):
            return NOTHING
        if isinstance(node.func.value, ast.Name):
            held = scope.lookup(node.func.value.id)
            return held._replace(taints=join(held.taints, callee.taints)) if callee.taints else held
        if isinstance(node.func.value, ast.Constant):
            return self._constant(node.func.value, scope)
        return Value(path=callee.path.rpartition(".")[0], taints=callee.taints)

    def _result(self, site: CallSite) -> Value:
        made = built(site)
        if made is not None:
            return made
        self._hand(site)
        self._write(site)
        if site.path.startswith(":") and (own := self._own(site)) is not None:
            return own
        if site.path in self.abroad:
            return self._foreign(site)
        said = answer(site)
        if said is not None and said.kind == "model":
            return Value(path=longer(site.path, "()"), taints=(said,))
        incoming = join(site.receiver.everything(), *(value.everything() for value in all_of(site)))
        step = f"line {site.place.line}: through {shown(site.path)}()"
        taints = widen(passed(site, incoming), step)
        text = site.receiver.text if site.path.startswith("str.") or site.tail == "format" else ""
        text = site.argument(0).text if site.path == "open" else text
        return Value(path=longer(site.path, "()"), taints=join(taints, (said,) if said else ()), text=text)

    def _write(self, site: CallSite) -> None:
        """Note who steers what is written to a file whose name is known: it may be run by that name."""
        name = site.receiver.text
        if site.tail in ("write", "write_text", "writelines") and name and "{}" not in name:
            taints = site.argument(0).everything()
            if taints and len(self.files) < ENTRIES:
                step = f"line {site.place.line}: written to {name[:60]}"
                self.files[name] = join(self.files.get(name, ()), widen(taints, step))

    def _own(self, site: CallSite) -> Value | None:
        """Call a function or make an object of this file: hand the arguments over, return what it is known to give."""
        path = site.path
        if path in self.classes:
            self._fill(f"{path}().__init__", site)
            for name, value in handed_over(self.fields.get(path, ()), path, site):
                self.memory.add(f"attribute {path}().{name}", value)
            return Value(path=f"{path}()")
        if path not in self.functions:
            return None
        self._fill(path, site)
        known = self.memory.look(f"return {path}")
        return known._replace(path=known.path if not known.path.startswith("?") else "")

    def _fill(self, function: str, site: CallSite) -> None:
        for name, value in handed_over(self.functions.get(function, ()), function, site):
            self.memory.add(f"param {function} {name}", value)

    def _foreign(self, site: CallSite) -> Value:
        """Call a function of another module of the project: what it is handed is noted, what it gives is known."""
        parameters, given = self.abroad[site.path]
        for name, value in handed_over(parameters, site.path, site):
            old = self.sent.get((site.path, name))
            self.sent[site.path, name] = value if old is None else merge(old, value)
        step = f"line {site.place.line}: returned by {shown(site.path)}()"
        return given._replace(path=given.path or longer(site.path, "()"), taints=widen(given.taints, step))

    def _hand(self, site: CallSite) -> None:
        """Note that a function of this file is given to an agent or a form, which fill in its parameters."""
        given = handed(site)
        if given is None or not given[0].path.startswith(":"):
            return
        function = given[0].path
        who = "an agent" if given[1] == "model" else "a user"
        line = site.place.line or 0
        for name in self.functions.get(function, ()):
            taint = Taint(given[1], f"{who} fills in {name} of {shown(function)}", line)
            self.memory.add(f"param {function} {name}", Value(taints=(taint,)))
