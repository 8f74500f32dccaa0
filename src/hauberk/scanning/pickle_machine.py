"""An abstract pickle machine, protocols 0–5: real stack, marks and memo; values described, nothing imported or run.

The opcodes are those of CPython's Lib/pickle.py; every call is recorded when the machine reaches it, so that what
follows (an error, a POP that hides the result) changes nothing.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable
from typing import Literal, NamedTuple

from hauberk.scanning.artifact import Place, Problem
from hauberk.scanning.joblib_arrays import WRAPPER, array_bytes
from hauberk.scanning.pickle_ledger import Ledger
from hauberk.scanning.pickle_operands import Broken, Operands
from hauberk.scanning.pickle_values import Bag, Global, Made, Opaque, Payload, Value
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

HIGHEST_PROTOCOL = 5
_WEIGHT = 1e12
_DEPTH = 10_000
_MEMO_SLACK = 1 << 16
_BIG_INTEGER = 64
_SCOUTED, _INHERITED = 4096, 64
_STRIDE = 256
"""Opcodes between two looks at the limits."""


class Outcome(NamedTuple):
    """How one stream ended. end: the offset after it. value: what it leaves. broken: why it could not go on."""

    end: int
    value: Value
    broken: Broken | None


class Machine:
    """Runs one stream after another of the same file; the memo outlives a stream as one Unpickler's does.

    plain: arrays in mid-stream are not known, as in the standard library.
    strict: for bytes that may not be a pickle at all; a module that is no dotted identifier ends the stream, as the
    import would.
    """

    def __init__(self, window: Window, watch: Watch, ledger: Ledger, *, strict: bool = False) -> None:
        self.window, self.watch, self.ledger, self.strict = window, watch, ledger, strict
        self.plain = strict
        self.problems: list[Problem] = []
        self._older: dict[int, Value] = {}
        self._told: set[str] = set()
        self._begin(0)

    def _begin(self, offset: int) -> None:
        self.read = Operands(self.window, offset)
        self.stack: list[Value] = []
        self.marks: list[list[Value]] = []
        self.memo: dict[int, Value] = {}
        self.opcode_at, self.steps, self.done = offset, 0, False

    def run(self, offset: int, steps: int | None = None, after: Machine | None = None) -> Outcome:
        """Run the stream at `offset` to its STOP, to where it breaks or for some steps; raises LimitExceeded.

        after: the machine whose stack and memo are taken over.
        """
        self._begin(offset)
        if after is not None:
            self.stack, self._older = after.stack[-_INHERITED:], after.memo
            self.marks = [[] for _ in range(min(len(after.marks), _INHERITED))]
        broken = None
        try:
            while not self.done and (steps is None or self.steps < steps):
                self.opcode_at = self.read.position
                self.steps += 1
                if not self.steps % _STRIDE:
                    self.watch.tick(_STRIDE)
                handler = _HANDLERS.get(self.read.code())
                if handler is None:
                    raise Broken("malformed", "an unknown opcode")
                handler(self)
        except Broken as error:
            broken = error
        if self.read.crossed is not None:
            self._problem("disagreement", "an operand runs over the end of its frame: unpicklers differ here", "frame")
        if not self.strict:
            self._older.update(self.memo)
        value = self.stack[-1] if self.stack and broken is None else None
        return Outcome(self.read.position, value, broken)

    def _problem(self, kind: Literal["malformed", "disagreement"], message: str, topic: str) -> None:
        if topic not in self._told:
            self._told.add(topic)
            self.problems.append(Problem(kind=kind, message=message, place=Place(offset=self.opcode_at)))

    # --- stack, marks, memo

    def push(self, value: Value) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def pop(self) -> Value:
        """Take the topmost value."""
        if not self.stack:
            raise Broken("malformed", "the stack is empty")
        return self.stack.pop()

    def top(self) -> Value:
        """Look at the topmost value."""
        if not self.stack:
            raise Broken("malformed", "the stack is empty")
        return self.stack[-1]

    def to_mark(self) -> list[Value]:
        """Take everything above the topmost mark."""
        if not self.marks:
            raise Broken("malformed", "there is no mark")
        items, self.stack = self.stack, self.marks.pop()
        return items

    def mark(self) -> None:
        """MARK."""
        self.marks.append(self.stack)
        self.stack = []

    def discard(self) -> None:
        """POP: the topmost value, or the topmost mark."""
        if self.stack:
            self.stack.pop()
        else:
            self.to_mark()

    def discard_to_mark(self) -> None:
        """POP_MARK."""
        self.to_mark()

    def pair(self) -> list[Value]:
        """Take the two topmost values, in order."""
        value = self.pop()
        return [self.pop(), value]

    def index(self, line: bytes) -> int:
        """Read a memo index written as decimal digits."""
        try:
            return int(line)
        except ValueError as error:
            raise Broken("malformed", "a memo index that is no number") from error

    def read_only(self) -> None:
        """READONLY_BUFFER: the topmost value stays."""
        self.top()

    def store(self, index: int) -> None:
        """PUT and its kin."""
        value = self.top()
        if index < 0:
            raise Broken("malformed", "a negative memo index")
        if index > self.steps + _MEMO_SLACK:
            message = f"memo index {index} makes the loader allocate {index * 16 >> 20} MiB"
            self._problem("malformed", message, "memo")
        self.memo[index] = value

    def fetch(self, index: int) -> None:
        """GET and its kin."""
        if index in self.memo:
            self.push(self.memo[index])
        elif index in self._older:
            self.push(self._older[index])
        else:
            raise Broken("malformed", f"memo index {index} was never stored")

    def stop(self) -> None:
        """STOP."""
        self.top()
        self.done = True

    def protocol(self) -> None:
        """PROTO."""
        number = self.read.number(1)
        if number > HIGHEST_PROTOCOL:
            self._problem("malformed", f"protocol {number} does not exist", "protocol")

    # --- literals

    def decimal(self) -> None:
        """INT and LONG lines."""
        line = self.read.long_line()
        if line in (b"00", b"01"):
            self.push(line == b"01")
            return
        try:
            self.push(line if isinstance(line, Payload) else int(line.removesuffix(b"L"), 0))
        except ValueError:
            self._odd_number()

    def real(self) -> None:
        """FLOAT."""
        line = self.read.long_line()
        try:
            self.push(line if isinstance(line, Payload) else float(line))
        except ValueError:
            self._odd_number()

    def _odd_number(self) -> None:
        """Go on after a number that Python's unpickler refuses: the C one takes some of them ("010" is 8 there)."""
        if self.strict:
            raise Broken("malformed", "not a number")
        self._problem("malformed", "a number that not every unpickler takes", "number")
        self.push(Opaque("number"))

    def integer(self, count: int) -> None:
        """LONG1 and LONG4."""
        if count < 0:
            raise Broken("malformed", "a negative length")
        if count > _BIG_INTEGER:
            self.read.payload(count)
            self.push(Opaque(f"integer of {count} bytes"))
        else:
            self.push(self.read.number(count, signed=True))

    def quoted(self) -> None:
        """STRING: a quoted line with escapes."""
        line = self.read.long_line()
        if isinstance(line, Payload):
            self.push(line)
            return
        line = line.strip()
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
            raise Broken("malformed", "a string without quotes")
        try:
            data = codecs.escape_decode(line[1:-1])[0]
        except ValueError as error:
            raise Broken("malformed", "a string with a bad escape") from error
        self.push(data.decode("latin-1"))

    def unicode_line(self) -> None:
        """UNICODE: a line with \\u escapes."""
        line = self.read.long_line()
        try:
            self.push(line if isinstance(line, Payload) else line.decode("raw-unicode-escape"))
        except UnicodeDecodeError as error:
            raise Broken("malformed", "a text with a bad escape") from error

    def text(self, count: int, encoding: str = "utf-8") -> None:
        """The counted texts."""
        if count < 0:
            raise Broken("malformed", "a negative length")
        self.push(self.read.text(count, encoding))

    # --- containers

    def gather(self, kind: Literal["list", "tuple", "dict", "set"], items: list[Value]) -> None:
        """Build a container from what is given."""
        bag = Bag(kind, items)
        self._measure(bag)
        self.push(bag)

    def tuple_of(self, count: int) -> None:
        """TUPLE1 to TUPLE3."""
        if len(self.stack) < count:
            raise Broken("malformed", "the stack is empty")
        items = self.stack[-count:]
        del self.stack[-count:]
        self.gather("tuple", items)

    def fill(self, method: str, items: list[Value]) -> None:
        """APPEND(S), SETITEM(S), ADDITEMS: also on things that are no plain container, whose method is then called."""
        target = self.top()
        if isinstance(target, Bag):
            target.add(items)
            self._measure(target)
        elif isinstance(target, Global):
            self.ledger.state(target, method, Bag("tuple", items), self.opcode_at)

    def _measure(self, bag: Bag) -> None:
        if bag.weight > _WEIGHT:
            self._problem("malformed", "walking it meets more than 10^12 values: what is shared expands", "weight")
        if bag.depth > _DEPTH:
            self._problem("malformed", f"containers nested more than {_DEPTH} deep", "depth")

    # --- names

    def named(self, module: str, name: str) -> Global:
        """Resolve a global."""
        if self.strict and not all(part.isidentifier() for part in module.split(".")):
            raise Broken("malformed", "a module that cannot be imported")
        return self.ledger.resolve(module, name, self.opcode_at)

    def names_from_lines(self) -> Global:
        """The two lines of GLOBAL and INST."""
        module, name = self.read.line(), self.read.line()
        try:
            return self.named(module.decode("utf-8"), name.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise Broken("malformed", "a global that is not UTF-8") from error

    def stack_global(self) -> None:
        """STACK_GLOBAL: both names come from the stack, however they got there."""
        name, module = self.pop(), self.pop()
        parts = [part if isinstance(part, str) else "<computed>" for part in (module, name)]
        if self.strict and "<computed>" in parts:
            raise Broken("malformed", "a global whose name is no text")
        self.push(self.named(parts[0], parts[1]))

    def extension(self, size: int) -> None:
        """EXT1, EXT2, EXT4: a global from the loader's own registry, which the file does not name."""
        code = self.read.number(size, signed=size == 4)
        if code <= 0:
            raise Broken("malformed", "an extension code below 1")
        self.push(self.ledger.resolve("<extension>", str(code), self.opcode_at))

    def persistent_line(self) -> None:
        """PERSID."""
        line = self.read.long_line()
        self.persistent(line if isinstance(line, Payload) else line.decode("latin-1"))

    def persistent(self, identifier: Value) -> None:
        """Hand an identifier to the loader."""
        self.ledger.persistent(identifier, self.opcode_at)
        items = identifier.items if isinstance(identifier, Bag) else []
        if len(items) > 1 and items[0] == "module" and isinstance(items[1], Global):
            self.push(items[1])  # legacy torch: the class itself comes back (torch/serialization.py, persistent_load)
        else:
            self.push(Made(Opaque("persistent"), Bag("tuple", [identifier])))

    # --- calls

    def call(self, callee: Value, arguments: Value) -> None:
        """Call, and push what it gives."""
        made = self.ledger.call(callee, arguments, self.opcode_at)
        self.push(made)

    def reduce(self) -> None:
        """REDUCE and NEWOBJ: callable and argument tuple on the stack."""
        arguments, callee = self.pop(), self.pop()
        self.call(callee, arguments)

    def new_with_keywords(self) -> None:
        """NEWOBJ_EX."""
        keywords, arguments, callee = self.pop(), self.pop(), self.pop()
        items = arguments.items if isinstance(arguments, Bag) else [arguments]
        more = keywords.items if isinstance(keywords, Bag) else [keywords]
        self.call(callee, Bag("tuple", [*items, *more]))

    def instantiate(self) -> None:
        """INST: the class is named after the opcode, its arguments are above the mark."""
        callee = self.names_from_lines()
        self.call(callee, Bag("tuple", self.to_mark()))

    def object(self) -> None:
        """OBJ: class and arguments are above the mark."""
        items = self.to_mark()
        if not items:
            raise Broken("malformed", "OBJ without a class")
        self.call(items[0], Bag("tuple", items[1:]))

    def build(self) -> None:
        """BUILD: give the topmost object its state; on a class or module it overwrites attributes."""
        state = self.pop()
        target = self.top()
        if isinstance(target, Global):
            self.ledger.state(target, "__dict__.update", state, self.opcode_at)
        elif isinstance(target, Made):
            target.state = state
            self.ledger.state(target, "__setstate__", state, self.opcode_at)
            if not self.plain and isinstance(target.callee, Global) and target.callee.dotted == WRAPPER:
                self._joblib_array(target)

    def _joblib_array(self, wrapper: Made) -> None:
        """Pass over the array that joblib keeps in the middle of the stream, as its loader does."""
        start = self.read.position
        length = array_bytes(wrapper.state, self.window.at(start, 1))
        if length is not None:
            found = self._plain_reading(start)
            if found.executed:
                self.ledger.absorb(found)
                self._problem("disagreement", "a plain unpickler runs what joblib takes for array bytes", "array")
            self.read.payload(length)
            return
        nested = Machine(self.window, self.watch, self.ledger)
        nested.plain = True
        outcome = nested.run(start)
        self.problems.extend(nested.problems)
        if outcome.broken:
            raise outcome.broken
        self.read = Operands(self.window, outcome.end)

    def _plain_reading(self, start: int) -> Ledger:
        """Read the array's bytes as a plain unpickler would, with what is on the stack and in the memo."""
        machine = Machine(self.window, self.watch, Ledger(), strict=True)
        machine.run(start, _SCOUTED, self)
        return machine.ledger


class Scouted(NamedTuple):
    """What came of trying bytes as a pickle. broken: None where it stopped cleanly or only ran out of trial steps."""

    ledger: Ledger
    broken: Broken | None
    steps: int


def scout(window: Window, offset: int, watch: Watch) -> Scouted:
    """Try bytes that may not be a pickle at all, strictly and for a few steps."""
    machine = Machine(window, watch, Ledger(), strict=True)
    outcome = machine.run(offset, _SCOUTED)
    return Scouted(machine.ledger, outcome.broken, machine.steps)


_HANDLERS: dict[int, Callable[[Machine], None]] = {
    ord("("): Machine.mark,
    ord("."): Machine.stop,
    ord("0"): Machine.discard,
    ord("1"): Machine.discard_to_mark,
    ord("2"): lambda m: m.push(m.top()),
    0x80: Machine.protocol,
    0x95: lambda m: m.read.enter_frame(m.read.number(8)),
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("I"): Machine.decimal,
    ord("L"): Machine.decimal,
    ord("J"): lambda m: m.push(m.read.number(4, signed=True)),
    ord("K"): lambda m: m.push(m.read.number(1)),
    ord("M"): lambda m: m.push(m.read.number(2)),
    0x8A: lambda m: m.integer(m.read.number(1)),
    0x8B: lambda m: m.integer(m.read.number(4, signed=True)),
    ord("F"): Machine.real,
    ord("G"): lambda m: m.push(struct.unpack(">d", m.read.take(8))[0]),
    ord("S"): Machine.quoted,
    ord("T"): lambda m: m.text(m.read.number(4, signed=True), "latin-1"),
    ord("U"): lambda m: m.text(m.read.number(1), "latin-1"),
    ord("V"): Machine.unicode_line,
    ord("X"): lambda m: m.text(m.read.number(4)),
    0x8C: lambda m: m.text(m.read.number(1)),
    0x8D: lambda m: m.text(m.read.number(8)),
    ord("B"): lambda m: m.push(m.read.payload(m.read.number(4))),
    ord("C"): lambda m: m.push(m.read.payload(m.read.number(1))),
    0x8E: lambda m: m.push(m.read.payload(m.read.number(8))),
    0x96: lambda m: m.push(m.read.payload(m.read.number(8))),
    0x97: lambda m: m.push(Opaque("out-of-band buffer")),
    0x98: Machine.read_only,
    ord("]"): lambda m: m.push(Bag("list")),
    ord(")"): lambda m: m.push(Bag("tuple")),
    ord("}"): lambda m: m.push(Bag("dict")),
    0x8F: lambda m: m.push(Bag("set")),
    ord("l"): lambda m: m.gather("list", m.to_mark()),
    ord("t"): lambda m: m.gather("tuple", m.to_mark()),
    ord("d"): lambda m: m.gather("dict", m.to_mark()),
    0x91: lambda m: m.gather("set", m.to_mark()),
    0x85: lambda m: m.tuple_of(1),
    0x86: lambda m: m.tuple_of(2),
    0x87: lambda m: m.tuple_of(3),
    ord("a"): lambda m: m.fill("append", [m.pop()]),
    ord("e"): lambda m: m.fill("extend", m.to_mark()),
    ord("s"): lambda m: m.fill("__setitem__", m.pair()),
    ord("u"): lambda m: m.fill("__setitem__", m.to_mark()),
    0x90: lambda m: m.fill("add", m.to_mark()),
    ord("p"): lambda m: m.store(m.index(m.read.line())),
    ord("q"): lambda m: m.store(m.read.number(1)),
    ord("r"): lambda m: m.store(m.read.number(4)),
    0x94: lambda m: m.store(len(m.memo)),
    ord("g"): lambda m: m.fetch(m.index(m.read.line())),
    ord("h"): lambda m: m.fetch(m.read.number(1)),
    ord("j"): lambda m: m.fetch(m.read.number(4)),
    ord("c"): lambda m: m.push(m.names_from_lines()),
    0x93: Machine.stack_global,
    0x82: lambda m: m.extension(1),
    0x83: lambda m: m.extension(2),
    0x84: lambda m: m.extension(4),
    ord("P"): Machine.persistent_line,
    ord("Q"): lambda m: m.persistent(m.pop()),
    ord("R"): Machine.reduce,
    0x81: Machine.reduce,
    0x92: Machine.new_with_keywords,
    ord("i"): Machine.instantiate,
    ord("o"): Machine.object,
    ord("b"): Machine.build,
}
OPCODES = frozenset(_HANDLERS)
"""Every byte that is an opcode."""
