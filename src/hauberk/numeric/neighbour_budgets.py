"""How many training rows exactly turn the vote of k nearest neighbours: taken out, put in, or relabelled."""

from __future__ import annotations

from typing import NamedTuple

import torch

Tensor = torch.Tensor

_BLOCK = 2**24


class Budgets(NamedTuple):
    """The least number of rows (m,) that turns each decision; n + 1 where no number of them does.

    decided: (m,) the class as it stands. removed: taken out of the training rows. added: put in anywhere, under any
    label. relabelled: given another label.
    """

    decided: Tensor
    removed: Tensor
    added: Tensor
    relabelled: Tensor


def ranked(rows: Tensor, inputs: Tensor) -> Tensor:
    """Order the training rows (n, d) by distance from each input (m, d): (m, n) indices, equals in their own order."""
    size = max(1, _BLOCK // max(1, len(rows)))
    return torch.cat([_far(part, rows).argsort(dim=1, stable=True) for part in torch.split(inputs, size)])


def budgets(order: Tensor, y: Tensor, classes: int, k: int) -> Budgets:
    """Count for each input what turns the vote of its k nearest rows, from their order (m, n) and labels y (n,).

    The most frequent class wins, the lowest among equals. Exact for each kind of change alone: of r rows taken out,
    those that matter lie among the first k + r, where the winner's go first and the rival's last; a row put in is best
    put on the input itself; a relabelled one is best taken from the winner. Of changes mixed, Jia et al. 2022,
    arXiv:2012.03765, give bounds.
    Raises ValueError unless 1 ≤ k ≤ n.
    """
    count = order.shape[1]
    if not 1 <= k <= count:
        raise ValueError(f"{k} neighbours of {count} rows")
    found = [_budget(y[line], classes, k) for line in order]
    columns = torch.tensor(found, dtype=torch.int64).reshape(-1, 4)
    return Budgets(*columns.unbind(1))


def _budget(labels: Tensor, classes: int, k: int) -> tuple[int, int, int, int]:
    """Do it for one input: labels (n,) from near to far."""
    seen = torch.nn.functional.one_hot(labels, classes).cumsum(0)
    votes = seen[k - 1]
    first, never = int(votes.argmax()), len(labels) + 1
    steps = torch.arange(len(labels) - k + 1)
    removed = _first(_after_removal(seen[k - 1 :], first, steps[:, None]), first)
    steps = torch.arange(k + 1)
    # r rows put in on the input leave the k − r nearest of old.
    old = torch.cat((torch.zeros(1, classes, dtype=torch.int64), seen[:k])).flip(0)
    added = _first((old[:, first, None], old + steps[:, None]), first)
    own = torch.minimum(steps, votes[first])[:, None]
    other = torch.minimum(steps[:, None] - own, k - votes[first] - votes)
    relabelled = _first((votes[first] - own, votes + own + other), first)
    removed, added, relabelled = (never if number is None else number for number in (removed, added, relabelled))
    return first, removed, added, relabelled


def _after_removal(seen: Tensor, first: int, steps: Tensor) -> tuple[Tensor, Tensor]:
    """Give the winner's votes (r, 1) and each rival's (r, classes) once the best r of the first k + r rows are out."""
    winner = seen[:, first, None]
    of_winner = torch.minimum(steps, winner)
    others = seen.sum(1, keepdim=True) - winner - seen
    of_others = torch.minimum(steps - of_winner, others)
    return winner - of_winner, seen - (steps - of_winner - of_others)


def _first(votes: tuple[Tensor, Tensor], first: int) -> int | None:
    """Return the first number of changes at which a rival wins; None where none does."""
    winner, rivals = votes
    classes = torch.arange(rivals.shape[1])
    wins = (rivals > winner) | ((rivals == winner) & (classes < first))
    wins[:, first] = False
    there = wins.any(1).nonzero()[:, 0]
    return int(there[0]) if len(there) else None


def _far(inputs: Tensor, rows: Tensor) -> Tensor:
    # By differences: the quicker product form rounds equal rows to unequal distances.
    return torch.cdist(inputs, rows, compute_mode="donot_use_mm_for_euclid_dist")
