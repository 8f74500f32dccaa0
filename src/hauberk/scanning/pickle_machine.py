"""An abstract pickle machine, protocols 0–5: real stack, marks and memo; values described, nothing imported or run.

The opcodes are those of CPython's Lib/pickle.py; every call is recorded when the machine reaches it, so that what
follows (an error, a POP that hides the result) changes nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Literal, NamedTuple

from hauberk.scanning.artifact import Place, Problem
from hauberk.scanning.joblib_arrays import BESIDE, WRAPPER, array_bytes
from hauberk.scanning.pickle_ledger import Ledger
from hauberk.scanning.pickle_operands import Broken, Operands
from hauberk.scanning.pickle_stack import Stack
from hauberk.scanning.pickle_values import Bag, Global, Made, Opaque, Payload, Value
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

HIGHEST_PROTOCOL = 5
_WEIGHT = 1e12
_DEPTH = 10_000
_MEMO_SLACK = 1 << 16
_MEMO_MOST = 1 << 26
"""Of a memo index: room for it takes 1 GiB in the C unpickler."""
_BIG_INTEGER = 64
_SCOUTED = 4096
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
        self.stack = Stack(self._older)
        self.opcode_at, self.steps, self.done = offset, 0, False

    def run(self, offset: int, steps: int | None = None, after: Machine | None = None) -> Outcome:
        """Run the stream at `offset` to its STOP, to where it breaks or for some steps; raises LimitExceeded.

        after: the machine whose stack and memo are taken over.
        """
        self._begin(offset)
        if after is not None:
            self.stack.inherit(after.stack)
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
            self._older.update(self.stack.memo)
        value = self.stack.items[-1] if self.stack.items and broken is None else None
        return Outcome(self.read.position, value, broken)

    def _problem(self, kind: Literal["malformed", "disagreement", "exhaustion"], message: str, topic: str) -> None:
        if topic not in self._told:
            self._told.add(topic)
            self.problems.append(Problem(kind=kind, message=message, place=Place(offset=self.opcode_at)))

    # --- the stream itself

    def index(self) -> int:
        """Read a memo index written as decimal digits."""
        try:
            return int(self.read.line())
        except ValueError as error:
            raise Broken("malformed", "a memo index that is no number") from error

    def store(self, index: int) -> None:
        """PUT and its kin: the C unpickler makes room for every index up to this one."""
        if index > self.steps + _MEMO_SLACK:
            message = f"memo index {index} makes the loader allocate {index * 16 >> 20} MiB"
            self._problem("exhaustion" if index > _MEMO_MOST else "malformed", message, "memo")
        self.stack.store(index)

    def stop(self) -> None:
        """STOP."""
        self.stack.top()
        self.done = True

    def protocol(self) -> None:
        """PROTO."""
        number = self.read.number(1)
        if number > HIGHEST_PROTOCOL:
            self._problem("malformed", f"protocol {number} does not exist", "protocol")

    # --- literals

    def number(self, value: Value) -> None:
        """INT, LONG and FLOAT lines: go on after a number that only some unpicklers take."""
        if isinstance(value, Opaque):
            if self.strict:
                raise Broken("malformed", "not a number")
            self._problem("malformed", "a number that not every unpickler takes", "number")
        self.stack.push(value)

    def integer(self, count: int) -> None:
        """LONG1 and LONG4."""
        if count < 0:
            raise Broken("malformed", "a negative length")
        if count > _BIG_INTEGER:
            self.read.payload(count)
            self.stack.push(Opaque(f"integer of {count} bytes"))
        else:
            self.stack.push(self.read.number(count, signed=True))

    def text(self, count: int, encoding: str = "utf-8") -> None:
        """The counted texts."""
        if count < 0:
            raise Broken("malformed", "a negative length")
        self.stack.push(self.read.text(count, encoding))

    # --- containers

    def gather(self, kind: Literal["list", "tuple", "dict", "set"], items: list[Value]) -> None:
        """Build a container from what is given."""
        bag = Bag(kind, items)
        self._measure(bag)
        self.stack.push(bag)

    def tuple_of(self, count: int) -> None:
        """TUPLE1 to TUPLE3."""
        self.gather("tuple", self.stack.last(count))

    def fill(self, method: str, items: list[Value]) -> None:
        """APPEND(S), SETITEM(S), ADDITEMS: also on things that are no plain container, whose method is then called."""
        target = self.stack.top()
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
        name, module = self.stack.pop(), self.stack.pop()
        parts = [part if isinstance(part, str) else "<computed>" for part in (module, name)]
        if self.strict and "<computed>" in parts:
            raise Broken("malformed", "a global whose name is no text")
        self.stack.push(self.named(parts[0], parts[1]))

    def extension(self, size: int) -> None:
        """EXT1, EXT2, EXT4: a global from the loader's own registry, which the file does not name."""
        code = self.read.number(size, signed=size == 4)
        if code <= 0:
            raise Broken("malformed", "an extension code below 1")
        self.stack.push(self.ledger.resolve("<extension>", str(code), self.opcode_at))

    def persistent_line(self) -> None:
        """PERSID."""
        line = self.read.long_line()
        self.persistent(line if isinstance(line, Payload) else line.decode("latin-1"))

    def persistent(self, identifier: Value) -> None:
        """Hand an identifier to the loader."""
        self.ledger.persistent(identifier, self.opcode_at)
        items = identifier.items if isinstance(identifier, Bag) else []
        if len(items) > 1 and items[0] == "module" and isinstance(items[1], Global):
            self.stack.push(
                items[1]
            )  # legacy torch: the class itself comes back (torch/serialization.py, persistent_load)
        else:
            self.stack.push(Made(Opaque("persistent"), Bag("tuple", [identifier])))

    # --- calls

    def call(self, callee: Value, arguments: Value) -> None:
        """Call, and push what it gives."""
        made = self.ledger.call(callee, arguments, self.opcode_at)
        self.stack.push(made)

    def reduce(self) -> None:
        """REDUCE: callable and argument tuple on the stack."""
        arguments, callee = self.stack.pop(), self.stack.pop()
        self.call(callee, arguments)

    def new(self) -> None:
        """NEWOBJ: as REDUCE, but `__new__` of a class."""
        arguments, callee = self.stack.pop(), self.stack.pop()
        self.stack.push(self.ledger.call(callee, arguments, self.opcode_at, "new"))

    def new_with_keywords(self) -> None:
        """NEWOBJ_EX."""
        keywords, arguments, callee = self.stack.pop(), self.stack.pop(), self.stack.pop()
        items = arguments.items if isinstance(arguments, Bag) else [arguments]
        more = keywords.items if isinstance(keywords, Bag) else [keywords]
        self.stack.push(self.ledger.call(callee, Bag("tuple", [*items, *more]), self.opcode_at, "new"))

    def instantiate(self) -> None:
        """INST: the class is named after the opcode, its arguments are above the mark."""
        callee = self.names_from_lines()
        self.call(callee, Bag("tuple", self.stack.to_mark()))

    def object(self) -> None:
        """OBJ: class and arguments are above the mark."""
        items = self.stack.to_mark()
        if not items:
            raise Broken("malformed", "OBJ without a class")
        self.call(items[0], Bag("tuple", items[1:]))

    def build(self) -> None:
        """BUILD: give the topmost object its state; on a class or module it overwrites attributes."""
        state = self.stack.pop()
        target = self.stack.top()
        if isinstance(target, Global):
            self.ledger.state(target, "__dict__.update", state, self.opcode_at)
        elif isinstance(target, Made):
            target.state = state
            self.ledger.state(target, "__setstate__", state, self.opcode_at)
            beside = state.get("filename") if isinstance(state, Bag) else None
            if isinstance(beside, str) and isinstance(target.callee, Global) and target.callee.dotted in BESIDE:
                self.ledger.files.setdefault(beside, self.opcode_at)
            if not self.plain and isinstance(target.callee, Global) and target.callee.dotted == WRAPPER:
                self._joblib_array(target)

    def _joblib_array(self, wrapper: Made) -> None:
        """Pass over the array that joblib keeps in the middle of the stream, as its loader does."""
        start = self.read.position
        length = array_bytes(wrapper.state, self.window.at(start, 1))
        if length is not None:
            found = scout(self.window, start, self.watch, self).ledger
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


