"""Backward pass differentiable approximation: a step without useful gradient passes on the gradient of a stand-in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch

Tensor = torch.Tensor

Step: TypeAlias = Callable[[Tensor], Tensor]
"""A step of preprocessing: inputs (n, *shape) → (n, …)."""


def identity(x: Tensor) -> Tensor:
    """Return x: the stand-in for a step that roughly keeps its input, such as JPEG, rounding or denoising."""
    return x


def straight_through(function: Step, surrogate: Step = identity) -> Step:
    """Return a step whose value is `function`'s and whose gradient is `surrogate`'s.

    function: need not be differentiable, nor be torch inside; it sees a tensor without gradient. surrogate: a
    differentiable step of the same output shape that stays near it. The step raises ValueError where the shapes differ.
    Source: Athalye et al. 2018, arXiv:1802.00420, section 4.1.
    """

    def step(x: Tensor) -> Tensor:
        with torch.no_grad():
            exact = function(x.detach())
        if not (x.requires_grad and torch.is_grad_enabled()):
            return exact
        smooth = surrogate(x)
        if exact.shape != smooth.shape:
            raise ValueError(f"the step gives {tuple(exact.shape)}, its stand-in {tuple(smooth.shape)}")
        return exact.to(smooth) + (smooth - smooth.detach())  # adds exactly 0, and the stand-in's gradient

    return step
