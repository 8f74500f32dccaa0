"""Tree aggregation: noise for running sums that grows with the logarithm of their length, not with its root.

Dwork et al. 2010; Chan et al. 2011; for training: Kairouz et al. 2021, arXiv:2103.00039 (DP-FTRL).
"""

from __future__ import annotations

import math

import torch

from hauberk.numeric.private_noise import NoiseSource


class TreeNoise:
    """The noise of running sums over 1, 2, … leaves of a binary tree of partial sums, node after node.

    scale: standard deviation of a node's noise. Only the nodes on the path to the newest leaf are kept, log₂ of the
    steps many. Where two nodes meet, the parent's own noise and theirs are averaged by inverse variance, which costs no
    privacy (Honaker 2015; Kairouz et al., appendix D).
    """

    def __init__(self, size: int, scale: float, source: NoiseSource) -> None:
        self._size, self._scale, self._source = size, scale, source
        self._last = torch.zeros(size)
        self.restart()

    def restart(self) -> None:
        """Begin a new tree, at the start of an epoch; sums so far keep the noise they were released with."""
        self._nodes: list[tuple[int, float, torch.Tensor]] = []
        self._last = torch.zeros(self._size)

    def residual(self, out: torch.Tensor) -> torch.Tensor:
        """Overwrite `out` (size,) with what the noise of the sum over one more leaf differs by from the last one."""
        noise = self._source.normal(self._size, scale=self._scale)
        height, variance = 0, self._scale**2
        while self._nodes and self._nodes[-1][0] == height:
            _, before, left = self._nodes.pop()
            children = before + variance
            own = self._source.normal(self._size, scale=self._scale)
            share = children / (children + self._scale**2) if children else 0.5
            noise = own.mul_(share).add_(left.add_(noise), alpha=1 - share)
            variance = 1 / (1 / self._scale**2 + 1 / children) if children else 0.0
            height += 1
        self._nodes.append((height, variance, noise))
        total = torch.zeros(self._size)
        for _, _, node in self._nodes:
            total.add_(node)
        torch.sub(total, self._last, out=out)
        self._last = total
        return out


def tree_sensitivity(steps: int, period: int, restart: int) -> float:
    """Return the L2 sensitivity of all node sums of a run, in clipping norms.

    An example takes part in the same step of every pass over the data: at s, s + period, s + 2 · period …; trees begin
    anew every `restart` steps (0 for never). A node that holds it k times moves by k. The worst s is taken.
    """
    if min(steps, period) < 1 or restart < 0:
        raise ValueError("steps and period are at least 1, restart is 0 or more")
    length = restart or steps
    worst = 0
    for first in range(min(period, steps)):
        total = 0
        seen: dict[tuple[int, int, int], int] = {}
        for step in range(first, steps, period):
            tree, leaf = divmod(step, length)
            leaves = min(length, steps - tree * length)
            for height in range(leaves.bit_length()):
                node = leaf >> height
                if (node + 1) << height <= leaves:  # a node that is never complete is never released
                    seen[tree, height, node] = seen.get((tree, height, node), 0) + 1
        total = sum(count * count for count in seen.values())
        worst = max(worst, total)
    return math.sqrt(worst)
