"""The layout of GGUF files: types of values and tensors, and their sizes (ggml-org/ggml, docs/gguf.md and ggml.h)."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

ByteOrder: TypeAlias = Literal["little", "big"]
MAGIC = b"GGUF"
BOOL, STRING, ARRAY = 7, 8, 9
VALUE_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Type of a value → its size; 8 is a string, 9 an array."""


class TensorType(NamedTuple):
    """How many elements a block holds, and its bytes."""

    elements: int
    size: int


TENSOR_TYPES = {
    0: TensorType(1, 4), 1: TensorType(1, 2), 2: TensorType(32, 18), 3: TensorType(32, 20), 4: TensorType(32, 18),
    5: TensorType(32, 20), 6: TensorType(32, 22), 7: TensorType(32, 24), 8: TensorType(32, 34), 9: TensorType(32, 36),
    10: TensorType(256, 84), 11: TensorType(256, 110), 12: TensorType(256, 144), 13: TensorType(256, 176),
    14: TensorType(256, 210), 15: TensorType(256, 292), 16: TensorType(256, 66), 17: TensorType(256, 74),
    18: TensorType(256, 98), 19: TensorType(256, 50), 20: TensorType(32, 18), 21: TensorType(256, 110),
    22: TensorType(256, 82), 23: TensorType(256, 136), 24: TensorType(1, 1), 25: TensorType(1, 2), 26: TensorType(1, 4),
    27: TensorType(1, 8), 28: TensorType(1, 8), 29: TensorType(256, 56), 30: TensorType(1, 2), 31: TensorType(32, 18),
    32: TensorType(32, 18), 33: TensorType(32, 18), 34: TensorType(256, 54), 35: TensorType(256, 66),
    36: TensorType(32, 18), 37: TensorType(32, 18), 38: TensorType(32, 18), 39: TensorType(32, 17),
    40: TensorType(64, 36), 41: TensorType(128, 18),
}  # fmt: skip
"""Type of a tensor → its blocks; 4, 5, 31–33, 36–38 were withdrawn. Newer types are passed over and said."""
DIMENSIONS = 4
NAME_BYTES = 64
KEY_BYTES = 65535
