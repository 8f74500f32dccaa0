"""What stands on the stack of the abstract pickle machine: values that are described, never made.

Plain None, bool, int, float and str stand for themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

KEPT = 64
"""Items of a container that are remembered; the others only count."""
SHOWN = 200
"""Characters of a rendered argument list."""
_DEEP = 6


class Global:
    """A name the loader imports. name is empty for a module object, dotted for an attribute of an attribute."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    @property
    def dotted(self) -> str:
        """The full dotted name."""
        return f"{self.module}.{self.name}" if self.name else self.module


class Payload:
    """Bytes (or a long text) of the file, by offset and size; only the first few are held.

    coding: how a text is written in the file; empty for bytes.
    """

    __slots__ = ("coding", "head", "offset", "size")

    def __init__(self, offset: int, size: int, head: bytes, coding: str = "") -> None:
        self.offset, self.size, self.head, self.coding = offset, size, head, coding


class Opaque:
    """A value of which only a description is known."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Bag:
    """A container. A dict's items are key, value, key, value.

    weight: values met when walking it without noticing what is shared. depth: containers inside one another.
    """

    __slots__ = ("count", "depth", "items", "kind", "weight")

    def __init__(self, kind: Literal["list", "tuple", "dict", "set"], values: Iterable[Value] = ()) -> None:
        self.kind = kind
        self.items: list[Value] = []
        self.count = 0
        self.weight: float = 1.0
        self.depth: int = 1
        self.add(values)

    def add(self, values: Iterable[Value]) -> None:
        """Take values in."""
        for value in values:
            if self.count < KEPT:
                self.items.append(value)
            self.count += 1
            if isinstance(value, Bag | Made):
                self.weight += value.weight
                self.depth = max(self.depth, value.depth + 1)
            else:
                self.weight += 1.0

    def get(self, key: str) -> Value:
        """Look a text key up in a dict; None where it is not among the remembered ones."""
        for position in range(0, len(self.items) - 1, 2):
            if self.items[position] == key:
                return self.items[position + 1]
        return None


class Made:
    """The result of a call: what was called with what, the state it was given, and how large it is where known."""

    __slots__ = ("arguments", "callee", "depth", "size", "state", "weight")

    def __init__(self, callee: Value, arguments: Value) -> None:
        self.callee, self.arguments = callee, arguments
        self.state: Value = None
        self.size: object = None
        inner = [value for value in (callee, arguments) if isinstance(value, Bag | Made)]
        self.weight: float = 1.0 + sum(value.weight for value in inner)
        self.depth: int = 1 + max((value.depth for value in inner), default=0)


Value: TypeAlias = bool | int | float | str | Global | Payload | Opaque | Bag | Made | None


def dotted(value: Value) -> str:
    """Name a callable: "os.system", "pathlib.Path().unlink" for a method of something made, else its description."""
    trail: list[str] = []
    while isinstance(value, Made) and len(trail) < _DEEP:
        items = positional(value)
        if isinstance(value.callee, Global) and value.callee.dotted == "builtins.getattr" and len(items) >= 2:
            trail.append(f"().{items[1]}" if isinstance(items[1], str) else "().<computed>")
            value = items[0].callee if isinstance(items[0], Made) else items[0]
        else:
            trail.append("()")
            value = value.callee
    if isinstance(value, Made):
        base = "<made by more calls>"
    elif isinstance(value, Opaque):
        base = f"<{value.text}>"
    else:
        base = value.dotted if isinstance(value, Global) else f"<{render(value, 40)}>"
    return base + "".join(reversed(trail))


def positional(made: Made) -> list[Value]:
    """Return the remembered positional arguments."""
    return made.arguments.items if isinstance(made.arguments, Bag) else []


def render(value: Value, limit: int = SHOWN) -> str:
    """Write a value as short Python text; bounded whatever is shared or nested."""
    text, size = [], 0
    for piece in _pieces(value, 0):
        text.append(piece)
        size += len(piece)
        if size > limit:
            return "".join(text)[:limit] + "…"
    return "".join(text)


def render_arguments(value: Value) -> str:
    """Write an argument tuple without its brackets."""
    if isinstance(value, Bag) and value.kind == "tuple":
        text = render(value)
        return text[1:-1].removesuffix(",") if text.endswith(")") else text[1:]
    return render(value)


_BRACKETS = {"list": ("[", "]"), "tuple": ("(", ")"), "dict": ("{", "}"), "set": ("{", "}")}


def _pieces(value: Value, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield repr(value if len(value) <= SHOWN else value[:SHOWN] + "…")
    elif isinstance(value, Global):
        yield value.dotted[:SHOWN]
    elif isinstance(value, Payload):
        yield repr(value.head) + (f"…({value.size} bytes)" if value.size > len(value.head) else "")
    elif isinstance(value, Opaque):
        yield f"<{value.text}>"
    elif depth > _DEEP:
        yield "…"
    elif isinstance(value, Made):
        yield from _pieces(value.callee, depth + 1)
        yield from _pieces(value.arguments, depth + 1)
    elif isinstance(value, Bag):
        yield from _bag(value, depth)
    else:
        yield repr(value)[:SHOWN]


def _bag(bag: Bag, depth: int) -> Iterator[str]:
    left, right = _BRACKETS[bag.kind]
    yield left
    for position, item in enumerate(bag.items):
        yield from _pieces(item, depth + 1)
        keyed = bag.kind == "dict" and position % 2 == 0
        last = position == bag.count - 1
        yield ": " if keyed else ("," if last and bag.count == 1 and bag.kind == "tuple" else "" if last else ", ")
    if bag.count > len(bag.items):
        yield f"…({bag.count - len(bag.items)} more)"
    yield right
