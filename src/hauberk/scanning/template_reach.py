"""What a Jinja template reaches when it is rendered, judged from its syntax tree; nothing is rendered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from jinja2 import Environment, TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from hauberk.scanning.template_constants import Constants

Grade: TypeAlias = Literal["critical", "high", "medium"]
_LONGEST = 1 << 18
_NODES = 200_000
_INSIDES = frozenset(
    """__class__ __mro__ __base__ __bases__ __subclasses__ __globals__ __builtins__ __init__ __import__ __dict__
    __code__ __closure__ __func__ __self__ __getattribute__ __getattr__ __reduce__ __reduce_ex__
    __init_subclass__ __loader__ __spec__ __module__ __call__ __getitem__ __wrapped__ __kwdefaults__
    __defaults__ __subclasshook__ __new__ __enter__ __exit__ __del__ __annotations__ __qualname__ __file__
    __path__ func_globals func_code gi_frame gi_code cr_frame cr_code ag_frame f_globals f_builtins f_locals
    f_back tb_frame tb_next im_func im_class im_self _TemplateReference__context _module _env""".split()  # noqa: SIM905
)
_INSIDE_WORD = re.compile(
    r"__[a-z]{1,20}_?[a-z]{0,20}__|" + "|".join(sorted(name for name in _INSIDES if name[0] != "_"))
)
_ACTS = frozenset(
    """popen Popen system exec eval execfile check_output check_call getoutput run spawn fork compile
    import_module load_module exec_module get_data open read_text write_text read_bytes write_bytes urlopen
    urlretrieve unlink rmtree remove chmod kill connect getenv putenv environ subclasses mro subprocess
    importlib builtins __import__ socket breakpoint globals locals getattr setattr delattr vars load_template
    get_template from_string FileLoader select_jinja_autoescape os sys pty shutil ctypes""".split()  # noqa: SIM905
)
_STARTS = frozenset(
    {"popen", "Popen", "system", "check_output", "check_call", "getoutput", "import_module", "exec", "eval"}
)
"""Methods that no page of an application calls either."""
_REACHING_NAMES = frozenset({"lipsum", "self", "get_flashed_messages", "url_for", "request", "session", "current_app"})
_FUNCTIONS = frozenset(
    """raise_exception strftime_now range namespace dict cycler joiner loop caller super zip enumerate len str
    int float list min max sum sorted set tuple bool fromjson from_json tojson to_json now print""".split()  # noqa: SIM905
)
_ONLY_WORDS = frozenset({"__name__", "__qualname__", "__doc__", "__version__"})
"""Attributes that are texts: pages print the name of an object's class, and get no further from there."""
_CLOSING = {"{{": "}}", "{%": "%}"}
_MARK = re.compile(r"\{\{|\{%|\}\}|%\}")
_BIG = 10_000_000


class Reach(NamedTuple):
    """One thing a template does that a template has no need of."""

    grade: Grade
    what: str
    line: int


