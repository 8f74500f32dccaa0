"""Digests of models in memory and in files, so that evidence names exactly what was tested."""

from __future__ import annotations

import hashlib
import types
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from hashlib import _Hash

_DEPTH = 64


def of_state(module: torch.nn.Module) -> str:
    """Digest a module's parameters and buffers: name, type, shape and bytes of each, in the order of their names."""
    state = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        if not isinstance(value, torch.Tensor):
            continue
        tensor = value.detach().cpu().contiguous()
        state.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        state.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return f"sha256:{state.hexdigest()}"


def of_object(thing: object) -> str:
    """Digest a fitted estimator: its class and everything it holds, found by walking its state.

    What has no state to walk (a function, a generator) counts by its type's name only.
    """
    state = hashlib.sha256()
    _walk(thing, state, set(), 0)
    return f"sha256:{state.hexdigest()}"


def _walk(thing: object, state: _Hash, above: set[int], depth: int) -> None:
    state.update(f"<{type(thing).__module__}.{type(thing).__qualname__}>".encode())
    if isinstance(thing, str | bytes | int | float | complex | bool | None):
        state.update(repr(thing).encode())
    elif isinstance(thing, np.ndarray):
        _array(thing, state, above, depth)
    elif isinstance(thing, np.generic):
        state.update(repr(thing).encode())
    elif id(thing) not in above and depth < _DEPTH:
        for part in _parts(thing):
            _walk(part, state, above | {id(thing)}, depth + 1)


def _array(array: np.ndarray, state: _Hash, above: set[int], depth: int) -> None:
    """Digest an array; a record array field by field, because the padding between fields is not defined."""
    state.update(f"{array.dtype}{array.shape}".encode())
    if array.dtype.names:
        for name in array.dtype.names:
            state.update(np.ascontiguousarray(array[name]).tobytes())
    elif array.dtype == object:
        for item in array.ravel():
            _walk(item, state, above, depth + 1)
    else:
        state.update(np.ascontiguousarray(array).tobytes())


def _parts(thing: object) -> list[object]:
    if isinstance(thing, Mapping):
        return [(key, thing[key]) for key in sorted(thing, key=repr)]
    if isinstance(thing, list | tuple):
        return list(thing)
    if isinstance(thing, set | frozenset):
        return sorted(thing, key=repr)
    if isinstance(thing, types.FunctionType | types.BuiltinFunctionType | types.ModuleType | type):
        return [getattr(thing, "__qualname__", getattr(thing, "__name__", ""))]
    try:
        held = thing.__getstate__()
    except (TypeError, AttributeError):
        return []
    return [held]
