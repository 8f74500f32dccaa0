"""Several processes that train one network: each takes a part of every batch, and all take the same step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import torch
import torch.distributed

Tensor = torch.Tensor


class Tally(NamedTuple):
    """What a step came to over all workers: mean loss, and whether any of them wants to go back."""

    loss: float
    derailed: bool


class Team(Protocol):
    """A worker's view of all. rank: its number, 0 leads: it keeps checkpoints and shows progress. size: of the team."""

    @property
    def rank(self) -> int:
        """Number of this worker, from 0."""
        ...

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def settle(self, parameters: Sequence[torch.nn.Parameter], loss: float, samples: int, *, derailed: bool) -> Tally:
        """Replace every gradient by the mean over all workers' samples."""
        ...

    def level(self, module: torch.nn.Module) -> None:
        """Replace buffers, such as a batch norm's statistics, by their mean over workers."""
        ...

    def agreed(self, clock: Callable[[], float]) -> float:
        """Read the leader's clock, so that all decide alike."""
        ...


class Alone:
    """A team of one."""

    rank, size = 0, 1

    def settle(self, _: Sequence[torch.nn.Parameter], loss: float, __: int, *, derailed: bool) -> Tally:
        """Leave gradients as they are."""
        return Tally(loss, derailed)

    def level(self, module: torch.nn.Module) -> None:
        """Leave buffers as they are."""

    def agreed(self, clock: Callable[[], float]) -> float:
        """Read the clock."""
        return clock()


class Gloo:
    """A worker of a torch.distributed group that has been joined."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size

    def settle(self, parameters: Sequence[torch.nn.Parameter], loss: float, samples: int, *, derailed: bool) -> Tally:
        """Add up gradients, loss and samples in one message, and divide."""
        kept = [row.grad if row.grad is not None else torch.zeros_like(row) for row in parameters]
        facts = torch.tensor([loss * samples, float(samples), float(derailed)])
        flat = torch.cat([*(slope.flatten().cpu() * samples for slope in kept), facts])
        torch.distributed.all_reduce(flat)
        total, count, fell = flat[-3:].tolist()
        start = 0
        for parameter, slope in zip(parameters, kept, strict=True):
            mean = flat[start : start + slope.numel()] / count
            parameter.grad = mean.reshape(slope.shape).to(slope)
            start += slope.numel()
        return Tally(total / count, fell > 0)

    def level(self, module: torch.nn.Module) -> None:
        """Average floating-point buffers over workers."""
        buffers = [row for row in module.buffers() if row.is_floating_point()]
        if not buffers:
            return
        flat = torch.cat([row.flatten().cpu() for row in buffers])
        torch.distributed.all_reduce(flat)
        start = 0
        for row in buffers:
            row.copy_((flat[start : start + row.numel()] / self.size).reshape(row.shape))
            start += row.numel()

    def agreed(self, clock: Callable[[], float]) -> float:
        """Send the leader's reading to all."""
        now = torch.tensor([clock()], dtype=torch.float64)
        torch.distributed.broadcast(now, 0)
        return float(now)


ALONE = Alone()
