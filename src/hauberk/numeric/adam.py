"""Adam for small trainings: the first use of torch.optim imports torch's compiler, which costs more than they do."""

from __future__ import annotations

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
        gradients = [
            slope.contiguous() for slope in slopes if slope is not None
        ]  # the fused kernel reads memory as it lies
        means, squares = ([part[row] for row in rows] for part in (self._means, self._squares))
        self._steps += 1
        steps = [torch.tensor(float(self._steps))] * len(rows)
        with torch.no_grad():
            torch._fused_adam_(
                [self._parameters[row].detach() for row in rows],
                gradients,
                means,
                squares,
                [],
                steps,
                lr=self.rate,
                beta1=_FIRST,
                beta2=_SECOND,
                weight_decay=0.0,
                eps=_TINY,
                amsgrad=False,
                maximize=False,
            )
