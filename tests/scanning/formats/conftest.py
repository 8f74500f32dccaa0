"""What the tests of binary formats share: writers of protobuf fields and of a few whole graphs."""

from __future__ import annotations

import pytest


class Protobuf:
    """Writes protobuf fields by hand, as bytes; nothing it writes is ever loaded."""

    @staticmethod
    def varint(value: int) -> bytes:
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes([*out, value])

    @classmethod
    def field(cls, number: int, value: int | str | bytes) -> bytes:
        """One field: a number as varint, anything else by its length."""
        if isinstance(value, int):
            return cls.varint(number << 3) + cls.varint(value)
        raw = value.encode() if isinstance(value, str) else value
        return cls.varint(number << 3 | 2) + cls.varint(len(raw)) + raw

    @classmethod
    def message(cls, *fields: tuple[int, int | str | bytes]) -> bytes:
        return b"".join(cls.field(number, value) for number, value in fields)

    # --- TensorFlow

    @classmethod
    def node(cls, name: str, kind: str, *inputs: str, **attributes: bytes) -> bytes:
        """A NodeDef; attributes are AttrValue messages."""
        entries = [(5, cls.message((1, key), (2, value))) for key, value in attributes.items()]
        return cls.message((1, name), (2, kind), *((3, one) for one in inputs), *entries)

    @classmethod
    def constant(cls, name: str, text: str) -> bytes:
        """A Const node of one string."""
        tensor = cls.message((1, 7), (8, text))
        return cls.node(name, "Const", value=cls.field(8, tensor), dtype=cls.field(6, 7))

    @classmethod
    def graph(cls, *nodes: bytes, functions: tuple[bytes, ...] = ()) -> bytes:
        library = [(2, cls.message(*((1, one) for one in functions)))] if functions else []
        return cls.message(*((1, node) for node in nodes), *library, (4, cls.message((1, 1882))))

    @classmethod
    def function(cls, name: str, *nodes: bytes) -> bytes:
        return cls.message((1, cls.message((1, name))), *((3, node) for node in nodes))

    @classmethod
    def saved_model(cls, graph: bytes, *more: tuple[int, int | str | bytes]) -> bytes:
        meta = cls.message((1, cls.message((4, "serve"), (5, "2.21.0"))), (2, graph), *more)
        return cls.message((1, 1), (2, meta))


@pytest.fixture(scope="session")
def pb() -> type[Protobuf]:
    return Protobuf


@pytest.fixture(scope="session")
def elf() -> bytes:
    """The header of an ELF program for x86-64, and nothing that could run."""
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + (2).to_bytes(2, "little") + (62).to_bytes(2, "little")
    return header + (1).to_bytes(4, "little") + bytes(40)
