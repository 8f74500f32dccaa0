"""Adam for small trainings: the first use of torch.optim imports torch's compiler, which costs more than they do."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

Tensor = torch.Tensor

# Kingma & Ba 2015, arXiv:1412.6980, algorithm 1 and the constants recommended there.
_FIRST, _SECOND, _TINY = 0.9, 0.999, 1e-8


class Adam:
    """Adam over parameters that require gradients. rate: the step size, may be changed between steps."""

    def __init__(self, parameters: Iterable[Tensor], rate: float) -> None:
        self.rate = rate
        self._parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self._means = [torch.zeros_like(parameter) for parameter in self._parameters]
        self._squares = [torch.zeros_like(parameter) for parameter in self._parameters]
        self._steps = 0

    def step(self, loss: Tensor) -> None:
        """Go one step down the scalar `loss`; parameters it does not depend on stay, and no .grad is touched."""
        slopes = torch.autograd.grad(loss, self._parameters, allow_unused=True)
        rows = [row for row, slope in enumerate(slopes) if slope is not None]
        gradients = [slope for slope in slopes if slope is not None]
        means, squares = ([part[row] for row in rows] for part in (self._means, self._squares))
        self._steps += 1
        with torch.no_grad():
            torch._foreach_lerp_(means, gradients, 1 - _FIRST)
            torch._foreach_mul_(squares, _SECOND)
            torch._foreach_addcmul_(squares, gradients, gradients, 1 - _SECOND)
            spread = torch._foreach_sqrt(squares)
            torch._foreach_div_(spread, math.sqrt(1 - _SECOND**self._steps))
            torch._foreach_add_(spread, _TINY)
            length = -self.rate / (1 - _FIRST**self._steps)
            torch._foreach_addcdiv_([self._parameters[row] for row in rows], means, spread, length)
