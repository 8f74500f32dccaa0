"""Implicit backdoor adversarial unlearning: the universal perturbation that hurts most is unlearnt, round by round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from hauberk.core.card import Card
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.repairing import bench

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class ImplicitHypergradient:
    """Alternate between the worst perturbation common to all inputs and training against it.

    Zeng et al. 2022, arXiv:2110.03735, algorithm 1 (I-BAU), with the first-order outer gradient: the implicit term is
    left out, which costs some strength and saves the inner solves.

    rounds: of both. inner, outer: steps in each. radius: of the perturbation, in l2 as a share of the input range times
    the square root of the number of values. rate: of AdamW. batch: rows a step.
    """

    card: ClassVar[Card] = Card(
        title="Implicit backdoor adversarial unlearning",
        summary="Unlearns the universal perturbation that hurts most; needs no trigger to be found first.",
        paper="Zeng et al. 2022, arXiv:2110.03735, algorithm 1, first order",
        needs=("module",),
        inputs=("chw", "row"),
        threats=("AML.T0018", "OWASP-ML10"),
        extra="models",
    )

    rounds: int = 10
    inner: int = 10
    outer: int = 15
    radius: float = 0.12
    rate: float = 1e-3
    batch: int = 64

    def apply(
        self,
        target: Target,
        data: Split,
        threat: Threat,  # noqa: ARG002
        rng: torch.Generator,
        *,
        attack: EvasionAttack | None = None,  # noqa: ARG002
        progress: Progress | None = None,  # noqa: ARG002
    ) -> Target:
        """Return the model trained on; raises MissingPower, DataError."""
        work = bench(target, data)
        low, high = target.spec.bounds
        optimizer = torch.optim.AdamW(work.module.parameters(), lr=self.rate)
        for _ in range(self.rounds):
            push = self._worst(work.module, work.x, work.y, (low, high), rng)
            work.module.train()
            for _ in range(self.outer):
                rows = torch.randint(len(work.x), (min(self.batch, len(work.x)),), generator=rng)
                pushed = (work.x[rows] + push).clamp(low, high)
                loss = cross_entropy(work.module(torch.cat([work.x[rows], pushed])), work.y[rows].repeat(2))
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
        return work.done("perturbation unlearnt")

    def _worst(
        self, module: nn.Module, x: Tensor, y: Tensor, bounds: tuple[float, float], rng: torch.Generator
    ) -> Tensor:
        """Climb the mean loss over one perturbation of all inputs: (1, *shape)."""
        low, high = bounds
        size = self.radius * (high - low) * x[0].numel() ** 0.5
        module.eval()
        push = 1e-3 * (high - low) * torch.randn(1, *x.shape[1:], generator=rng)
        for _ in range(self.inner):
            rows = torch.randint(len(x), (min(4 * self.batch, len(x)),), generator=rng)
            push = push.detach().requires_grad_()
            loss = cross_entropy(module((x[rows] + push).clamp(low, high)), y[rows])
            (slope,) = torch.autograd.grad(loss, push)
            push = push.detach() + size / 3 * slope / slope.norm().clamp(min=1e-12)
            push = push * (size / push.norm().clamp(min=size))
        return push.detach()
