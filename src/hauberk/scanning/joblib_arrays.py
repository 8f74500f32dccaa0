"""How many array bytes joblib keeps in the middle of a pickle stream (joblib/numpy_pickle.py, read_array)."""

from __future__ import annotations

import re
from math import prod

from hauberk.scanning.pickle_operands import Broken
from hauberk.scanning.pickle_values import Bag, Global, Made, Value, positional

WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
BESIDE = frozenset(
    f"{package}{module}.{name}"
    for package in ("joblib.", "sklearn.externals.joblib.")
    for module in ("numpy_pickle_compat", "numpy_pickle")
    for name in ("NDArrayWrapper", "ZNDArrayWrapper")
)
"""Wrappers of joblib before 0.10: the array is in the file they name, which its loader opens beside the dump."""
_HAS_OBJECT = 1
"""NPY_ITEM_HASOBJECT, the lowest bit of the flags in a dtype's state."""


def array_bytes(state: Value, padding: bytes) -> int | None:
    """Count the bytes after a wrapper with this state; None where another pickle follows (object dtype).

    padding: the byte right after the wrapper, which tells how many alignment bytes follow it.
    Raises Broken where the wrapper cannot be understood.
    """
    shape = state.get("shape") if isinstance(state, Bag) else None
    if not isinstance(state, Bag) or not isinstance(shape, Bag) or shape.count != len(shape.items):
        raise Broken("malformed", "a joblib array without a shape")
    counts = [count for count in shape.items if isinstance(count, int) and count >= 0]
    if len(counts) != shape.count:
        raise Broken("malformed", "a joblib array with a shape that is no tuple of counts")
    size = _item_bytes(state.get("dtype"))
    if size is None:
        return None
    align = state.get("numpy_array_alignment_bytes")
    lead = 1 + (padding[0] if padding else 0) if isinstance(align, int) else 0
    return lead + prod(counts) * size


def _item_bytes(dtype: Value) -> int | None:
    """Read the item size from a pickled dtype, ("f8", False, True) with its state; None for objects."""
    if not isinstance(dtype, Made) or not isinstance(dtype.callee, Global) or dtype.callee.dotted != "numpy.dtype":
        raise Broken("malformed", "a joblib array whose dtype is not numpy's")
    code = next(iter(positional(dtype)), None)
    match = re.fullmatch(r"[<>=|]?([a-zA-Z])(\d*)", code) if isinstance(code, str) else None
    state = dtype.state.items if isinstance(dtype.state, Bag) else []
    flags = state[7] if len(state) > 7 else 0
    if match is None or len(match[2]) > 9:
        raise Broken("malformed", "a joblib array with an unknown dtype")
    if match[1] == "O" or (isinstance(flags, int) and flags & _HAS_OBJECT):
        return None
    return int(match[2] or 1) * (4 if match[1] == "U" else 1)
