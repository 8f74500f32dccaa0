"""What rows of a table may become: ranges, whole numbers, categories, directions, groups, relations, few changes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from hauberk.core.schema import Column
from hauberk.core.threat import Constraints
from hauberk.numeric.links import Links, Slack, links

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Rows:
    """The allowed set around each of n rows of d columns.

    center: (n, d) the clean rows. lower, upper: (n, d) what each value may be. whole: (d,) whole numbers only.
    units: what changes as one: a column, or the columns of a one-hot group, as indices. unit: (d,) of each column.
    fixed: (n, units) units of a row that cannot change. changed: how many units may change at once. links: what must
    hold between the columns of a changed row.
    """

    center: Tensor
    lower: Tensor
    upper: Tensor
    whole: Tensor
    units: tuple[tuple[int, ...], ...]
    unit: Tensor
    fixed: Tensor
    changed: int
    links: Links

    def project(self, x: Tensor) -> Tensor:
        """Return a near allowed row for each of x (n, d); rows that are allowed come back to the bit.

        Values go to the nearest allowed one, a group to its largest member; of too many changes the largest stay,
        measured in shares of their range. A value that is no number goes back to the clean one. Where a relation is
        then broken other columns make up for it; a row for which no way is found goes back to the clean one.
        """
        point = torch.where(x.isnan(), self.center, x)
        point = torch.where(self.whole, point.round(), point)
        point = torch.minimum(torch.maximum(point, self.lower), self.upper)
        # A value nobody touched stays, whole or not: the row was real before.
        point = torch.where(x == self.center, self.center, point)
        for index, columns in enumerate(self.units):
            if len(columns) > 1:
                point[:, list(columns)] = self._hot(x, index)
        return self._linked(self._few(point))

    def contains(self, x: Tensor) -> Tensor:
        """Tell which rows (n,) of x (n, d) are allowed."""
        ranged = (x >= self.lower) & (x <= self.upper) & (~self.whole | (x == x.round()))
        fine = (ranged | (x == self.center)).all(1) & (self.distance(x) <= self.changed)
        fine &= ~(self.moved(x) & self.fixed).any(1) & (self.links.hold(x) | (x == self.center).all(1))
        for columns in self.units:
            if len(columns) > 1:
                part, clean = x[:, list(columns)], self.center[:, list(columns)]
                one_hot = ((part == 0) | (part == 1)).all(1) & (part.sum(1) == 1)
                fine &= one_hot | (part == clean).all(1)
        return fine

    def distance(self, x: Tensor) -> Tensor:
        """Count what changed in each row (n,); a group counts once."""
        return self.moved(x).sum(1).to(x.dtype)

    def moved(self, x: Tensor) -> Tensor:
        """Tell which units (n, units) differ from the clean row."""
        return self._by_unit((x != self.center).to(torch.float32)) > 0

    def scatter(self, rng: torch.Generator) -> Tensor:
        """Draw a random allowed row for each: as many changes as may be, each uniform in its range."""
        n, d = self.center.shape
        share = torch.rand((n, d), generator=rng).to(self.center)
        x = self.lower + share * (self.upper - self.lower)
        order = torch.rand((n, len(self.units)), generator=rng).to(self.center).masked_fill(self.fixed, 2.0)
        kept = order.argsort(1).argsort(1) < self.changed
        return self.project(torch.where(kept[:, self.unit], x, self.center))

    def take(self, index: Tensor) -> Rows:
        """Return the set of these samples (m,), which may repeat."""
        rows = (part[index] for part in (self.center, self.lower, self.upper))
        center, lower, upper = rows
        return Rows(
            center, lower, upper, self.whole, self.units, self.unit, self.fixed[index], self.changed, self.links
        )

    def _linked(self, point: Tensor) -> Tensor:
        """Mend rows that break a relation, and give up those that cannot be."""
        broken = (~self.links.hold(point) & (point != self.center).any(1)).nonzero().squeeze(1)
        if not len(broken):
            return point
        here = self.take(broken)
        single = torch.tensor([len(columns) == 1 for columns in self.units])[self.unit]
        free = single & ~here.fixed[:, here.unit]
        mended = self.links.mend(
            point[broken], Slack(here.center, here.lower, here.upper, here.whole, free, here.changed)
        )
        fine = here.contains(mended)
        return point.index_copy(0, broken, torch.where(fine.unsqueeze(1), mended, here.center))

    def _by_unit(self, values: Tensor) -> Tensor:
        """Return the largest value (n, d) ≥ 0 of each unit (n, units)."""
        out = values.new_zeros(len(values), len(self.units))
        return out.scatter_reduce(1, self.unit.expand(len(values), -1), values, "amax")

    def _hot(self, x: Tensor, index: int) -> Tensor:
        """Return a group's columns (n, k) one-hot: its largest member that may become 1, or as they were."""
        columns = list(self.units[index])
        clean, lower, upper = (part[:, columns] for part in (self.center, self.lower, self.upper))
        may_rise, may_fall = upper >= 1, lower <= 0
        # Member j may be hot if it may be 1 and all others may be 0.
        stuck = (~may_fall).sum(1, keepdim=True) - (~may_fall).long()
        able = may_rise & (stuck == 0)
        wish = torch.where(x[:, columns].isnan(), clean, x[:, columns]).masked_fill(~able, -math.inf)
        hot = torch.zeros_like(clean).scatter(1, wish.argmax(1, keepdim=True), 1.0)
        keep = self.fixed[:, index] | ~able.any(1) | (x[:, columns] == clean).all(1)
        return torch.where(keep[:, None], clean, hot)

    def _few(self, point: Tensor) -> Tensor:
        moved = self.moved(point) & ~self.fixed
        width = (self.upper - self.lower).clamp(min=torch.finfo(point.dtype).tiny)
        size = self._by_unit((point - self.center).abs() / width)
        rank = torch.where(moved, size, -1.0).argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        kept = moved & (rank < self.changed)
        return torch.where(kept[:, self.unit], point, self.center)


