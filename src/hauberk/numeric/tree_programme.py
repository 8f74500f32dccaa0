"""The nearest error of a tree ensemble as a mixed-integer linear programme, solved exactly by HiGHS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_matrix

from hauberk.numeric.balls import Region
from hauberk.numeric.losses import Aim
from hauberk.numeric.rows import Rows
from hauberk.numeric.tree import LEAF, Forest
from hauberk.numeric.tree_moves import Cells
from hauberk.numeric.tree_reach import near_leaves, norm_of, reach, spent

Tensor = torch.Tensor
Status: TypeAlias = Literal["optimal", "none", "time"]

_CLEAR = 1e-5
"""Share of the scores' size by which an error must lead: more than HiGHS' own tolerance and float32 sums may take."""


@dataclass(frozen=True, slots=True)
class Solution:
    """What is known of one sample's nearest error.

    x: (d,), the nearest found, or the clean row. distance: of x in the set's norm; inf where none was found.
    bound: no error that leads by more than a share of 1e-5 of the scores lies nearer; inf where there is none in the
    set. status: "optimal" (x is the nearest), "none" (proven: no error in the set) or "time" (stopped before).
    """

    x: Tensor
    distance: float
    bound: float
    status: Status


def nearest_error(forest: Forest, cells: Cells, where: Region | Rows, aim: Aim, seconds: float) -> Solution:
    """Solve for one sample (sets and aim of n = 1) in at most about `seconds` for all its rivals together.

    Kantchelian, Tygar & Joseph 2016, arXiv:1509.07892, section 4: a binary variable for each threshold, a share for
    each leaf, and for each tree and threshold the shares of all leaves beyond it bound together, which is tighter
    than leaf by leaf. The sets' own distances are linear in the thresholds. `where` must have no one-hot groups and
    no relations.
    """
    label = int(aim.labels[0])
    rivals = range(len(forest.base)) if not (aim.strict and aim.wanted is not None) else [int(aim.wanted[0])]
    others = [rival for rival in rivals if rival != label]
    model = _Programme(forest, cells, where)
    best: Solution | None = None
    for rival in others:
        beaten = [label] if not aim.strict else [other for other in range(len(forest.base)) if other != rival]
        found = model.solve(rival, beaten, seconds / len(others))
        best = found if best is None else _nearer(best, found)
    return best or Solution(where.center[0], np.inf, np.inf, "none")


def _nearer(first: Solution, second: Solution) -> Solution:
    """Join what is known of two rivals: the nearer error, the lower bound, and proven only where both are."""
    near = first if first.distance <= second.distance else second
    statuses = (first.status, second.status)
    status: Status = "time" if "time" in statuses else "optimal" if "optimal" in statuses else "none"
    return Solution(near.x, near.distance, min(first.bound, second.bound), status)


class _Programme:
    """The variables and constraints all rivals share: thresholds (c, one a cell), leaves (q), and the distance."""

    def __init__(self, forest: Forest, cells: Cells, where: Region | Rows) -> None:
        self._forest, self._where, self._cells = forest, where, cells
        self._reach = reach(cells, where)
        self._near = near_leaves(cells.boxes, where)[0]
        self._near = self._near[self._near >= 0]
        self._c, self._q = len(cells.column), len(self._near)
        self._rows: list[tuple[np.ndarray, np.ndarray, float, float]] = []
        self._thresholds()
        self._leaves()
        self._objective = self._distance()

    def solve(self, rival: int, beaten: list[int], seconds: float) -> Solution:
        """Find the nearest row at which `rival` leads all of `beaten`."""
        rows = self._rows + [self._lead(rival, other) for other in beaten]
        count = self._c + self._q + 1
        table = coo_matrix(
            (
                np.concatenate([weights for _, weights, _, _ in rows]),
                (np.repeat(np.arange(len(rows)), [len(row[0]) for row in rows]), np.concatenate([r[0] for r in rows])),
            ),
            shape=(len(rows), count),
        ).tocsr()
        limits = LinearConstraint(table, np.array([row[2] for row in rows]), np.array([row[3] for row in rows]))
        whole = np.repeat(np.array([1, 0], dtype=np.int64), (self._c, self._q + 1))
        upper = np.concatenate((np.ones(self._c + self._q), [np.inf]))
        result = milp(
            self._objective,
            integrality=whole,
            bounds=Bounds(np.zeros(count), upper),
            constraints=limits,
            options={"time_limit": max(0.1, seconds), "mip_rel_gap": 0.0},
        )
        return self._read(result.x, result.status, getattr(result, "mip_dual_bound", None))

    def _read(self, values: np.ndarray | None, status: int, dual: float | None) -> Solution:
        where = self._where
        if status == 2:
            return Solution(where.center[0], np.inf, np.inf, "none")
        bound = self._unpriced(max(0.0, dual if dual is not None and np.isfinite(dual) else 0.0))
        if values is None:
            return Solution(where.center[0], np.inf, bound, "time")
        x = self._point(values)
        return Solution(x, float(where.distance(x.unsqueeze(0))[0]), bound, "optimal" if status == 0 else "time")

    def _point(self, values: np.ndarray) -> Tensor:
        """Put each column into the first cell whose threshold it does not pass."""
        below = torch.from_numpy(values[: self._c] > 0.5)
        x = self._where.center[0].clone()
        column = self._cells.column
        first = below & ~torch.cat((torch.zeros(1, dtype=torch.bool), below[:-1] & (column[1:] == column[:-1])))
        x[column[first]] = self._reach.value[0, first]
        return x

    def _unpriced(self, price: float) -> float:
        return float(np.sqrt(price)) if norm_of(self._where) == "l2" else price

    def _add(self, places: list[int] | np.ndarray, weights: list[float] | np.ndarray, low: float, high: float) -> None:
        self._rows.append((np.asarray(places), np.asarray(weights, dtype=np.float64), low, high))

    def _thresholds(self) -> None:
        """Variable i says that its column lies in cell i or below: each cell's implies the next, the last is 1."""
        column, able = self._cells.column.tolist(), self._allowed().tolist()
        for cell in range(self._c):
            before = cell > 0 and column[cell - 1] == column[cell]
            places, weights = ([cell - 1, cell], [-1.0, 1.0]) if before else ([cell], [1.0])
            self._add(places, weights, 0.0, 1.0 if able[cell] else 0.0)
            if cell + 1 == self._c or column[cell + 1] != column[cell]:
                self._add([cell], [1.0], 1.0, 1.0)

    def _allowed(self) -> Tensor:
        """Tell which cells (c,) the sample may be in; where it is it may always stay."""
        center = self._where.center[0][self._cells.column]
        stays = (center > self._cells.low) & (center <= self._cells.high)
        return self._reach.able[0] | stays

    def _leaves(self) -> None:
        """One leaf of each tree; beyond a threshold only where the row is."""
        boxes, near = self._cells.boxes, self._near
        tree = boxes.tree[near].numpy()
        for index in range(len(self._forest.roots)):
            own = np.flatnonzero(tree == index)
            self._add(self._c + own, np.ones(len(own)), 1.0, 1.0)
            self._beyond(own, near[torch.from_numpy(own)])

    def _beyond(self, own: np.ndarray, leaves: Tensor) -> None:
        boxes, cells = self._cells.boxes, self._cells
        column = boxes.column[leaves].numpy()
        start, end = cells.start[leaves].numpy(), cells.end[leaves].numpy()
        first, last = cells.open[leaves].numpy(), cells.close[leaves].numpy()
        asked = column != LEAF
        for edge in np.unique(np.concatenate((start[asked & (start > first)], end[asked & (end < last)]))):
            # Cell edge − 1 is the last one at or below the threshold.
            under = (asked & (end <= edge) & (first < edge) & (edge < last)).any(1)
            over = (asked & (start >= edge) & (first < edge) & (edge < last)).any(1)
            for side, low, high, sign in ((under, -np.inf, 0.0, -1.0), (over, -np.inf, 1.0, 1.0)):
                places = np.append(self._c + own[side], edge - 1)
                self._add(places, np.append(np.ones(int(side.sum())), sign), low, high)

    def _distance(self) -> np.ndarray:
        """Price the cells; in linf the last variable is the largest of the columns' moves."""
        objective = np.zeros(self._c + self._q + 1)
        norm = norm_of(self._where)
        move = self._reach.value[0] - self._where.center[0][self._cells.column]
        price = (move.abs().double() if norm == "linf" else spent(move, norm)).numpy()
        price = np.where(self._allowed().numpy(), price, 0.0)
        column = self._cells.column.numpy()
        for feature in np.unique(column):
            own = np.flatnonzero(column == feature)
            # Being in cell i costs price i: variable i − variable i−1, summed by parts.
            weights = price[own] - np.append(price[own][1:], 0.0)
            if norm == "linf":
                self._add(np.append(own, self._c + self._q), np.append(weights, -1.0), -np.inf, 0.0)
            else:
                objective[own] = weights
        if norm == "linf":
            objective[-1] = 1.0
        elif isinstance(self._where, Rows) or np.isfinite(self._reach.budget):
            self._add(np.arange(self._c), objective[: self._c], -np.inf, self._reach.budget)
        return objective

    def _lead(self, rival: int, other: int) -> tuple[np.ndarray, np.ndarray, float, float]:
        value, base = self._cells.boxes.value[self._near], self._forest.base
        gain = (value[:, rival] - value[:, other]).numpy()
        size = float(self._cells.boxes.value.abs().max()) * len(self._forest.roots) + float(base.abs().max())
        return self._c + np.arange(self._q), gain, float(base[other] - base[rival]) + _CLEAR * size, np.inf
