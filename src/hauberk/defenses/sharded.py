"""A model of shards that can forget: each shard saw its own rows alone, in slices, with a state kept before each."""

from __future__ import annotations

import copy
from collections.abc import Collection

import torch
from torch import nn

from hauberk.defenses.plain_training import Course, fit
from hauberk.numeric.private_noise import NoiseSource


class Committee(nn.Module):
    """The mean of the shards' probabilities, as logits."""

    def __init__(self, shards: list[nn.Module]) -> None:
        super().__init__()
        self.shards = nn.ModuleList(shards)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Score inputs (n, …) → (n, classes)."""
        shares = torch.stack([shard(x).softmax(1) for shard in self.shards])
        return shares.mean(0).clamp_min(1e-30).log()


class Shards:
    """Shards of slices of rows. Bourtoule et al. 2021, arXiv:1912.03817 (SISA).

    fresh: the network before any training. A row is in one slice of one shard, for ever; to forget it, its shard is
    taken back to the state before that slice and trained on what is left: as if the row had never been there.
    """

    def __init__(
        self, fresh: nn.Module, x: torch.Tensor, y: torch.Tensor, shards: int, slices: int, course: Course, seed: int
    ) -> None:
        self._x, self._y, self._course, self._seed = x, y, course, seed
        order = NoiseSource.seeded(torch.Generator().manual_seed(seed)).permutation(len(y))
        self._plan = [list(part.chunk(slices)) for part in order.chunk(shards)]
        self._states: list[list[nn.Module]] = [[copy.deepcopy(fresh)] for _ in self._plan]
        for shard in range(len(self._plan)):
            self._learn(shard, 0)

    def _learn(self, shard: int, first: int) -> int:
        """Train a shard from the state before slice `first` on; returns the slices trained."""
        states = self._states[shard] = self._states[shard][: first + 1]
        for index in range(first, len(self._plan[shard])):
            module = copy.deepcopy(states[-1])
            rows = torch.cat(self._plan[shard][: index + 1])
            if len(rows) >= 2:
                # A seed of the place alone: forgetting gives, bit for bit, what training without the rows gives.
                rng = torch.Generator().manual_seed(self._seed + 7919 * shard + index)
                fit(module, self._x[rows], self._y[rows], self._course, rng)
            states.append(module)
        return len(self._plan[shard]) - first

    def forget(self, rows: Collection[int]) -> int:
        """Forget rows by their index; returns how many slices were trained again, of shards × slices."""
        wanted = torch.tensor(sorted(rows))
        again = 0
        for shard, slices in enumerate(self._plan):
            hit = [index for index, part in enumerate(slices) if bool(torch.isin(part, wanted).any())]
            if hit:
                self._plan[shard] = [part[~torch.isin(part, wanted)] for part in slices]
                again += self._learn(shard, hit[0])
        return again

    def committee(self) -> Committee:
        """Return the model as it is now."""
        return Committee([copy.deepcopy(states[-1]) for states in self._states]).eval()
