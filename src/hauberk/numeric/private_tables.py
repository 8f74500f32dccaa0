"""Private synthetic tables: noisy marginals along a tree of columns that depend on each other, and rows drawn from it.

The tree is chosen by the exponential mechanism on how much two columns depend on each other.
McKenna, Miklau & Sheldon 2021, arXiv:2108.04978 (MST), for tables of a few dozen columns with small domains.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from hauberk.core.privacy_events import Event
from hauberk.numeric.private_noise import NoiseSource
from hauberk.numeric.private_statistics import count, exponential, histogram


class SyntheticTable(NamedTuple):
    """Rows (m, d) int64 of codes, what was released, and the pairs of columns whose dependence was kept."""

    rows: torch.Tensor
    events: tuple[Event, ...]
    pairs: tuple[tuple[int, int], ...]


def synthesise(
    codes: torch.Tensor, sizes: Sequence[int], m: int, noise: float, epsilon_choice: float, source: NoiseSource
) -> SyntheticTable:
    """Draw m rows like those of a table, codes (n, d), column j in 0 … sizes[j] − 1, which are known beforehand.

    noise: multiplier of each of the 2d − 1 marginals. epsilon_choice: of choosing the tree, in all. Dependences that no
    pair shows, and rare combinations, are lost. Raises ValueError for codes outside their domain.
    """
    n, d = codes.shape
    if len(sizes) != d or d < 1:
        raise ValueError(f"{d} columns and {len(sizes)} sizes")
    if n and (int(codes.min()) < 0 or bool((codes >= torch.tensor(list(sizes))).any())):
        raise ValueError("a code lies outside its column's domain")
    events: list[Event] = []
    singles = []
    for column, size in enumerate(sizes):
        answer = histogram(codes[:, column], size, noise, source)
        singles.append(_shares(answer.values))
        events += answer.events
    number = count(n, noise, source, laplace=False)
    total = max(1.0, float(number.values))
    events += number.events
    pairs = _tree(codes, sizes, singles, total, epsilon_choice, source, events)
    joint = {}
    for one, two in pairs:
        answer = histogram(codes[:, one] * sizes[two] + codes[:, two], sizes[one] * sizes[two], noise, source)
        joint[one, two] = _shares(answer.values).view(sizes[one], sizes[two])
        events += answer.events
    return SyntheticTable(_drawn(singles, joint, pairs, m, source), tuple(events), tuple(pairs))


def _shares(counts: torch.Tensor) -> torch.Tensor:
    total = float(counts.sum())
    return counts / total if total > 0 else torch.full_like(counts, 1 / len(counts))


def _tree(
    codes: torch.Tensor,
    sizes: Sequence[int],
    singles: list[torch.Tensor],
    total: float,
    epsilon: float,
    source: NoiseSource,
    events: list[Event],
) -> list[tuple[int, int]]:
    """Join columns one edge at a time; a pair's score is the L1 distance of its counts from independence.

    One row moves a count by 1, and the noisy independent estimate not at all: the sensitivity is 1.
    """
    d = len(sizes)
    root = list(range(d))
    pairs: list[tuple[int, int]] = []
    scores = {}
    for one in range(d):
        for two in range(one + 1, d):
            flat = codes[:, one] * sizes[two] + codes[:, two]
            seen = torch.bincount(flat, minlength=sizes[one] * sizes[two]).double()
            scores[one, two] = (seen - total * torch.outer(singles[one], singles[two]).view(-1)).abs().sum()
    while len(pairs) < d - 1:
        open_pairs = [pair for pair in scores if root[pair[0]] != root[pair[1]]]
        values = torch.stack([scores[pair] for pair in open_pairs])
        index, event = exponential(values, 1.0, epsilon / (d - 1), source)
        one, two = open_pairs[index]
        pairs.append((one, two))
        events.append(event)
        root = [root[one] if value == root[two] else value for value in root]
    return pairs


def _drawn(
    singles: list[torch.Tensor],
    joint: dict[tuple[int, int], torch.Tensor],
    pairs: list[tuple[int, int]],
    m: int,
    source: NoiseSource,
) -> torch.Tensor:
    """Draw column after column along the tree, each given its neighbour."""
    rows = torch.zeros(m, len(singles), dtype=torch.int64)
    rows[:, 0] = _choose(singles[0].expand(m, -1), source)
    known, left = {0}, list(pairs)
    while left:
        pair = next(pair for pair in left if (pair[0] in known) != (pair[1] in known))
        left.remove(pair)
        one, two = pair if pair[0] in known else (pair[1], pair[0])
        table = joint[pair] if pair[0] == one else joint[pair].T
        given = table / table.sum(1, keepdim=True).clamp_min(1e-30)
        empty = table.sum(1) <= 0
        given[empty] = singles[two]
        rows[:, two] = _choose(given[rows[:, one]], source)
        known.add(two)
    return rows


def _choose(shares: torch.Tensor, source: NoiseSource) -> torch.Tensor:
    """Draw one index a row from shares (m, k)."""
    edges = shares.cumsum(1)
    edges = edges / edges[:, -1:]
    return (source.uniform(len(shares)).unsqueeze(1) >= edges).sum(1).clamp_max(shares.shape[1] - 1)