class Scouted(NamedTuple):
    """What came of trying bytes as a pickle. broken: None where it stopped cleanly or only ran out of trial steps."""

    ledger: Ledger
    broken: Broken | None
    steps: int


def scout(window: Window, offset: int, watch: Watch, after: Machine | None = None) -> Scouted:
    """Try bytes that may not be a pickle at all, strictly and for a few steps.

    after: the machine whose stack and memo are taken over.
    """
    machine = Machine(window, watch, Ledger(), strict=True)
    outcome = machine.run(offset, _SCOUTED, after)
    return Scouted(machine.ledger, outcome.broken, machine.steps)


_HANDLERS: dict[int, Callable[[Machine], object]] = {
    ord("("): lambda m: m.stack.mark(),
    ord("."): Machine.stop,
    ord("0"): lambda m: m.stack.discard(),
    ord("1"): lambda m: m.stack.to_mark(),
    ord("2"): lambda m: m.stack.push(m.stack.top()),
    0x80: Machine.protocol,
    0x95: lambda m: m.read.enter_frame(m.read.number(8)),
    ord("N"): lambda m: m.stack.push(None),
    0x88: lambda m: m.stack.push(True),
    0x89: lambda m: m.stack.push(False),
    ord("I"): lambda m: m.number(m.read.decimal()),
    ord("L"): lambda m: m.number(m.read.decimal()),
    ord("J"): lambda m: m.stack.push(m.read.number(4, signed=True)),
    ord("K"): lambda m: m.stack.push(m.read.number(1)),
    ord("M"): lambda m: m.stack.push(m.read.number(2)),
    0x8A: lambda m: m.integer(m.read.number(1)),
    0x8B: lambda m: m.integer(m.read.number(4, signed=True)),
    ord("F"): lambda m: m.number(m.read.real()),
    ord("G"): lambda m: m.stack.push(struct.unpack(">d", m.read.take(8))[0]),
    ord("S"): lambda m: m.stack.push(m.read.quoted()),
    ord("T"): lambda m: m.text(m.read.number(4, signed=True), "latin-1"),
    ord("U"): lambda m: m.text(m.read.number(1), "latin-1"),
    ord("V"): lambda m: m.stack.push(m.read.escaped()),
    ord("X"): lambda m: m.text(m.read.number(4)),
    0x8C: lambda m: m.text(m.read.number(1)),
    0x8D: lambda m: m.text(m.read.number(8)),
    ord("B"): lambda m: m.stack.push(m.read.payload(m.read.number(4))),
    ord("C"): lambda m: m.stack.push(m.read.payload(m.read.number(1))),
    0x8E: lambda m: m.stack.push(m.read.payload(m.read.number(8))),
    0x96: lambda m: m.stack.push(m.read.payload(m.read.number(8))),
    0x97: lambda m: m.stack.push(Opaque("out-of-band buffer")),
    0x98: lambda m: m.stack.top(),
    ord("]"): lambda m: m.stack.push(Bag("list")),
    ord(")"): lambda m: m.stack.push(Bag("tuple")),
    ord("}"): lambda m: m.stack.push(Bag("dict")),
    0x8F: lambda m: m.stack.push(Bag("set")),
    ord("l"): lambda m: m.gather("list", m.stack.to_mark()),
    ord("t"): lambda m: m.gather("tuple", m.stack.to_mark()),
    ord("d"): lambda m: m.gather("dict", m.stack.to_mark()),
    0x91: lambda m: m.gather("set", m.stack.to_mark()),
    0x85: lambda m: m.tuple_of(1),
    0x86: lambda m: m.tuple_of(2),
    0x87: lambda m: m.tuple_of(3),
    ord("a"): lambda m: m.fill("append", [m.stack.pop()]),
    ord("e"): lambda m: m.fill("extend", m.stack.to_mark()),
    ord("s"): lambda m: m.fill("__setitem__", m.stack.last(2)),
    ord("u"): lambda m: m.fill("__setitem__", m.stack.to_mark()),
    0x90: lambda m: m.fill("add", m.stack.to_mark()),
    ord("p"): lambda m: m.store(m.index()),
    ord("q"): lambda m: m.store(m.read.number(1)),
    ord("r"): lambda m: m.store(m.read.number(4)),
    0x94: lambda m: m.store(len(m.stack.memo)),
    ord("g"): lambda m: m.stack.fetch(m.index()),
    ord("h"): lambda m: m.stack.fetch(m.read.number(1)),
    ord("j"): lambda m: m.stack.fetch(m.read.number(4)),
    ord("c"): lambda m: m.stack.push(m.names_from_lines()),
    0x93: Machine.stack_global,
    0x82: lambda m: m.extension(1),
    0x83: lambda m: m.extension(2),
    0x84: lambda m: m.extension(4),
    ord("P"): Machine.persistent_line,
    ord("Q"): lambda m: m.persistent(m.stack.pop()),
    ord("R"): Machine.reduce,
    0x81: Machine.new,
    0x92: Machine.new_with_keywords,
    ord("i"): Machine.instantiate,
    ord("o"): Machine.object,
    ord("b"): Machine.build,
}
OPCODES = frozenset(_HANDLERS)
"""Every byte that is an opcode."""
