"""Tree ensembles of any library as one record: the scores of rows, and the box of rows that reaches each leaf."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

Tensor = torch.Tensor

LEAF = -1
_VALUES = 2**24
"""Values a gather may hold at once (128 MiB of int64)."""


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees whose leaves add up to scores; m nodes of t trees in one table, for rows of `features` float32 values.

    feature: (m,) int64, the column a node asks about, −1 at a leaf. threshold: (m,) float32; x ≤ threshold goes left,
    whatever the library's own comparison is (see `at_most`). left, right: (m,) int64, nodes of this table.
    missing_left: (m,) bool, where a value that is no number goes. value: (m, classes) float64, what a leaf adds.
    roots: (t,) int64. base: (classes,) float64, added to every sum. The class of the highest sum is the answer; the
    first of equals.
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    missing_left: Tensor
    value: Tensor
    roots: Tensor
    base: Tensor
    features: int

    def leaves(self, x: Tensor) -> Tensor:
        """Find the leaf of each row x (n, features) in each tree → (n, t) int64 nodes."""
        node = self.roots.expand(len(x), -1)
        inner = self.feature[node] != LEAF
        while bool(inner.any()):
            value = x.gather(1, self.feature[node].clamp(min=0))
            down = (value <= self.threshold[node]) | (value.isnan() & self.missing_left[node])
            node = torch.where(inner, torch.where(down, self.left[node], self.right[node]), node)
            inner = self.feature[node] != LEAF
        return node

    def scores(self, x: Tensor) -> Tensor:
        """Sum the leaves of rows x (n, features) → (n, classes) float64."""
        size = max(1, _VALUES // max(1, len(self.roots) * self.value.shape[1]))
        parts = [self.base + self.value[self.leaves(part)].sum(1) for part in torch.split(x, size)]
        return torch.cat(parts) if parts else self.value.new_zeros(0, self.value.shape[1])

    def boxes(self) -> Boxes:
        """Find the rows that reach each leaf, level by level from the roots."""
        node, tree = self.roots, torch.arange(len(self.roots))
        column, low, high = _nothing_asked(len(node))
        done: list[Boxes] = []
        while len(node):
            leaf = self.feature[node] == LEAF
            done.append(Boxes(tree[leaf], self.value[node[leaf]], column[leaf], low[leaf], high[leaf]))
            node, tree, column, low, high = (part[~leaf] for part in (node, tree, column, low, high))
            column, low, high, slot = _asked(column, low, high, self.feature[node])
            edge, place = self.threshold[node].unsqueeze(1), slot.unsqueeze(1)
            under = high.scatter(1, place, torch.minimum(high.gather(1, place), edge))
            over = low.scatter(1, place, torch.maximum(low.gather(1, place), edge))
            node, tree = torch.cat((self.left[node], self.right[node])), tree.repeat(2)
            column, low, high = column.repeat(2, 1), torch.cat((low, over)), torch.cat((under, high))
        return _gathered(done)


@dataclass(frozen=True, slots=True)
class Boxes:
    """The leaves of a forest, k of them, each with the at most p columns asked on its way.

    tree: (k,) int64. value: (k, classes) float64. column: (k, p) int64, −1 where fewer were asked.
    low, high: (k, p) float32; a row reaches the leaf if low < x ≤ high in all its columns (±inf where open).
    """

    tree: Tensor
    value: Tensor
    column: Tensor
    low: Tensor
    high: Tensor

    def broken(self, x: Tensor) -> Tensor:
        """Tell which demands (n, k, p) of the leaves rows x (n, features) do not meet."""
        held = x[:, self.column.clamp(min=0)]
        return (held <= self.low) | (held > self.high)

    def broken_of(self, x: Tensor, near: Tensor) -> Tensor:
        """Tell which demands (n, q, p) of some leaves near (n, q), each row its own, rows x (n, features) break."""
        column = self.column[near].clamp(min=0)
        held = x.gather(1, column.flatten(1)).reshape(column.shape)
        return (held <= self.low[near]) | (held > self.high[near])


def at_most(threshold: np.ndarray, *, strict: bool) -> np.ndarray:
    """Turn "x < t" (strict) or "x ≤ t" with t (m,) in float64 into "x ≤ t′", t′ float32: the same for float32 x."""
    wide = np.asarray(threshold, dtype=np.float64)
    near = wide.astype(np.float32)
    over = near.astype(np.float64) >= wide if strict else near.astype(np.float64) > wide
    return np.where(over, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)


def forest(trees: list[dict[str, np.ndarray]], base: np.ndarray, features: int) -> Forest:
    """Join trees, each a table of nodes: feature, threshold, left, right, missing_left (m,) and value (m, classes).

    Nodes are numbered from 0, the root. A leaf has feature −1; its other entries but value do not count. Raises
    ValueError for a forest without trees.
    """
    if not trees:
        raise ValueError("the ensemble has no trees")
    starts = np.cumsum([0, *(len(tree["feature"]) for tree in trees)])
    joined = {key: np.concatenate([tree[key] for tree in trees]) for key in trees[0]}
    shift = np.repeat(starts[:-1], np.diff(starts))
    inner = joined["feature"] != LEAF
    left, right = (torch.from_numpy(np.where(inner, joined[key] + shift, 0).astype(np.int64)) for key in _SIDES)
    return Forest(
        feature=torch.from_numpy(joined["feature"].astype(np.int64)),
        threshold=torch.from_numpy(np.where(inner, joined["threshold"], 0).astype(np.float32)),
        left=left,
        right=right,
        missing_left=torch.from_numpy(joined["missing_left"].astype(bool)),
        value=torch.from_numpy(joined["value"].astype(np.float64)),
        roots=torch.from_numpy(starts[:-1].astype(np.int64)),
        base=torch.tensor(np.array(base, dtype=np.float64)),
        features=features,
    )


_SIDES = ("left", "right")


def _nothing_asked(count: int) -> tuple[Tensor, Tensor, Tensor]:
    column = torch.full((count, 0), LEAF)
    return column, torch.full((count, 0), -torch.inf), torch.full((count, 0), torch.inf)


def _asked(column: Tensor, low: Tensor, high: Tensor, feature: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give each way (n, p) a slot for the feature (n,) it asks about next; one more where it is new."""
    column, low, high = (
        torch.nn.functional.pad(part, (0, 1), value=fill)
        for part, fill in ((column, LEAF), (low, -torch.inf), (high, torch.inf))
    )
    known = column == feature.unsqueeze(1)
    free = (column == LEAF).long().argmax(1)
    slot = torch.where(known.any(1), known.long().argmax(1), free)
    return column.scatter(1, slot.unsqueeze(1), feature.unsqueeze(1)), low, high, slot


def _gathered(parts: list[Boxes]) -> Boxes:
    """Join the leaves of all levels, as wide as the longest way needs."""
    wide = max(int((part.column != LEAF).sum(1).max()) for part in parts if len(part.tree))
    padded = [_widened(part, wide) for part in parts if len(part.tree)]
    fields = ("tree", "value", "column", "low", "high")
    return Boxes(*(torch.cat([getattr(part, name) for part in padded]) for name in fields))


def _widened(boxes: Boxes, wide: int) -> Boxes:
    more = wide - boxes.column.shape[1]
    column, low, high = (
        torch.nn.functional.pad(part, (0, more), value=fill)
        for part, fill in ((boxes.column, LEAF), (boxes.low, -torch.inf), (boxes.high, torch.inf))
    )
    return Boxes(boxes.tree, boxes.value, column, low, high)
