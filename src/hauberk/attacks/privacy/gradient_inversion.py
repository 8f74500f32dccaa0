"""Gradient leakage: rebuild training examples from the gradient that a federated client sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from hauberk.core.card import Card
from hauberk.numeric.adam import Adam
from hauberk.numeric.gradients import gradients_of, labels_from
from hauberk.numeric.smoothness import total_variation

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class GradientInversion:
    """Search for inputs whose gradient is the one that was sent.

    match: "cosine" compares directions, signs of the slopes drive Adam and images are held smooth (Geiping et al. 2020,
    arXiv:2003.14053, §4, inverting gradients); "distance" compares squared distances by L-BFGS (Zhu et al. 2019,
    arXiv:1906.08935, algorithm 1, DLG). labels: "inferred" from the last layer's gradient (Zhao et al. 2020,
    arXiv:2001.02610, iDLG, one example of a class; Wainakh et al. 2022 for batches).

    steps: of the optimiser. rate: Adam's, as a share of the input's range. smooth: weight of total variation. tries:
    random starts, of which the best match is kept.
    """

    card: ClassVar[Card] = Card(
        title="Gradient inversion (DLG, iDLG, inverting gradients)",
        summary="Rebuilds a federated client's examples from one gradient; small batches leak nearly whole.",
        paper="Geiping et al. 2020, arXiv:2003.14053; Zhu et al. 2019, arXiv:1906.08935; Zhao et al. 2020, "
        "arXiv:2001.02610",
        needs=("module",),
        inputs=("chw", "row"),
        threats=("AML.T0024.001",),
        extra="models",
    )

    match: Literal["cosine", "distance"] = "cosine"
    steps: int = 300
    rate: float = 0.05
    smooth: float = 0.01
    tries: int = 1

    def reconstruct(
        self,
        module: nn.Module,
        sent: Sequence[Tensor],
        shape: tuple[int, ...],
        bounds: tuple[float, float],
        rng: torch.Generator,
    ) -> Tensor:
        """Return inputs of shape (n, …) whose gradient comes nearest to `sent`, one tensor a trainable parameter."""
        labels = labels_from(module, sent, shape[0])
        best, least = torch.zeros(shape), float("inf")
        for _ in range(max(1, self.tries)):
            start = torch.rand(shape, generator=rng) * (bounds[1] - bounds[0]) + bounds[0]
            found = (self._adam if self.match == "cosine" else self._lbfgs)(module, sent, start, labels, bounds)
            with torch.enable_grad():
                gap = float(_gap(module, found, labels, sent, self.match).detach())
            if gap < least:
                best, least = found, gap
        return best

    def _adam(
        self, module: nn.Module, sent: Sequence[Tensor], start: Tensor, labels: Tensor, bounds: tuple[float, float]
    ) -> Tensor:
        x = start.clone().requires_grad_()
        optimizer = Adam([x], self.rate * (bounds[1] - bounds[0]))
        with torch.enable_grad():
            for step in range(self.steps):
                optimizer.rate = self.rate * (bounds[1] - bounds[0]) * (1 - step / self.steps)
                loss = _gap(module, x, labels, sent, "cosine")
                if x.ndim == 4:
                    loss = loss + self.smooth * total_variation(x).mean()
                (slope,) = torch.autograd.grad(loss, x)
                optimizer.step((x * slope.sign()).sum())  # the sign of the slope is what Adam is given (§4)
                with torch.no_grad():
                    x.clamp_(*bounds)
        return x.detach()

    def _lbfgs(
        self, module: nn.Module, sent: Sequence[Tensor], start: Tensor, labels: Tensor, bounds: tuple[float, float]
    ) -> Tensor:
        x = start.clone().requires_grad_()
        optimizer = torch.optim.LBFGS([x], lr=1.0, max_iter=self.steps, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = _gap(module, x, labels, sent, "distance")
            (x.grad,) = torch.autograd.grad(loss, x)
            return loss

        with torch.enable_grad():
            optimizer.step(closure)  # type: ignore[no-untyped-call]
        return x.detach().clamp(*bounds)


def _gap(module: nn.Module, x: Tensor, labels: Tensor, sent: Sequence[Tensor], match: str) -> Tensor:
    """Return how far the gradient at x is from the one that was sent: squared distance, or 1 − cosine."""
    own = gradients_of(module, cross_entropy(module(x), labels), create_graph=True)
    if match == "distance":
        return torch.stack([(a - b).square().sum() for a, b in zip(own, sent, strict=True)]).sum()
    product = torch.stack([(a * b).sum() for a, b in zip(own, sent, strict=True)]).sum()
    sizes = [torch.stack([a.square().sum() for a in part]).sum().sqrt() for part in (own, sent)]
    return 1 - product / (sizes[0] * sizes[1]).clamp_min(1e-12)
