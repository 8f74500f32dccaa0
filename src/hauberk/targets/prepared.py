"""A torch module with its preprocessing in front and its reading behind: inputs within bounds → logits."""

from __future__ import annotations

import torch
from torch import nn

from hauberk.core.errors import ProjectError
from hauberk.numeric.bpda import Step
from hauberk.targets.answers import Answers

_LEAST = 1e-30
"""Probabilities below it count as it under the logarithm: float32 still resolves it, so its gradient is finite."""


class Prepared(nn.Module):
    """Normalise by mean and std per channel, run the network, and read its answer as logits.

    before: a step of the deployment's own ahead of all this, such as compression; it sees inputs within bounds.
    answers: what the network gives. Logits pass as they are; probabilities become their logarithms, whose softmax they
    are; one column of a binary network becomes two.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        net: nn.Module,
        mean: tuple[float, ...] = (),
        std: tuple[float, ...] = (),
        answers: Answers = "logits",
        before: Step | None = None,
    ) -> None:
        super().__init__()
        if any(value <= 0 for value in std):
            raise ProjectError(f"std {list(std)} must be above 0", where="model.std")
        if mean and std and len(mean) != len(std) and 1 not in (len(mean), len(std)):
            raise ProjectError(f"{len(mean)} means and {len(std)} standard deviations", where="model.mean")
        like = next((p for p in (*net.parameters(), *net.buffers()) if p.is_floating_point()), torch.zeros(()))
        self.net, self.before = net, before
        self.answers: Answers = answers
        self.channels_last = False
        self.normalised = bool(mean or std)
        self.register_buffer("mean", torch.tensor(mean or (0.0,)).to(like))
        self.register_buffer("std", torch.tensor(std or (1.0,)).to(like))

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Give the network's own answer to x (n, *shape)."""
        x = x if self.before is None else self.before(x)
        x = x.to(self.mean)  # the network's device and type; the same tensor where they are already right
        if self.normalised:
            channels = (-1, *(1 for _ in x.shape[2:]))
            x = (x - self.mean.view(channels)) / self.std.view(channels)
        if self.channels_last and x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        answer: torch.Tensor = self.net(x)
        return answer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute logits (n, classes) float32 of x (n, *shape)."""
        scores = self.scores(x).float()
        if scores.ndim == 1 or scores.shape[1] == 1:
            scores = scores.reshape(-1, 1)
            other = 1 - scores if self.answers == "probabilities" else torch.zeros_like(scores)
            scores = torch.cat((other, scores), 1)
        return scores.clamp_min(_LEAST).log() if self.answers == "probabilities" else scores
