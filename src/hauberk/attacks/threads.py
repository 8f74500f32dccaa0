"""How many threads torch should use.

Measured on the target itself, because a busy second core makes two slower than one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from hauberk.core.protocols import Differentiable, Target

BATCH, REPETITIONS = 128, 3
GAIN = 0.85
"""More threads must take less than this share of one thread's time, at their worst, to be worth having."""


@contextmanager
def settled(target: Target, x: torch.Tensor, wanted: int | None) -> Iterator[int]:
    """Set torch's threads to `wanted`, or to what is quicker on this target now; set them back afterwards."""
    before = torch.get_num_threads()
    try:
        chosen = wanted or _quicker(target, x[:BATCH], before)
        torch.set_num_threads(chosen)
        yield chosen
    finally:
        torch.set_num_threads(before)


def _quicker(target: Target, x: torch.Tensor, most: int) -> int:
    """Hold all threads at their worst against one thread at its best."""
    if most == 1 or not len(x) or not isinstance(target, Differentiable):
        return 1 if most == 1 else most
    one = min(_times(target, x, 1))
    many = max(_times(target, x, most))
    return most if many < GAIN * one else 1


def _times(target: Differentiable, x: torch.Tensor, threads: int) -> list[float]:
    torch.set_num_threads(threads)
    _step(target, x)
    return [_step(target, x) for _ in range(REPETITIONS)]


def _step(target: Differentiable, x: torch.Tensor) -> float:
    """Time one gradient of the input."""
    start = time.perf_counter()
    leaf = x.clone().requires_grad_()
    torch.autograd.grad(target.forward(leaf).sum(), leaf)
    return time.perf_counter() - start
