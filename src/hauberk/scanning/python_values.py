"""What is known of a Python expression without running it: where it comes from, its literal value, who can steer it."""

from __future__ import annotations

import ast
import enum
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from hauberk.scanning.artifact import NOWHERE, Place

PATH_LIMIT = 200
ENTRIES = 64
TAINTS = 4
STEPS = 6
TEXT_LIMIT = 2000


class _Unknown(enum.Enum):
    TOKEN = 0


UNKNOWN: Final = _Unknown.TOKEN
"""The value of an expression that is not a literal."""

Constant: TypeAlias = str | bytes | int | float | complex | bool | None
MaybeConstant: TypeAlias = Constant | _Unknown


class Taint(NamedTuple):
    """Someone outside the program steers the value.

    kind: "model" (what a language model answered, or an agent chose), "request" (what a user sent), "config" (what a
    data file says), "document" (a page, mail or passage fetched from elsewhere), "secret" (a key: nobody steers it, but
    it must not travel). origin: in words. sure: False where only a name suggests it. safe_for: sinks it was escaped
    for: "html", "shell", "path", "judged" (it went through a function whose name promises a check nobody read).
    """

    kind: str
    origin: str
    line: int
    sure: bool = True
    safe_for: frozenset[str] = frozenset()
    steps: tuple[str, ...] = ()

    def trace(self) -> tuple[str, ...]:
        """Word the way from the origin, one step a line."""
        return (f"line {self.line}: {self.origin}" if self.line else self.origin, *self.steps)

    def elsewhere(self, path: str) -> Taint:
        """Return the taint as another file sees it: with the file and line it comes from, without the steps there."""
        return self if not self.line else self._replace(origin=f"{path}:{self.line}: {self.origin}", line=0, steps=())


class Value(NamedTuple):
    """An expression's value.

    path: the dotted way to it, aliases resolved: "torch.load", "openai.OpenAI().chat", ":ask" for a function of this
    file, "?client" for something unknown called client. text: the literal pieces of a string, "{}" for the rest.
    entries: of a literal dict, list or tuple, with the key ("" where there is none). inside: the taints of the entries
    and of what these hold. bound: arguments of a partial.
    """

    path: str = ""
    constant: MaybeConstant = UNKNOWN
    taints: tuple[Taint, ...] = ()
    text: str = ""
    entries: tuple[tuple[str, Value], ...] = ()
    inside: tuple[Taint, ...] = ()
    bound: Bound | None = None

    def tainted(self, kind: str, sink: str = "") -> Taint | None:
        """Return a taint of that kind that was not made safe for `sink`; a sure one first."""
        rows = [taint for taint in self.everything() if taint.kind == kind and sink not in taint.safe_for]
        return min(rows, key=lambda taint: (not taint.sure, "judged" in taint.safe_for), default=None)

    def everything(self) -> tuple[Taint, ...]:
        """Return the taints of the value and of what it holds."""
        return join(self.taints, self.inside) if self.inside else self.taints

    def get(self, key: str) -> Value | None:
        """Look a key up in a literal dict."""
        return next((item for name, item in self.entries if name == key), None)


class Bound(NamedTuple):
    """Arguments that a partial adds to each call."""

    arguments: tuple[Value, ...]
    keywords: tuple[tuple[str, Value], ...]


NOTHING = Value()


class CallSite(NamedTuple):
    """A call in the program.

    path: of what is called; "path =" where a value is stored into an attribute or key of that path. open: True where
    *args or **kwargs of unknown content are passed, so that an argument that is not there may be there. function: path
    of the function it stands in, "" at module level. words: of what may log, the arguments' source names,
    lower case. guarded: a comparison of digests or a signature check stands before it in the function. node: the call's
    own syntax, for edits.
    """

    path: str
    place: Place = NOWHERE
    arguments: tuple[Value, ...] = ()
    keywords: tuple[tuple[str, Value], ...] = ()
    open: bool = False
    function: str = ""
    receiver: Value = NOTHING
    words: tuple[str, ...] = ()
    guarded: bool = False
    node: ast.Call | None = None

    @property
    def tail(self) -> str:
        """The last name of the path."""
        return tail_of(self.path)

    def keyword(self, name: str) -> Value | None:
        """Return a keyword's value, None where it is not passed."""
        return next((value for key, value in self.keywords if key == name), None)

    def argument(self, position: int, name: str = "") -> Value:
        """Return a positional argument or the keyword of that name; NOTHING where neither is passed."""
        if position < len(self.arguments):
            return self.arguments[position]
        return (self.keyword(name) if name else None) or NOTHING

    def says(self, name: str) -> MaybeConstant:
        """Return a keyword's literal value, UNKNOWN where it is none or not passed."""
        value = self.keyword(name)
        return UNKNOWN if value is None else value.constant


