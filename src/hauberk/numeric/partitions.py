"""Training rows spread over base learners by digest, and how many rows it takes to turn the learners' vote."""

from __future__ import annotations

import hashlib

import torch

Tensor = torch.Tensor


def buckets(x: Tensor, count: int) -> Tensor:
    """Put each row x (n, *shape) into one of `count` buckets by the digest of its values alone: (n,) int64.

    Neither the label nor any other row has a say: a row that is put in, taken out, or given another label touches one
    bucket; a row whose values are changed touches two. Levine and Feizi 2021, arXiv:2006.14768, §3 (the hash of SS-DPA,
    which serves DPA as well).
    """
    rows = x.detach().cpu().float().flatten(1).contiguous().numpy()
    found = [int.from_bytes(hashlib.blake2b(row.tobytes(), digest_size=8).digest(), "little") % count for row in rows]
    return torch.tensor(found, dtype=torch.int64)


def canonical_order(x: Tensor, y: Tensor) -> Tensor:
    """Order rows x (n, *shape), y (n,) by label, then by digest: (n,) indices that no order of the data set changes."""
    rows = x.detach().cpu().float().flatten(1).contiguous().numpy()
    keys = [(int(label), hashlib.blake2b(row.tobytes()).digest()) for row, label in zip(rows, y.tolist(), strict=True)]
    return torch.tensor(sorted(range(len(keys)), key=keys.__getitem__), dtype=torch.int64)


def spreading(parts: int, degree: int) -> Tensor:
    """Say which learners see which bucket: (m, degree) indices of m = parts · degree learners for each of m buckets.

    degree 1: each learner has a bucket of its own (deep partition aggregation). More: every bucket goes to `degree`
    learners and every learner has `degree` smaller buckets, at distances drawn once for all data sets (finite
    aggregation; Wang et al. 2022, arXiv:2202.02628, §4.1). A learner sees 1 / parts of the rows either way.
    Raises ValueError where either is below 1.
    """
    if parts < 1 or degree < 1:
        raise ValueError(f"{parts} parts, each row seen {degree} times: both must be at least 1")
    learners = parts * degree
    steps = torch.randperm(learners, generator=torch.Generator().manual_seed(0))[:degree]
    if degree == 1:
        steps = torch.zeros(1, dtype=torch.int64)
    return (torch.arange(learners)[:, None] + steps) % learners


def elected(votes: Tensor, classes: int) -> Tensor:
    """Return the class (n,) most learners vote for, votes (n, m); among equals the lowest."""
    return _tally(votes, classes).argmax(1)


def proven(votes: Tensor, spread: Tensor, classes: int) -> Tensor:
    """Return how many buckets may be replaced at will without turning the vote (n,) int64, from votes (n, m).

    A bucket can cost the elected class a at most Σ (1 + [vote is a] − [vote is b]) of its lead over b, summed over the
    learners that see it. The answer is the largest r such that the r dearest buckets together do not use up the lead
    over any b. Wang et al. 2022, Theorem 2; with a degree of 1 it is ⌊lead / 2⌋, Levine and Feizi 2021, Theorem 1.
    """
    tally = _tally(votes, classes)
    first = tally.argmax(1)
    rows = torch.arange(len(votes))
    least = torch.full((len(votes),), len(spread), dtype=torch.int64)
    for rival in range(classes):
        # Among equals the lowest class is elected: a rival below needs one vote less.
        lead = tally[rows, first] - tally[:, rival] - (rival < first).long()
        worth = 1 + (votes == first[:, None]).long() - (votes == rival).long()
        cost = worth[:, spread].sum(2).sort(1, descending=True).values.cumsum(1)
        held = (cost <= lead[:, None]).sum(1)
        least = torch.where(first == rival, least, torch.minimum(least, held))
    return least


def _tally(votes: Tensor, classes: int) -> Tensor:
    return torch.zeros(len(votes), classes, dtype=torch.int64).scatter_add_(1, votes, torch.ones_like(votes))