def rows(constraints: Constraints, x: Tensor, bounds: tuple[float, float]) -> Rows:
    """Build the allowed set around clean rows x (n, d), one column of `constraints` a feature, inside `bounds`.

    A column's own range binds where it has one, else the bounds; a clean value outside its range may stay as it is.
    """
    if x.ndim != 2 or x.shape[1] != len(constraints.columns):
        raise ValueError(f"{len(constraints.columns)} columns are declared, the rows have shape {tuple(x.shape)}")
    ranges = torch.tensor([_range(column, bounds) for column in constraints.columns], dtype=torch.float32)
    low, high = (part.to(x).expand_as(x) for part in ranges.reshape(-1, 2).unbind(1))
    whole = torch.tensor([column.kind != "continuous" for column in constraints.columns], device=x.device)
    only_up = _where(constraints, x, lambda column: column.immutable or column.direction == "up")
    only_down = _where(constraints, x, lambda column: column.immutable or column.direction == "down")
    # max(low, x) where it may only grow; where the clean value is not whole, the next whole one in that direction.
    lower = torch.where(only_up, torch.maximum(low, torch.where(whole, x.ceil(), x)), low)
    upper = torch.where(only_down, torch.minimum(high, torch.where(whole, x.floor(), x)), high)
    units = _units(constraints.columns)
    unit = torch.empty(x.shape[1], dtype=torch.long, device=x.device)
    for index, columns in enumerate(units):
        unit[list(columns)] = index
    frozen = [any(constraints.columns[i].immutable for i in columns) for columns in units]
    impossible = lower > upper
    lower, upper = torch.where(impossible, x, lower), torch.where(impossible, x, upper)
    fixed = torch.tensor(frozen, device=x.device).expand(len(x), -1) | _stuck(lower, upper, x, units)
    limit = len(units) if constraints.changed is None else constraints.changed
    return Rows(x, lower, upper, whole, units, unit, fixed, limit, links(constraints))


def _where(constraints: Constraints, x: Tensor, rule: Callable[[Column], bool]) -> Tensor:
    return torch.tensor([rule(column) for column in constraints.columns], device=x.device)


def _range(column: Column, bounds: tuple[float, float]) -> tuple[float, float]:
    """Return the least and greatest float32 a column may hold."""
    low = bounds[0] if column.low is None else column.low
    high = bounds[1] if column.high is None else column.high
    if column.kind == "boolean":
        low, high = max(low, 0.0), min(high, 1.0)
    if column.kind == "categorical" and column.categories:
        low, high = 0.0, float(len(column.categories) - 1)
    if column.kind != "continuous" and math.isfinite(low) and math.isfinite(high):
        low, high = math.ceil(low), math.floor(high)
    return _inward(low, up=True), _inward(high, up=False)


def _inward(value: float, *, up: bool) -> float:
    """Round to a float32 that is not outside."""
    near = torch.tensor(value, dtype=torch.float32)
    outside = float(near) < value if up else float(near) > value
    return float(torch.nextafter(near, torch.tensor(math.inf if up else -math.inf))) if outside else float(near)


def _units(columns: tuple[Column, ...]) -> tuple[tuple[int, ...], ...]:
    """Gather the columns of a group; every other column is a unit of its own."""
    found: dict[str, list[int]] = {}
    for index, column in enumerate(columns):
        found.setdefault(f"group {column.group}" if column.group else f"column {index}", []).append(index)
    return tuple(tuple(members) for members in found.values())


def _stuck(lower: Tensor, upper: Tensor, x: Tensor, units: tuple[tuple[int, ...], ...]) -> Tensor:
    """Tell which single columns (n, units) have nowhere else to go."""
    still = (lower == upper) & (x == lower)
    parts = [still[:, columns[0]] if len(columns) == 1 else still[:, list(columns)].all(1) for columns in units]
    return torch.stack(parts, 1)
