"""A running mean of a network's weights: what is measured and kept while the weights themselves go on."""

from __future__ import annotations

import copy

import torch


class Averaged:
    """A copy of a module that follows it; with horizon 0 it is the module itself.

    horizon: about how far back the mean reaches, as a share of all steps so far: the first steps are forgotten and no
    length of training must be known (polynomial decay, Shamir & Zhang 2013, arXiv:1212.1824, section 4). Buffers such
    as a batch norm's statistics are averaged alike, counters are copied.
    """

    def __init__(self, module: torch.nn.Module, horizon: float) -> None:
        self._source, self._horizon, self.steps = module, horizon, 0
        self.module = copy.deepcopy(module).requires_grad_(False).eval() if horizon > 0 else module

    def follow(self) -> None:
        """Take one step towards the source."""
        if self._horizon <= 0:
            return
        self.steps += 1
        share = 1 / (1 + self._horizon * self.steps)
        with torch.no_grad():
            for mine, theirs in zip(_values(self.module), _values(self._source), strict=True):
                if mine.is_floating_point():
                    mine.lerp_(theirs, share)
                else:
                    mine.copy_(theirs)


def _values(module: torch.nn.Module) -> list[torch.Tensor]:
    return [*module.parameters(), *module.buffers()]
