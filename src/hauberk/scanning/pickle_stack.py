"""Stack, marks and memo of the abstract pickle machine, as Lib/pickle.py keeps them."""

from __future__ import annotations

from hauberk.scanning.pickle_operands import Broken
from hauberk.scanning.pickle_values import Value

_INHERITED = 64


class Stack:
    """What one stream works on. older: the memo of the streams before it, which one Unpickler would still have."""

    __slots__ = ("items", "marks", "memo", "older")

    def __init__(self, older: dict[int, Value]) -> None:
        self.items: list[Value] = []
        self.marks: list[list[Value]] = []
        self.memo: dict[int, Value] = {}
        self.older = older

    def inherit(self, other: Stack) -> None:
        """Begin with the top of another stack and its memo, to read the same place in another way."""
        self.items, self.older = other.items[-_INHERITED:], other.memo
        self.marks = [[] for _ in range(min(len(other.marks), _INHERITED))]

    def push(self, value: Value) -> None:
        """Put a value on top."""
        self.items.append(value)

    def pop(self) -> Value:
        """Take the topmost value."""
        if not self.items:
            raise Broken("malformed", "the stack is empty")
        return self.items.pop()

    def top(self) -> Value:
        """Look at the topmost value."""
        if not self.items:
            raise Broken("malformed", "the stack is empty")
        return self.items[-1]

    def mark(self) -> None:
        """MARK."""
        self.marks.append(self.items)
        self.items = []

    def to_mark(self) -> list[Value]:
        """Take everything above the topmost mark."""
        if not self.marks:
            raise Broken("malformed", "there is no mark")
        items, self.items = self.items, self.marks.pop()
        return items

    def discard(self) -> None:
        """POP: the topmost value, or the topmost mark."""
        if self.items:
            self.items.pop()
        else:
            self.to_mark()

    def last(self, count: int) -> list[Value]:
        """Take the topmost values, in order."""
        if len(self.items) < count:
            raise Broken("malformed", "the stack is empty")
        items = self.items[-count:]
        del self.items[-count:]
        return items

    def store(self, index: int) -> None:
        """PUT and its kin."""
        if index < 0:
            raise Broken("malformed", "a negative memo index")
        self.memo[index] = self.top()

    def fetch(self, index: int) -> None:
        """GET and its kin."""
        memo = self.memo if index in self.memo else self.older
        if index not in memo:
            raise Broken("malformed", f"memo index {index} was never stored")
        self.push(memo[index])
