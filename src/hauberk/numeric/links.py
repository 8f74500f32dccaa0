"""Linear relations between the columns of rows: whether they hold, and how other columns make up for a change."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hauberk.core.relations import TOLERANCE
from hauberk.core.threat import Constraints

Tensor = torch.Tensor

_TINY = 1e-12
"""Rounding where all terms are zero."""
_TOUCHED = 10.0
"""A column that was changed on purpose makes up for others only where no untouched one can."""


@dataclass(frozen=True, slots=True)
class Slack:
    """What columns of n rows may still do.

    center, lower, upper: (n, d). whole: (d,) bool, free: (n, d) bool. changed: columns that may differ from the center.
    """

    center: Tensor
    lower: Tensor
    upper: Tensor
    whole: Tensor
    free: Tensor
    changed: int


@dataclass(frozen=True, slots=True)
class Links:
    """r relations of d columns: weights (r, d), values (r,) float64; equal (r,) bool, else ≤."""

    weights: Tensor
    values: Tensor
    equal: Tensor

    def hold(self, x: Tensor) -> Tensor:
        """Tell which rows (n,) of x (n, d) keep all relations, to 1e-6 of their terms."""
        if not len(self.values):
            return torch.ones(len(x), dtype=torch.bool, device=x.device)
        return (self._excess(x.double()) == 0).all(1)

    def mend(self, x: Tensor, slack: Slack) -> Tensor:
        """Change one column at a time, the one that does it with the least share of its range, until all hold.

        Where no column alone is enough the one that helps most goes as far as it can, and the next ones follow; a
        column that was changed on purpose comes last. What comes back may still break relations: they can contradict
        each other or the ranges.
        """
        wide = x.double()
        for _ in range(2 * len(self.values) + 2):
            for index in range(len(self.values)):
                wide = self._step(wide, index, slack).to(x.dtype).double()
            if bool((self._excess(wide) == 0).all()):
                break
        return wide.to(x.dtype)

    def _excess(self, x: Tensor) -> Tensor:
        """Measure by how much rows (n, d) float64 break each relation (n, r), signed; 0 where they keep it."""
        terms = x.unsqueeze(1) * self.weights
        gap = terms.sum(2) - self.values
        slack = TOLERANCE * (terms.abs().sum(2) + self.values.abs()) + _TINY
        kept = torch.where(self.equal, gap.abs() <= slack, gap <= slack)
        return torch.where(kept, 0.0, gap)

    def _step(self, x: Tensor, index: int, slack: Slack) -> Tensor:
        weight, equal = self.weights[index], bool(self.equal[index])
        gap = self._excess(x)[:, index : index + 1]
        used = weight != 0
        aim = x - gap / torch.where(used, weight, 1.0)
        # Of whole numbers the one on the kept side of "≤"; an equality needs the exact one or another column.
        near = aim.round() if equal else torch.where(weight > 0, aim.floor(), aim.ceil())
        aim = torch.where(slack.whole, near, aim)
        aim = torch.minimum(torch.maximum(aim, slack.lower), slack.upper)
        left = (gap + weight * (aim - x)).abs() if equal else (gap + weight * (aim - x)).clamp(min=0)
        touched = x != slack.center
        room = touched | (touched.sum(1, keepdim=True) < slack.changed)
        able = used & slack.free & room & (gap != 0) & (left < gap.abs())
        width = (slack.upper - slack.lower).double().clamp(min=_TINY)
        effort = ((aim - x).abs() / width).clamp(max=1.0)
        enough = left <= TOLERANCE * ((x * weight).abs().sum(1, keepdim=True) + self.values[index].abs()) + _TINY
        worth = torch.where(enough, effort, effort.new_tensor(2.0) + left / gap.abs().clamp(min=_TINY))
        worth = (worth + _TOUCHED * touched).masked_fill(~able, torch.inf)
        best = worth.argmin(1, keepdim=True)
        chosen = torch.where(able.gather(1, best), aim.gather(1, best), x.gather(1, best))
        return x.scatter(1, best, chosen)


def links(constraints: Constraints) -> Links:
    """Place the relations of `constraints` on its columns; raises ValueError for one that names an unknown column."""
    names = [column.name for column in constraints.columns]
    weights = torch.zeros(len(constraints.relations), len(names), dtype=torch.float64)
    for row, rule in enumerate(constraints.relations):
        for name, weight in zip(rule.columns, rule.weights, strict=True):
            if name not in names:
                raise ValueError(f'"{rule.text}" names "{name}", which is no column')
            weights[row, names.index(name)] = weight
    values = torch.tensor([rule.value for rule in constraints.relations], dtype=torch.float64)
    equal = torch.tensor([rule.sense == "==" for rule in constraints.relations], dtype=torch.bool)
    return Links(weights, values, equal)
