"""Adam for gradients whose noise is known: its variance is taken out of the second moment.

Tang, Shpilevskiy & Lécuyer 2023, arXiv:2312.14334, algorithm 1 (DP-AdamBC).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn


class NoisyAdam(torch.optim.Optimizer):
    """Adam with v̂ − Φ in the denominator. noise: standard deviation of a gradient entry's noise, Φ its square.

    least: what v̂ − Φ is at least. With noise 0 it is Adam of Kingma & Ba 2015, arXiv:1412.6980.
    """

    def __init__(
        self,
        values: Iterable[nn.Parameter],
        rate: float,
        noise: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
        least: float = 1e-8,
    ) -> None:
        super().__init__(values, {"lr": rate})
        self.noise, self._betas, self._least, self._steps = noise, betas, least, 0

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override] # noqa: ARG002
        """Take a step along each parameter's gradient."""
        self._steps += 1
        first, second = self._betas
        for group in self.param_groups:
            for value in group["params"]:
                if value.grad is None:
                    continue
                state = self.state[value]
                if not state:
                    state["m"], state["v"] = torch.zeros_like(value), torch.zeros_like(value)
                state["m"].mul_(first).add_(value.grad, alpha=1 - first)
                state["v"].mul_(second).addcmul_(value.grad, value.grad, value=1 - second)
                mean = state["m"] / (1 - first**self._steps)
                # Where noise alone explains the moment, it has no scale to give: least², as the paper's γ′.
                spread = (state["v"] / (1 - second**self._steps) - self.noise**2).clamp_min(self._least)
                value.addcdiv_(mean, spread.sqrt(), value=-group["lr"])