class Defined(NamedTuple):
    """A function of the program. parameters: names, and the paths of their annotations. decorators: their paths."""

    path: str
    node: ast.FunctionDef | ast.AsyncFunctionDef
    parameters: tuple[tuple[str, str], ...]
    decorators: tuple[str, ...]


class Returned(NamedTuple):
    """A value that a function returns. decorators: paths of the function's decorators."""

    value: Value
    place: Place
    decorators: tuple[str, ...]


class Program(NamedTuple):
    """What a file calls, defines and returns. too_deep: some of it is nested too deep and was not read.

    digested: paths of the functions that compare a digest or a signature ("" for the module itself).
    """

    calls: tuple[CallSite, ...] = ()
    returns: tuple[Returned, ...] = ()
    classes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    functions: tuple[Defined, ...] = ()
    digested: frozenset[str] = frozenset()
    too_deep: bool = False

    def named(self, *paths: str) -> Iterator[CallSite]:
        """Yield calls of exactly these paths, in the order of the file."""
        wanted = frozenset(paths)
        return (site for site in self.calls if site.path in wanted)


class Known(NamedTuple):
    """What the other modules of a project say of one: see `python_modules`.

    functions: by the dotted name it calls them, their parameters and what they return. names: what it imports from
    them. given: what they hand to its own functions, by the memory's key ("param :run code").
    """

    functions: tuple[tuple[str, tuple[str, ...], Value], ...] = ()
    names: tuple[tuple[str, Value], ...] = ()
    given: tuple[tuple[str, Value], ...] = ()


NOTHING_KNOWN = Known()


@lru_cache(maxsize=1 << 14)
def tail_of(path: str) -> str:
    """Return the last name of a path, without call or index brackets."""
    last = path.rsplit(".", 1)[-1].removeprefix("?").removeprefix(":")
    return last.split("(", 1)[0].split("[", 1)[0]


def longer(path: str, piece: str) -> str:
    """Extend a path; a path that grows without bound becomes unknown."""
    grown = (path or "?") + piece
    return grown if len(grown) <= PATH_LIMIT else "?" + piece


def join(*groups: Iterable[Taint]) -> tuple[Taint, ...]:
    """Unite taints, one of each kind, origin and safety, a handful at most (each kind keeps its first)."""
    found: dict[tuple[str, str, int, frozenset[str]], Taint] = {}
    for group in groups:
        for taint in group:
            found.setdefault((taint.kind, taint.origin, taint.line, taint.safe_for), taint)
    if len(found) <= TAINTS:
        return tuple(found.values())
    rows = sorted(found.values(), key=lambda taint: (not taint.sure, len(taint.safe_for)))
    first = {taint.kind: taint for taint in reversed(rows)}
    return tuple({*first.values(), *rows[:TAINTS]}) if len(first) > 1 else tuple(rows[:TAINTS])


def same(left: Value, right: Value) -> bool:
    """Tell whether two values are known to be alike; what they hold is compared by identity, never in depth."""
    if left is right:
        return True
    return (
        left.path == right.path
        and left.taints == right.taints
        and left.inside == right.inside
        and left.text == right.text
        and type(left.constant) is type(right.constant)
        and left.constant == right.constant
        and left.bound is right.bound
        and len(left.entries) == len(right.entries)
        and all(a[0] == b[0] and a[1] is b[1] for a, b in zip(left.entries, right.entries, strict=True))
    )


def merge(left: Value, right: Value) -> Value:
    """Return what holds of a value that is either one or the other."""
    if same(left, right):
        return left
    known = type(left.constant) is type(right.constant) and left.constant == right.constant
    return Value(
        path=left.path if left.path and not left.path.startswith("?") else right.path or left.path,
        constant=left.constant if known else UNKNOWN,
        taints=join(left.taints, right.taints),
        text=left.text or right.text,
        entries=left.entries or right.entries,
        inside=join(left.inside, right.inside),
        bound=left.bound or right.bound,
    )


def widen(taints: tuple[Taint, ...], step: str) -> tuple[Taint, ...]:
    """Note one more step on the way of each taint."""
    return tuple(
        taint if len(taint.steps) >= STEPS or step in taint.steps else taint._replace(steps=(*taint.steps, step))
        for taint in taints
    )
