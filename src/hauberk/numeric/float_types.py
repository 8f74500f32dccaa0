"""Whether a shorter float type is quicker on a device, found out by a probe."""

from __future__ import annotations

import time
from functools import cache

import torch

Tensor = torch.Tensor

_GAIN = 1.5
"""bfloat16 is worth its confirmations only where the probe runs at least this many times faster."""


def fast_bfloat16(device: torch.device) -> bool:
    """Tell whether bfloat16 is native here and a short probe finds it clearly faster; asked once per device.

    The probe multiplies matrices of its own: the target is not asked, so no query is spent on it.
    """
    return _probe(device.type, device.index or 0)


@cache
def _probe(kind: str, index: int) -> bool:
    if kind == "cuda":
        return torch.cuda.get_device_capability(index) >= (8, 0)
    if kind != "cpu" or not _native_bfloat16():
        return False
    wide = torch.ones(512, 512)
    narrow = wide.bfloat16()
    return min(_seconds(wide) for _ in range(5)) > _GAIN * min(_seconds(narrow) for _ in range(5))


def _native_bfloat16() -> bool:
    names = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(bool(getattr(torch.cpu, name, bool)()) for name in names)


def _seconds(matrix: Tensor) -> float:
    begun = time.process_time()
    for _ in range(4):
        matrix @ matrix
    return time.process_time() - begun
