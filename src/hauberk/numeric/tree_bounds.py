"""Verified bounds for tree ensembles: samples no allowed row of which can be an error, and radii that are safe."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hauberk.core.threat import Ball, Norm
from hauberk.numeric.active import take
from hauberk.numeric.balls import Region, region
from hauberk.numeric.losses import Aim
from hauberk.numeric.rows import Rows
from hauberk.numeric.tree import LEAF, Boxes, Forest
from hauberk.numeric.tree_moves import cells
from hauberk.numeric.tree_reach import budget_of, near_leaves, norm_of, reach, spent, taken

Tensor = torch.Tensor

_CLEAR = 1e-6
"""Share of the scores' size by which a bound must miss an error: the library sums in float32."""
_SCORES = 2**22
"""Scores of single changes held at once."""
_PAIRS = 2**16
"""Trees are not merged where that would look at more pairs of leaves."""


@dataclass(frozen=True, slots=True)
class Group:
    """What several trees can say together: b boxes of rows that reach one leaf of each.

    low, high: (b, d) float32, low < x ≤ high. value: (b, rivals) float64, what an error gains there.
    """

    low: Tensor
    high: Tensor
    value: Tensor


def certified(forest: Forest, where: Region | Rows, aim: Aim, merges: int = 3) -> Tensor:
    """Tell of which samples (n,) it is proven that no row of their set is an error; False says nothing.

    The best leaf of each tree, all chosen apart, bounds what an error can gain; where that is not enough trees are
    merged two by two, `merges` times over, into boxes of rows that reach a leaf of each (Chen et al. 2019,
    arXiv:1906.03849, section 4, whose cliques these boxes are). Relations and one-hot groups of a table are left out
    of account, so that the proof holds for more rows than are allowed. Where a single column may change every such
    change is scored: the answer is then exact.
    """
    if _lonely(where):
        return _one_change(forest, where, aim)
    boxes = forest.boxes()
    near = near_leaves(boxes, where)
    sure = torch.zeros(len(where.center), dtype=torch.bool)
    for row in range(len(where.center)):
        gains, start, slack = _gains(forest, boxes, aim, row)
        leaves = near[row][near[row] >= 0]
        if bool((start + _best_apart(boxes.tree[leaves], gains[leaves], len(forest.roots)) < -slack).all()):
            sure[row] = True
        elif merges:
            here = taken(where, torch.tensor([row]))
            groups = [_group(boxes, gains, own, forest.features) for own in _by_tree(boxes, leaves)]
            sure[row] = _below(groups, here, start, slack, merges)
    return sure


def _lonely(where: Region | Rows) -> bool:
    """Tell whether one column may change at most, and no one-hot group, whose columns change together."""
    if isinstance(where, Rows) and any(len(columns) > 1 for columns in where.units):
        return False
    return norm_of(where) == "l0" and budget_of(where) < 2


