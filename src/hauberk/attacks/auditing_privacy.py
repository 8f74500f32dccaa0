"""Canaries for a privacy audit: rows whose gradients lie in directions of their own, and a test of each at every step.

They pass through the whole of private training: sampling, per-example gradients, clipping, accumulation, noise. A fault
in any of these shows as a lower bound above the promise. Steinke et al. 2023, arXiv:2305.08846, §6; orthogonal
gradients: Nasr et al. 2023, arXiv:2302.07956.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import nn
from torch.nn.functional import cross_entropy

LOUD = 100.0
"""Norm of a canary's gradient in clipping norms: what is not clipped is heard."""
Drawing: TypeAlias = Literal["poisson", "shuffled", "tree"]


class WithCanaries(nn.Module):
    """A network with one more parameter a canary, which no other row touches."""

    def __init__(self, net: nn.Module, canaries: int) -> None:
        super().__init__()
        self.net = net
        self.canaries = nn.Embedding(canaries + 1, 1, padding_idx=canaries)
        nn.init.zeros_(self.canaries.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Ask the network itself."""
        answer: torch.Tensor = self.net(x)
        return answer


class CanaryLoss:
    """The loss of ordinary rows as it is, of canary i the value of its own parameter, loudly.

    y (b, 2): label, and the canary's number, or the number of canaries for an ordinary row.
    """

    def __init__(self, bound: float) -> None:
        self._loud = LOUD * bound

    def __call__(self, module: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the loss of each row (b,)."""
        assert isinstance(module, WithCanaries)
        plain = cross_entropy(module.net(x), y[:, 0], reduction="none")
        own: torch.Tensor = module.canaries(y[:, 1]).squeeze(1) * self._loud
        ordinary = y[:, 1].eq(module.canaries.num_embeddings - 1)
        return torch.where(ordinary, plain, own)


class Planted(NamedTuple):
    """Rows with canaries among them, x (n + k, …), y (n + k, 2), and the coins (m,): which canaries are in."""

    x: torch.Tensor
    y: torch.Tensor
    inside: torch.Tensor


def plant(x: torch.Tensor, y: torch.Tensor, canaries: int, rng: torch.Generator) -> Planted:
    """Toss a fair coin for each canary and add those that fell heads to the rows."""
    inside = torch.rand(canaries, generator=rng) < 0.5
    chosen = inside.nonzero().squeeze(1)
    labels = torch.cat((y, torch.zeros(len(chosen), dtype=y.dtype)))
    numbers = torch.cat((torch.full((len(y),), canaries, dtype=y.dtype), chosen.to(y.dtype)))
    # What a canary looks like does not matter: its loss does not ask the network.
    return Planted(torch.cat((x, x[:1].expand(len(chosen), *x.shape[1:]))), torch.stack((labels, numbers), 1), inside)


class Listener:
    """Adds up, for each canary, how much likelier what was released is with it in than without.

    noise: the multiplier that is claimed. rate: probability that a row takes part in a step. passes: steps of a pass,
    for batches of a shuffle. It also keeps the sizes of batches, by which a shuffle that claims to be Poisson sampling
    shows.
    """

    def __init__(self, canaries: int, noise: float, rate: float, drawing: Drawing = "poisson", passes: int = 1) -> None:
        self._m, self._noise, self._rate, self._drawing, self._passes = canaries, noise, rate, drawing, passes
        self._scores = torch.zeros(canaries, dtype=torch.float64)
        self._pass: list[torch.Tensor] = []
        self.sizes: list[int] = []

    def __call__(self, step: int, total: torch.Tensor, bound: float, rows: torch.Tensor) -> None:
        """Hear one step: the canaries' parameters are the last of the flat sum, their padding after them."""
        self.sizes.append(len(rows))
        seen = total[-1 - self._m : -1].double() / bound
        if self._drawing == "poisson":
            self._scores += torch.log1p(self._rate * torch.expm1(self._gain(seen)))
            return
        self._pass.append(seen)
        if (step + 1) % self._passes == 0:
            self._close()

    def _gain(self, seen: torch.Tensor) -> torch.Tensor:
        """Return log N(seen; 1, σ²) / N(seen; 0, σ²)."""
        return ((seen - 0.5) / max(self._noise, 1e-6) ** 2).clamp(-600.0, 600.0)

    def _close(self) -> None:
        """A canary took part in one step of the pass; of a tree, whose noise is one sum's, all of it counts."""
        parts = torch.stack(self._pass)
        self._pass = []
        if self._drawing == "tree":
            self._scores += parts.sum(0)
        else:
            self._scores += torch.logsumexp(self._gain(parts), 0) - torch.log(torch.tensor(float(len(parts))))

    def scores(self) -> torch.Tensor:
        """Return the scores (m,): higher means more likely in."""
        if self._pass:
            self._close()
        return self._scores