class _Blocks(Extension):
    """Tags that tokenizers add: generation marks, which only bracket what is inside."""

    tags = {"generation"}  # noqa: RUF012 - declared so by the base class

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def reaches(text: str, kind: str) -> Iterator[Reach]:
    """Yield what the template reaches. kind: "chat" of a tokenizer, whose few functions are known; "prompt" of the like
    with functions its program gives it; "text" may be a web page's.

    A template that does not parse is judged by the words in it.
    """
    if len(text) > _LONGEST:
        yield from _unparsed(text, "longer than is parsed", kind)
        text = text[:_LONGEST]
    environment = Environment(extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do", _Blocks])  # noqa: S701 - nothing is rendered
    try:
        tree = environment.parse(text)
    except TemplateError as error:
        yield from _unparsed(text, str(error), kind)
        return
    except (RecursionError, MemoryError, OverflowError, ValueError, AssertionError):
        yield from _unparsed(text, "nested too deeply", kind)
        return
    yield from _Judge(tree, kind).reaches()


def _unparsed(text: str, why: str, kind: str) -> Iterator[Reach]:
    """Judge the words inside the tags: programs that a template writes have classes of their own around them."""
    words = (found for start, stop in _tags(text) for found in _INSIDE_WORD.finditer(text, start, stop))
    found = next((one for one in words if kind == "chat" or one.group() in _INSIDES), None)
    if found is not None:
        yield Reach(
            "high", f"names {found.group()} and does not parse ({why[:80]})", 1 + text.count("\n", 0, found.start())
        )
    elif kind == "chat":
        yield Reach("medium", f"does not parse ({why[:80]}): what it reaches is not known", 1)


def _tags(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each tag begins and ends; one that is never closed reaches to the end. Linear in the text."""
    start, closing = -1, ""
    for mark in _MARK.finditer(text):
        if start < 0 and mark.group() in _CLOSING:
            start, closing = mark.start(), _CLOSING[mark.group()]
        elif start >= 0 and mark.group() == closing:
            yield start, mark.end()
            start = -1
    if start >= 0:
        yield start, len(text)


class _Judge:
    """The judgement of one tree, by a walk with its own stack."""

    def __init__(self, tree: nodes.Template, kind: str) -> None:
        self._tree, self._chat, self._closed = tree, kind != "text", kind == "chat"
        self._all = _flat(tree)
        self._fold = Constants(self._all).fold
        self._own = {one.name for one in self._all if isinstance(one, nodes.Macro)}
        self._named = {id(one.node) for one in self._all if isinstance(one, nodes.Getattr) and one.attr in _ONLY_WORDS}
        for one in self._all:
            if isinstance(one, nodes.FromImport):
                self._own.update(name if isinstance(name, str) else name[1] for name in one.names)
            elif isinstance(one, nodes.Assign) and isinstance(one.target, nodes.Name):
                self._own.add(one.target.name)

    def reaches(self) -> Iterator[Reach]:
        """Yield each thing once."""
        if len(self._all) >= _NODES:
            yield Reach("medium", f"has more than {_NODES} parts: the rest was not judged", 1)
        told: set[tuple[str, int]] = set()
        pending: list[tuple[nodes.Node, int]] = [(self._tree, 1)]
        left = _NODES
        while pending and left:
            node, turns = pending.pop()
            left -= 1
            for found in self._node(node, turns):
                if (found.what, found.line) not in told:
                    told.add((found.what, found.line))
                    yield found
            if isinstance(node, nodes.For):
                turns *= max(1, _turns(node.iter))
            pending.extend((child, turns) for child in node.iter_child_nodes())

    def _node(self, node: nodes.Node, turns: int) -> Iterator[Reach]:
        if isinstance(node, nodes.Getattr):
            yield from self._attribute(node.attr, node)
        elif isinstance(node, nodes.Getitem):
            yield from self._subscript(node)
        elif isinstance(node, (nodes.Filter, nodes.Test)):
            yield from self._filter(node)
        elif isinstance(node, nodes.Call):
            yield from self._call(node)
        elif isinstance(node, nodes.Const) and isinstance(node.value, str):
            yield from self._word(node.value, node)
        elif isinstance(node, nodes.Keyword):
            yield from self._word(node.key, node)
        elif isinstance(node, nodes.Name) and self._chat and node.ctx == "load" and node.name in _REACHING_NAMES:
            grade: Grade = "high" if node.name == "self" else "medium"
            yield Reach(grade, f"uses {node.name}, of which a chat template has no need", node.lineno)
        elif isinstance(node, (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
            yield from self._other_template(node)
        elif isinstance(node, (nodes.Mul, nodes.Pow)):
            yield from _product(node)
        elif isinstance(node, nodes.For) and turns * max(1, _turns(node.iter)) >= _BIG:
            yield Reach("high", f"goes round {turns * _turns(node.iter):.0e} times", node.lineno)

    def _attribute(self, name: str, node: nodes.Node) -> Iterator[Reach]:
        shown = name in _ONLY_WORDS or (name == "__class__" and id(node) in self._named)
        if shown and not self._chat:
            return
        if name in _INSIDES or re.fullmatch(r"__\w+__", name):
            yield Reach("critical", f"reaches into Python by .{name}", node.lineno)
        elif self._chat and name.startswith("_"):
            yield Reach("high", f"reaches the private attribute .{name[:60]}", node.lineno)

    def _subscript(self, node: nodes.Getitem) -> Iterator[Reach]:
        if isinstance(node.arg, nodes.Slice):
            return
        for name in self._fold(node.arg):
            if name in _INSIDES or re.fullmatch(r"__\w+__", name):
                yield Reach("critical", f"reaches into Python by [{name!r}]", node.lineno)
        picked = isinstance(node.node, nodes.Filter) and node.node.name in ("string", "list") and self._chat
        if picked and _is_pick(node):
            yield Reach("high", "picks characters out of an object's own text to spell a name", node.lineno)

    def _filter(self, node: nodes.Filter | nodes.Test) -> Iterator[Reach]:
        if node.name == "attr" and isinstance(node, nodes.Filter):
            named = [name for argument in node.args[:1] for name in self._fold(argument)]
            if any(name in _INSIDES or name.startswith("_") for name in named):
                yield Reach("critical", f"reaches into Python by |attr({named[0]!r})", node.lineno)
            elif not named or self._chat:
                what = f"|attr({named[0]!r})" if named else "|attr of a name put together at run time"
                yield Reach("medium" if named else "high", f"reaches an attribute by {what}", node.lineno)
        values = [*node.args, *(pair.value for pair in node.kwargs)]
        for name in (name for argument in values for name in self._fold(argument)):
            if any(step in _INSIDES for step in name.split(".")):
                yield Reach("critical", f"reaches into Python by |{node.name}({name[:80]!r})", node.lineno)
        sizes = [one.value for one in values if isinstance(one, nodes.Const) and isinstance(one.value, (int, float))]
        if any(size >= _BIG for size in sizes):
            yield Reach("high", f"makes |{node.name} as wide as {max(sizes)}", node.lineno)

    def _call(self, node: nodes.Call) -> Iterator[Reach]:
        target = node.node
        if isinstance(target, nodes.Name):
            if target.name in _ACTS:
                yield Reach("critical", f"calls {target.name}()", node.lineno)
            elif self._closed and target.name not in _FUNCTIONS | self._own and target.name not in _REACHING_NAMES:
                yield Reach("medium", f"calls {target.name[:60]}(), which no tokenizer gives it", node.lineno)
        elif isinstance(target, nodes.Getattr) and target.attr in _ACTS:
            if self._chat or target.attr in _STARTS:
                yield Reach("critical", f"calls .{target.attr}()", node.lineno)
        elif isinstance(target, nodes.Getattr) and target.attr in ("format", "format_map"):
            for text in self._fold(target.node):  # a field such as {0.__class__}, put together from parts
                yield from self._word(text, node)
        elif isinstance(target, nodes.Getitem) and self._chat:
            named = next((name for name in self._fold(target.arg) if name in _ACTS), "")
            if named:
                yield Reach("critical", f"calls what the subscript [{named}] gives", node.lineno)
        elif isinstance(target, (nodes.Filter, nodes.Call)) and self._chat:
            yield Reach("high", "calls what another call or filter gives", node.lineno)
        if isinstance(target, nodes.Name) and target.name == "lipsum" and _turns_of_lipsum(node) >= 10_000:
            yield Reach("high", "has lipsum write without end", node.lineno)

    def _word(self, value: str, node: nodes.Node) -> Iterator[Reach]:
        """Judge a constant text: the name of an inside is not there by accident, whatever is done with it."""
        turned = value[::-1] if len(value) < 200 else ""
        for text in (value[:10_000], turned):
            found = next((one.group() for one in _INSIDE_WORD.finditer(text) if one.group() in _INSIDES), "")
            if found:
                yield Reach("high", f"holds the text {found!r}", node.lineno)
                return

    def _other_template(self, node: nodes.Include | nodes.Import | nodes.FromImport | nodes.Extends) -> Iterator[Reach]:
        names = self._fold(node.template)
        for name in names:
            if name.startswith(("/", "~", "\\")) or ".." in name or "://" in name:
                yield Reach("high", f"reads the file {name[:100]!r}", node.lineno)
            elif self._chat:
                yield Reach("medium", f"includes the file {name[:100]!r}", node.lineno)
        if not names and self._chat:
            yield Reach("high", "includes a file whose name is put together at run time", node.lineno)


def _flat(tree: nodes.Template) -> list[nodes.Node]:
    """List the nodes of a tree, outer ones first, without recursion, up to a bound."""
    found: list[nodes.Node] = []
    pending: list[nodes.Node] = [tree]
    while pending and len(found) < _NODES:
        node = pending.pop()
        found.append(node)
        pending.extend(node.iter_child_nodes())
    return found


def _turns(node: nodes.Node) -> int:
    """Say how often a loop over range(constants) goes round; 1 where that is not known."""
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "range":
        sizes = [_size(argument) for argument in node.args]
        return max(sizes[:2], default=1) if sizes else 1
    return 1


def _size(node: nodes.Node) -> int:
    """Work out a constant whole number, powers and products within reason included."""
    if isinstance(node, nodes.Const) and isinstance(node.value, (int, float)):
        return int(min(abs(node.value), 10**18))
    if isinstance(node, nodes.Mul):
        return min(_size(node.left) * _size(node.right), 10**18)
    if isinstance(node, nodes.Pow):
        base, power = _size(node.left), _size(node.right)
        return 10**18 if base > 1 and power > 60 else min(base ** min(power, 60), 10**18)
    return 1


def _turns_of_lipsum(node: nodes.Call) -> int:
    return max((_size(one) for one in [*node.args, *(pair.value for pair in node.kwargs)]), default=1)


def _product(node: nodes.Mul | nodes.Pow) -> Iterator[Reach]:
    if _size(node) >= _BIG:
        yield Reach("high", f"multiplies up to {_size(node):.0e}", node.lineno)


def _is_pick(node: nodes.Getitem) -> bool:
    return isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, int) and node.arg.value > 1
