"""Ask a model a few times before it is attacked: learn its shape and classes, and see whether it answers alike."""

from __future__ import annotations

from collections.abc import Callable

import torch

from hauberk.core.errors import ProjectError, TargetOutput
from hauberk.targets.guarded import Guard
from hauberk.targets.hints import Hints

ASKED = 5
"""How many inputs a probe asks: two, the same two again, and the first alone."""

_ALIKE = 1e-3
"""Scores closer than this share of their size are alike: other batch sizes take other summation orders in float32."""


def probe(guard: Guard, predict: Callable[[torch.Tensor], torch.Tensor], hints: Hints) -> None:
    """Ask about two inputs, the same again, then one of them alone; note what differs on the guard.

    Raises ProjectError where the shape is not known, TargetOutput where the model cannot be used.
    """
    x = _inputs(guard, hints)
    first = predict(x)
    if not _alike(first, predict(x)):
        guard.note("it answers the same input differently: every figure is of one draw of its randomness")
    elif not _alike(first[:1], predict(x[:1])):
        guard.note("its answer to an input depends on the other inputs of the batch")
    if first.shape[1] < 2:
        raise TargetOutput("has fewer than two classes", where=guard.where, fix="a classifier needs two or more")


def _inputs(guard: Guard, hints: Hints) -> torch.Tensor:
    """Take two real inputs, or draw two within the bounds from a fixed seed."""
    if hints.samples is not None and len(hints.samples):
        return hints.samples[[0, -1]].to(torch.float32)
    if not guard.spec.shape:
        raise ProjectError(
            "the shape of one input is not known", where="model.shape", fix="such as shape = [1, 28, 28]"
        )
    low, high = guard.spec.bounds
    rng = torch.Generator().manual_seed(0)
    return low + (high - low) * torch.rand(2, *guard.spec.shape, generator=rng)


def _alike(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a, b, rtol=_ALIKE, atol=_ALIKE * float(a.abs().max().clamp(1e-6, 1)))
