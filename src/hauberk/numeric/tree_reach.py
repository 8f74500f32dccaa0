"""Which cells of a forest's columns samples may move into, where in them, and what that costs of their radius."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hauberk.core.threat import Norm
from hauberk.numeric.active import take
from hauberk.numeric.balls import Region
from hauberk.numeric.rows import Rows
from hauberk.numeric.tree import LEAF, Boxes
from hauberk.numeric.tree_moves import Cells

Tensor = torch.Tensor

_DEMANDS = 2**24
"""Demands of leaves looked at in one piece (a few hundred MiB at most)."""
_ROUNDING = 1e-6
"""Share of an l1 or l2 radius kept clear of rounding."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The moves of n samples into c cells.

    value: (n, c) float32, the value of the cell nearest to the clean one. able: (n, c) bool, whether there is one.
    cost: (n, c) float64, what a column there adds to the distance: of an l2 ball its square, of rows a changed column.
    budget: the costs of all columns may add up to it; infinite where each column is bound by itself.
    """

    value: Tensor
    able: Tensor
    cost: Tensor
    budget: float


def reach(cells: Cells, where: Region | Rows) -> Reach:
    """Find the moves of single columns inside a set of rows (n, d); a one-hot group's columns cannot move alone."""
    column = cells.column
    least = torch.maximum(torch.nextafter(cells.low, torch.full_like(cells.low, torch.inf)), where.lower[:, column])
    most = torch.minimum(cells.high, where.upper[:, column])
    able = torch.ones_like(least, dtype=torch.bool)
    if isinstance(where, Rows):
        whole = where.whole[column]
        least, most = torch.where(whole, least.ceil(), least), torch.where(whole, most.floor(), most)
        alone = torch.tensor([len(columns) == 1 for columns in where.units])[where.unit[column]]
        able = alone & ~where.fixed[:, where.unit[column]]
    center = where.center[:, column]
    # The clean value may lie outside its own column's range; in its cell it may stay.
    stays = (center > cells.low) & (center <= cells.high)
    value = torch.where(stays, center, torch.minimum(torch.maximum(center, least), most))
    able = able & ((least <= most) | stays)
    return Reach(value, able, spent(value - center, norm_of(where)), budget_of(where))


def near_leaves(boxes: Boxes, where: Region | Rows) -> Tensor:
    """List the leaves each sample could reach inside its set, by its bounds and by what a leaf alone would cost.

    Returns (n, q) int64, −1 where a sample has fewer. No leaf that can be reached is missing; some listed cannot be.
    """
    size = max(1, _DEMANDS // max(1, boxes.column.numel()))
    parts = torch.split(torch.arange(len(where.center)), size)
    costs = (leaf_costs(boxes, taken(where, part)) for part in parts)
    within = [cost.isfinite() & (cost <= budget_of(where)) for cost in costs]
    able = torch.cat(within) if within else torch.zeros(0, len(boxes.tree), dtype=torch.bool)
    wide = int(able.sum(1).max()) if len(able) else 0
    order = able.byte().argsort(dim=1, descending=True, stable=True)[:, :wide]
    return torch.where(able.gather(1, order), order, -1)


def leaf_costs(boxes: Boxes, where: Region | Rows) -> Tensor:
    """Price the way of each sample into each leaf's box, leaf by leaf → (n, k) float64; inf where it is barred.

    In linf 0 for every leaf in the bounds: there the ball is in them. Columns of one-hot groups cost nothing here.
    """
    column = boxes.column.clamp(min=0)
    nearest, barred = nearest_in(boxes, where)
    price = spent(nearest - where.center[:, column], norm_of(where))
    if isinstance(where, Rows):
        single = torch.tensor([len(columns) == 1 for columns in where.units])[where.unit]
        price = torch.where(single[column], price, 0.0)
    price = torch.where(barred, torch.inf, price)
    return torch.where(boxes.column == LEAF, 0.0, price).sum(2)


def nearest_in(boxes: Boxes, where: Region | Rows) -> tuple[Tensor, Tensor]:
    """Find the values (n, k, p) nearest the clean ones that meet each leaf's demands, and which demands none meets."""
    column = boxes.column.clamp(min=0)
    center, lower, upper = (part[:, column] for part in (where.center, where.lower, where.upper))
    holds = (center > boxes.low) & (center <= boxes.high)
    least = torch.maximum(torch.nextafter(boxes.low, torch.full_like(boxes.low, torch.inf)), lower)
    most = torch.minimum(boxes.high, upper)
    if isinstance(where, Rows):
        whole = where.whole[column]
        least, most = torch.where(whole, least.ceil(), least), torch.where(whole, most.floor(), most)
    nearest = torch.where(holds, center, torch.minimum(torch.maximum(center, least), most))
    return nearest, ~holds & (least > most) & (boxes.column != LEAF)


def into_leaf(boxes: Boxes, leaf: Tensor, x: Tensor, where: Region | Rows) -> Tensor:
    """Move rows x (m, d) into the boxes of leaves (m,): what is not met yet goes to the value nearest the clean one."""
    d, asked = x.shape[1], boxes.column[leaf] != LEAF
    column, low, high = boxes.column[leaf].clamp(min=0), boxes.low[leaf], boxes.high[leaf]
    held, center, lower, upper = (part.gather(1, column) for part in (x, where.center, where.lower, where.upper))
    least = torch.maximum(torch.nextafter(low, torch.full_like(low, torch.inf)), lower)
    most = torch.minimum(high, upper)
    if isinstance(where, Rows):
        whole = where.whole[column]
        least, most = torch.where(whole, least.ceil(), least), torch.where(whole, most.floor(), most)
    value = torch.where((held > low) & (held <= high), held, torch.minimum(torch.maximum(center, least), most))
    spare = torch.cat((x, x[:, :1]), 1)  # one more column takes what is no demand
    return spare.scatter(1, torch.where(asked, column, d), value)[:, :d]


def taken(where: Region | Rows, rows: Tensor) -> Region | Rows:
    """Return the set of these samples (m,), which may repeat."""
    return take(where, rows) if isinstance(where, Region) else where.take(rows)


def spent(move: Tensor, norm: Norm) -> Tensor:
    """Price the moves of columns (…) so that the prices of a row add up: |δ| in l1, δ² in l2, 1 in l0, 0 in linf."""
    wide = move.double()
    if norm == "linf":
        return torch.zeros_like(wide)
    if norm == "l2":
        return wide.square()
    return wide.abs() if norm == "l1" else (wide != 0).double()


def norm_of(where: Region | Rows) -> Norm:
    """Name the norm a set is measured in; rows count their changes."""
    return where.norm if isinstance(where, Region) else "l0"


def budget_of(where: Region | Rows) -> float:
    """Return what all columns may spend together."""
    if isinstance(where, Rows):
        return float(where.changed)
    if where.norm == "linf":
        return torch.inf
    if where.norm == "l0":
        return where.radius
    return (where.radius * (1 - _ROUNDING)) ** (2 if where.norm == "l2" else 1)
