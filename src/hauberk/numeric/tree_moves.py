"""What the scores of a forest become after every change of one column, exactly and for all cells at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hauberk.numeric.tree import LEAF, Boxes, Forest

Tensor = torch.Tensor

_DEMANDS = 2**24
"""Demands of leaves, or scores, in one piece (a few hundred MiB at most)."""


@dataclass(frozen=True, slots=True)
class Cells:
    """What the thresholds of a forest cut its columns into: within a cell no score changes. c cells of all columns.

    column: (c,) int64, columns in order. low, high: (c,) float32: low < x ≤ high. boxes: the leaves.
    start, end: (k, p) int64, the cells [start, end) that meet each demand of each leaf. open, close: (k, p) int64, all
    cells of that demand's column.
    """

    column: Tensor
    low: Tensor
    high: Tensor
    boxes: Boxes
    start: Tensor
    end: Tensor
    open: Tensor
    close: Tensor

    def scores(self, forest: Forest, x: Tensor, near: Tensor) -> Tensor:
        """Score rows x (n, d) after moving one column into each cell → (n, c, classes) float64.

        near: (n, q) int64, the leaves that count for each row, −1 where there are fewer; scores are right wherever no
        other leaf is reached (`tree_reach.near_leaves`).
        A leaf whose demands all hold is left by moves out of one of its columns' cells; a leaf with one broken demand
        is reached by moves into that demand's cells. Adding these steps up along the cells gives every score.
        """
        size = max(1, _DEMANDS // max(1, near.shape[1] * self.start.shape[1], len(self.column) * len(forest.base)))
        pieces = zip(torch.split(x, size), torch.split(near, size), strict=True)
        parts = [self._scores(forest, part, leaves) for part, leaves in pieces]
        return torch.cat(parts) if parts else forest.value.new_zeros(0, len(self.column), len(forest.base))

    def _scores(self, forest: Forest, x: Tensor, near: Tensor) -> Tensor:
        n, wide = len(x), len(self.column) + 1
        broken = self.boxes.broken_of(x, near)
        missed = broken.sum(2, dtype=torch.int8).masked_fill(near < 0, 2).unsqueeze(2)
        row, place = (missed.squeeze(2) == 0).nonzero().unbind(1)
        still = forest.base.expand(n, -1).index_add(0, row, self.boxes.value[near[row, place]])
        asked = self.boxes.column[near] != LEAF
        steps = forest.value.new_zeros(n * wide, len(forest.base))
        beside = (broken & (missed == 1)).nonzero().unbind(1)
        here = (asked & (missed == 0)).nonzero().unbind(1)
        for (row, place, slot), inside in ((beside, True), (here, False)):
            leaf = near[row, place]
            value = self.boxes.value[leaf]
            steps.index_add_(0, row * wide + self.start[leaf, slot], value)
            steps.index_add_(0, row * wide + self.end[leaf, slot], -value)
            if not inside:
                steps.index_add_(0, row * wide + self.open[leaf, slot], -value)
                steps.index_add_(0, row * wide + self.close[leaf, slot], value)
        return still.unsqueeze(1) + steps.reshape(n, wide, len(forest.base)).cumsum(1)[:, :-1]


def cells(forest: Forest) -> Cells:
    """Cut the columns of a forest at its thresholds; a column no tree asks about has one cell."""
    boxes = forest.boxes()
    column, low, high, start, end = [], [], [], torch.zeros_like(boxes.column), torch.zeros_like(boxes.column)
    first, last, count = torch.zeros_like(boxes.column), torch.zeros_like(boxes.column), 0
    for feature in range(forest.features):
        edges = torch.unique(forest.threshold[forest.feature == feature])
        open_end = edges.new_full((1,), torch.inf)
        column.append(torch.full((len(edges) + 1,), feature))
        low.append(torch.cat((-open_end, edges)))
        high.append(torch.cat((edges, open_end)))
        mine = boxes.column == feature
        # The cell after a threshold begins at its place + 1; where a demand is open, it begins with the first cell.
        start[mine] = count + _place(edges, boxes.low[mine], 0)
        end[mine] = count + _place(edges, boxes.high[mine], len(edges) + 1)
        first[mine], last[mine] = count, count + len(edges) + 1
        count += len(edges) + 1
    return Cells(torch.cat(column), torch.cat(low), torch.cat(high), boxes, start, end, first, last)


def _place(edges: Tensor, bound: Tensor, infinite: int) -> Tensor:
    return torch.where(bound.isinf(), infinite, torch.searchsorted(edges, bound.contiguous()) + 1)