def _one_change(forest: Forest, where: Region | Rows, aim: Aim) -> Tensor:
    """Score every row a single change leads to, the clean ones among them."""
    cut, sure = cells(forest), []
    size = max(1, _SCORES // (len(cut.column) * len(forest.base)))
    for part in torch.split(torch.arange(len(where.center)), size):
        here = taken(where, part)
        scores = cut.scores(forest, here.center, near_leaves(cut.boxes, here))
        each = take(aim, part.repeat_interleave(len(cut.column)))
        safe = each.lead(scores.flatten(0, 1)).reshape(scores.shape[:2]) < -_CLEAR * scores.abs().amax(2)
        sure.append((safe | ~reach(cut, here).able).all(1) & (take(aim, part).lead(forest.scores(here.center)) < 0))
    return torch.cat(sure) if sure else torch.zeros(0, dtype=torch.bool)


def _best_apart(tree: Tensor, gains: Tensor, trees: int) -> Tensor:
    """Add up each tree's best gain (rivals,) over its leaves (q,)."""
    best = gains.new_full((trees, gains.shape[1]), -torch.inf)
    return best.scatter_reduce(0, tree.unsqueeze(1).expand_as(gains), gains, "amax").sum(0)


def safe_radius(
    forest: Forest,
    norm: Norm,
    x: Tensor,
    aim: Aim,
    bounds: tuple[float, float],
    largest: float,
    merges: int = 3,
    halvings: int = 10,
) -> Tensor:
    """Find for each row x (n, d) a radius (n,) float64 in which it is proven that there is no error, 0 … `largest`.

    By bisection: the true distance of the nearest error lies above it, by more than the bisection's width.
    """
    low, high = torch.zeros(len(x), dtype=torch.float64), torch.full((len(x),), largest, dtype=torch.float64)
    for turn in range(halvings + 1):
        middle = high if turn == 0 else (low + high) / 2
        for row in range(len(x)):
            one = torch.tensor([row])
            ball = region(Ball(norm, float(middle[row])), x[one], bounds)
            wanted = None if aim.wanted is None else aim.wanted[one]
            if bool(certified(forest, ball, Aim(aim.labels[one], wanted, aim.strict), merges)[0]):
                low[row] = middle[row]
            else:
                high[row] = middle[row]
    return low


def _gains(forest: Forest, boxes: Boxes, aim: Aim, row: int) -> tuple[Tensor, Tensor, float]:
    """Say what each leaf (k, rivals) adds to the rivals' lead over the label, what they start with, and the slack."""
    label = int(aim.labels[row])
    if aim.strict and aim.wanted is not None:
        rivals = [int(aim.wanted[row])]
    else:
        rivals = [rival for rival in range(len(forest.base)) if rival != label]
    size = float(boxes.value.abs().max()) * len(forest.roots) + float(forest.base.abs().max())
    start = forest.base[rivals] - forest.base[label]
    return boxes.value[:, rivals] - boxes.value[:, label : label + 1], start, _CLEAR * size


def _by_tree(boxes: Boxes, leaves: Tensor) -> list[Tensor]:
    tree = boxes.tree[leaves]
    order = tree.argsort(stable=True)
    return list(torch.split(leaves[order], torch.unique(tree, return_counts=True)[1].tolist()))


def _group(boxes: Boxes, gains: Tensor, leaves: Tensor, features: int) -> Group:
    """Write leaves (b,) as boxes over all columns."""
    column = torch.where(boxes.column[leaves] == LEAF, features, boxes.column[leaves])
    low = torch.full((len(leaves), features + 1), -torch.inf).scatter(1, column, boxes.low[leaves])
    high = torch.full((len(leaves), features + 1), torch.inf).scatter(1, column, boxes.high[leaves])
    return Group(low[:, :features], high[:, :features], gains[leaves])


def _below(groups: list[Group], where: Region | Rows, start: Tensor, slack: float, merges: int) -> bool:
    """Tell whether the gains of all groups together stay below an error, merging until they do."""
    for turn in range(merges + 1):
        total = start + torch.stack([group.value.amax(0) for group in groups]).sum(0)
        if bool((total < -slack).all()):
            return True
        if turn == merges or len(groups) == 1:
            return False
        pairs = [groups[first : first + 2] for first in range(0, len(groups), 2)]
        groups = [group for pair in pairs for group in _merged(pair, where)]
    return False


def _merged(pair: list[Group], where: Region | Rows) -> list[Group]:
    """Intersect the boxes of two groups, where there are not too many, and keep those the sample can reach."""
    if len(pair) == 1 or len(pair[0].value) * len(pair[1].value) > _PAIRS:
        return pair
    first, second = pair
    low = torch.maximum(first.low.unsqueeze(1), second.low.unsqueeze(0)).flatten(0, 1)
    high = torch.minimum(first.high.unsqueeze(1), second.high.unsqueeze(0)).flatten(0, 1)
    kept = _reached(low, high, where)
    value = (first.value.unsqueeze(1) + second.value.unsqueeze(0)).flatten(0, 1)
    return [Group(low[kept], high[kept], value[kept])]


def _reached(low: Tensor, high: Tensor, where: Region | Rows) -> Tensor:
    """Tell which boxes (b, d) hold a row of the one sample's set, by its bounds and by what the way there costs."""
    center = where.center
    least = torch.maximum(torch.nextafter(low, torch.full_like(low, torch.inf)), where.lower)
    most = torch.minimum(high, where.upper)
    holds = (center > low) & (center <= high)
    move = torch.where(holds, 0.0, torch.minimum(torch.maximum(center, least), most) - center)
    price = spent(move, norm_of(where))
    if isinstance(where, Rows):
        single = torch.tensor([len(columns) == 1 for columns in where.units])[where.unit]
        price = price * single
    fits = (holds | (least <= most)).all(1) & (low < high).all(1)
    return fits & (price.sum(1) <= budget_of(where))
