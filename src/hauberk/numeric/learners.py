"""Small classifiers of two classes for attacks that learn: logistic regression, forest, neighbours, network."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import nn

from hauberk.numeric.adam import Adam

Tensor = torch.Tensor
Learner: TypeAlias = Literal["logistic", "forest", "neighbours", "network"]
Scorer: TypeAlias = Callable[[Tensor], Tensor]
Fit: TypeAlias = Callable[[Tensor, Tensor, torch.Generator], Scorer]
"""Features (n, d), which are of the positive class (n,) bool, randomness → scores (m,) float64 of features (m, d)."""

BLOCK = 1024


def logistic(x: Tensor, positive: Tensor, rng: torch.Generator) -> Scorer:  # noqa: ARG001
    """Fit logistic regression by Newton's method with a small ridge; the score is the log odds."""
    design, goal = _with_one(x), positive.double()
    weight = torch.zeros(design.shape[1], dtype=torch.float64)
    ridge = 1e-3 * len(x) * torch.eye(design.shape[1], dtype=torch.float64)
    for _ in range(25):
        chance = torch.sigmoid(design @ weight)
        slope = design.T @ (goal - chance) - ridge @ weight
        bend = (design * (chance * (1 - chance)).clamp_min(1e-6)[:, None]).T @ design + ridge
        move = torch.linalg.solve(bend, slope)
        weight = weight + move
        if float(move.abs().max()) < 1e-8:
            break
    return lambda other: _with_one(other) @ weight


def neighbours(x: Tensor, positive: Tensor, rng: torch.Generator) -> Scorer:  # noqa: ARG001
    """Score by the share of positives among the √n nearest; among equal shares the nearer positives win."""
    known, goal = x.double(), positive.double()
    k = max(1, round(math.sqrt(len(x))))

    def score(other: Tensor) -> Tensor:
        rows = []
        for part in torch.split(other.double(), BLOCK):
            near = torch.cdist(part, known).topk(k, largest=False)
            closeness = 1 / (1 + near.values)
            hits = goal[near.indices]
            rows.append(hits.mean(1) + 1e-6 * (closeness * (2 * hits - 1)).mean(1))
        return torch.cat(rows)

    return score


def network(x: Tensor, positive: Tensor, rng: torch.Generator) -> Scorer:
    """Fit a network of one hidden layer of 32 by Adam; the score is the log odds."""
    first, last = nn.Linear(x.shape[1], 32), nn.Linear(32, 1)
    for layer in (first, last):
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=rng)
        nn.init.zeros_(layer.bias)
    model = nn.Sequential(first, nn.ReLU(), last)
    data, goal = x.float(), positive.float()
    optimizer = Adam(model.parameters(), 3e-3)
    with torch.enable_grad():
        for _ in range(800):
            rows = torch.randint(len(data), (min(256, len(data)),), generator=rng)
            logits = model(data[rows])[:, 0]
            optimizer.step(nn.functional.binary_cross_entropy_with_logits(logits, goal[rows]))

    def score(other: Tensor) -> Tensor:
        with torch.no_grad():
            answer: Tensor = model(other.float())[:, 0]
        return answer.double()

    return score


def forest(x: Tensor, positive: Tensor, rng: torch.Generator) -> Scorer:
    """Fit 40 extremely randomised trees of depth 7 (Geurts et al. 2006); the score is their mean share of positives."""
    trees = [_tree(x.double(), positive.double(), rng) for _ in range(40)]

    def score(other: Tensor) -> Tensor:
        return torch.stack([_fall(tree, other.double()) for tree in trees]).mean(0)

    return score


_DEPTH, _TRIES = 7, 8


def _tree(x: Tensor, goal: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Grow a whole binary tree level by level: columns, thresholds (2^depth − 1,) and leaf shares (2^depth,).

    Every node draws a few columns and thresholds between random rows of its own and keeps the purest cut.
    """
    columns = torch.zeros(2**_DEPTH - 1, dtype=torch.long)
    cuts = torch.zeros(2**_DEPTH - 1, dtype=torch.float64)
    leaf = torch.zeros(len(x), dtype=torch.long)
    for level in range(_DEPTH):
        start = 2**level - 1
        best = torch.full((2**level,), math.inf, dtype=torch.float64)
        for _ in range(_TRIES):
            column = torch.randint(x.shape[1], (2**level,), generator=rng)
            cut = _drawn_cuts(x, leaf, column, rng)
            mixed = _impurity(x, goal, leaf, column, cut)
            better = mixed < best
            best = torch.where(better, mixed, best)
            place = start + better.nonzero()[:, 0]
            columns[place], cuts[place] = column[better], cut[better]
        node = start + leaf
        leaf = 2 * leaf + (x.gather(1, columns[node][:, None])[:, 0] > cuts[node]).long()
    size = torch.bincount(leaf, minlength=2**_DEPTH).double()
    share = (torch.bincount(leaf, goal, minlength=2**_DEPTH) + goal.mean()) / (size + 1)
    return columns, cuts, share


def _drawn_cuts(x: Tensor, leaf: Tensor, column: Tensor, rng: torch.Generator) -> Tensor:
    """Draw each node's threshold uniformly between its rows' least and greatest value of its column."""
    own = x.gather(1, column[leaf][:, None])[:, 0]
    low = torch.full((len(column),), math.inf, dtype=torch.float64).scatter_reduce(0, leaf, own, "amin")
    high = torch.full((len(column),), -math.inf, dtype=torch.float64).scatter_reduce(0, leaf, own, "amax")
    share = torch.rand(len(column), generator=rng, dtype=torch.float64)
    return torch.where(high > low, low + share * (high - low), 0.0)


def _impurity(x: Tensor, goal: Tensor, leaf: Tensor, column: Tensor, cut: Tensor) -> Tensor:
    """Sum p (1 − p) · rows over the two sides of each node's cut."""
    side = 2 * leaf + (x.gather(1, column[leaf][:, None])[:, 0] > cut[leaf]).long()
    size = torch.bincount(side, minlength=2 * len(column)).double()
    hits = torch.bincount(side, goal, minlength=2 * len(column))
    return (hits * (1 - hits / size.clamp_min(1))).reshape(-1, 2).sum(1)


def _fall(tree: tuple[Tensor, Tensor, Tensor], x: Tensor) -> Tensor:
    columns, cuts, share = tree
    leaf = torch.zeros(len(x), dtype=torch.long)
    for level in range(_DEPTH):
        node = 2**level - 1 + leaf
        leaf = 2 * leaf + (x.gather(1, columns[node][:, None])[:, 0] > cuts[node]).long()
    return share[leaf]


def _with_one(x: Tensor) -> Tensor:
    return torch.cat((x.double(), torch.ones(len(x), 1, dtype=torch.float64)), 1)


LEARNERS: dict[Learner, Fit] = {
    "logistic": logistic,
    "forest": forest,
    "neighbours": neighbours,
    "network": network,
}
