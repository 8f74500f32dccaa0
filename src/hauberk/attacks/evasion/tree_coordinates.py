"""Tree coordinates: climb a tree ensemble's exact scores by moving one column at a time over its thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.allowed import allowed
from hauberk.attacks.tree_target import aim_of, forest_of, set_of
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.active import take
from hauberk.numeric.balls import Region
from hauberk.numeric.losses import Aim
from hauberk.numeric.rows import Rows
from hauberk.numeric.tree import Forest
from hauberk.numeric.tree_moves import Cells, cells
from hauberk.numeric.tree_reach import Reach, into_leaf, near_leaves, norm_of, reach, spent, taken

Tensor = torch.Tensor

CLEAR = 1e-6
"""A lead under this share of the largest score may vanish in the library's own float32 sums."""
REDRAWN = 0.5
"""Share of the columns drawn anew where a search starts again from its best row."""
STALLED = 3
"""Moves without a gain after which a search starts again."""
LARGEST = 16
"""Power of a column's share of an linf radius."""
PIECE = 2**24
"""Cells of rows scored at once."""


@dataclass(frozen=True, slots=True)
class Maze:
    """What n samples are searched in: the forest with its cells, each sample's set and goal, and what it can reach.

    near: (n, q) int64, the leaves a sample can reach, −1 where it has fewer.
    """

    forest: Forest
    cells: Cells
    where: Region | Rows
    aim: Aim
    able: Reach
    near: Tensor

    def lead(self, x: Tensor) -> Tensor:
        """Measure by how much the error leads (n,) or (n, k) at rows x (n, d) or (n, k, d), less rounding."""
        shape, flat = x.shape[:-1], x.reshape(-1, x.shape[-1])
        each = take(self.aim, torch.arange(shape[0]).repeat_interleave(len(flat) // max(1, shape[0])))
        return _lead(self.forest.scores(flat), each).reshape(shape)

    def take(self, rows: Tensor) -> Maze:
        """Return the maze of these samples (m,), which may repeat."""
        able = Reach(self.able.value[rows], self.able.able[rows], self.able.cost[rows], self.able.budget)
        return Maze(self.forest, self.cells, taken(self.where, rows), take(self.aim, rows), able, self.near[rows])


@dataclass(frozen=True, slots=True)
class Beam:
    """What is known of the samples still searched, n of them.

    rows: (n,) their places in the batch. x: (n, b, d) the rows looked at, best first. lead: (n, b).
    best: (n, d) and top: (n,), the best row so far. stalled: (n,) moves without a gain.
    """

    rows: Tensor
    x: Tensor
    lead: Tensor
    best: Tensor
    top: Tensor
    stalled: Tensor


@dataclass(frozen=True, slots=True)
class TreeCoordinates:
    """Coordinate search on a tree ensemble.

    steps: moves of one column from each start. restarts: further starts from the best row with half its columns drawn
    anew. beam: rows of a sample carried on from each move. jumps: leaves drawn at random in each move to go into at
    once, by several columns where need be: the way off a plateau that no single column leaves.
    """

    card: ClassVar[Card] = Card(
        title="Coordinate search on trees",
        summary="Moves one column at a time by the ensemble's exact scores: the strong, cheap attack where trees show.",
        paper="after Zhang, Zhang & Hsieh 2020, arXiv:2010.11598 (leaf tuples), with all moves of a column at once",
        needs=("trees",),
        norms=("linf", "l2", "l1", "l0"),
        sets=("constraints",),
        inputs=("row",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 40
    restarts: int = 4
    beam: int = 8
    jumps: int = 8

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return allowed rows whose error leads most, of x's shape (n, d); the target itself is never asked.

        Raises MissingPower where the target shows no trees, UsageError for a threat without ball or constraints.
        """
        forest = forest_of(target, x)
        where, goal = set_of(allowed(threat, x, target.spec.bounds), threat), aim_of(y, threat)
        cut, out = cells(forest), x.clone()
        for part in torch.split(torch.arange(len(x)), max(1, PIECE // (max(1, len(cut.column)) * self.beam))):
            here = taken(where, part)
            maze = Maze(forest, cut, here, take(goal, part), reach(cut, here), near_leaves(cut.boxes, here))
            out[part] = self._search(maze, rng)
        return out

    def _search(self, maze: Maze, rng: torch.Generator) -> Tensor:
        """Climb from the clean rows, then from redrawn ones, each time those that are no error yet."""
        best = maze.where.center.clone()
        top = maze.lead(best)
        for turn in range(self.restarts + 1):
            left = (top <= 0).nonzero().squeeze(1)
            if not len(left):
                break
            here = maze.take(left)
            start = best[left] if turn == 0 else _redrawn(best[left], here.where, rng)
            best[left], top[left] = self._climb(here, start, best[left], top[left], rng)
        won = (top > 0).nonzero().squeeze(1)
        best[won] = _nearer(maze.take(won), best[won])
        return best

    def _climb(
        self, maze: Maze, start: Tensor, best: Tensor, top: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Move on from each start (n, d) → the best rows (n, d) and leads (n,), those known before included."""
        beam = _opened(maze, start, best, top)
        for _ in range(self.steps):
            go = ((beam.top <= 0) & (beam.stalled < STALLED)).nonzero().squeeze(1)
            best[beam.rows], top[beam.rows] = beam.best, beam.top
            if not len(go):
                return best, top
            beam = take(beam, go)
            here = maze.take(beam.rows)
            fresh = torch.cat((_moves(here, beam.x, self.beam), _jumps(here, beam.x, self.jumps, rng)), 1)
            beam = _carried(here, beam, fresh, self.beam)
        best[beam.rows], top[beam.rows] = beam.best, beam.top
        return best, top


def _lead(scores: Tensor, aim: Aim) -> Tensor:
    return aim.lead(scores) - CLEAR * scores.abs().amax(1)


def _redrawn(best: Tensor, where: Region | Rows, rng: torch.Generator) -> Tensor:
    """Draw half the columns of the best rows (n, d) anew inside the set."""
    fresh = torch.rand(best.shape, generator=rng, device=rng.device).to(best) < REDRAWN
    return where.project(torch.where(fresh, where.scatter(rng), best))


def _opened(maze: Maze, start: Tensor, best: Tensor, top: Tensor) -> Beam:
    lead = maze.lead(start)
    better = lead > top
    return Beam(
        rows=torch.arange(len(start)),
        x=start.unsqueeze(1),
        lead=lead.unsqueeze(1),
        best=torch.where(better.unsqueeze(1), start, best),
        top=torch.where(better, lead, top),
        stalled=torch.zeros(len(start), dtype=torch.long),
    )


def _moves(maze: Maze, x: Tensor, width: int) -> Tensor:
    """Make the best moves of one column from rows (n, b, d), and every one of a group's member → (n, k, d)."""
    n, b, d = x.shape
    flat, each = x.flatten(0, 1), maze.take(torch.arange(n).repeat_interleave(b))
    column = maze.cells.column
    free = each.able.able & (each.able.value != flat[:, column]) & _affordable(each, flat)
    scores = maze.cells.scores(maze.forest, flat, each.near)
    lead = torch.full(free.shape, -torch.inf, dtype=scores.dtype)
    lead[free] = _lead(scores[free], take(each.aim, free.nonzero()[:, 0]))
    lead = lead.reshape(n, -1)
    chosen = lead.topk(min(2 * width, lead.shape[1]), dim=1).indices
    parent, cell = chosen // len(column), chosen % len(column)
    child = x.gather(1, parent.unsqueeze(-1).expand(-1, -1, d))
    child = child.scatter(2, column[cell].unsqueeze(-1), maze.able.value.gather(1, cell).unsqueeze(-1))
    return torch.cat((child, _members(x, maze.where)), 1)


def _jumps(maze: Maze, x: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Move rows (n, b, d) into leaves drawn at random, several columns at once → (n, count, d)."""
    n, b, d = x.shape
    known = (maze.near >= 0).sum(1, keepdim=True)
    if not count or not maze.near.shape[1]:
        return x[:, :0]
    place = (torch.rand((n, count), generator=rng, device=rng.device).to(known.device) * known).long()
    parent = torch.randint(0, b, (n, count), generator=rng, device=rng.device).to(known.device)
    rows = x.gather(1, parent.unsqueeze(-1).expand(-1, -1, d)).flatten(0, 1)
    leaf = maze.near.gather(1, place).flatten()
    where = taken(maze.where, torch.arange(n).repeat_interleave(count))
    return into_leaf(maze.cells.boxes, leaf, rows, where).reshape(n, count, d)


def _carried(maze: Maze, beam: Beam, fresh: Tensor, width: int) -> Beam:
    """Score new rows (n, k, d) as the set lets them be, and keep the best that differ."""
    n, k, d = fresh.shape
    flat = taken(maze.where, torch.arange(n).repeat_interleave(k)).project(fresh.flatten(0, 1))
    fresh = flat.reshape(n, k, d)
    lead = maze.lead(fresh)
    same = (fresh.unsqueeze(1) == fresh.unsqueeze(2)).all(3).tril(-1).any(2)
    order = lead.masked_fill(same, -torch.inf).argsort(dim=1, descending=True, stable=True)[:, :width]
    fresh, lead = fresh.gather(1, order.unsqueeze(-1).expand(-1, -1, d)), lead.gather(1, order)
    better = lead[:, 0] > beam.top
    return Beam(
        rows=beam.rows,
        x=fresh,
        lead=lead,
        best=torch.where(better.unsqueeze(1), fresh[:, 0], beam.best),
        top=torch.where(better, lead[:, 0], beam.top),
        stalled=torch.where(better, 0, beam.stalled + 1),
    )


def _nearer(maze: Maze, x: Tensor) -> Tensor:
    """Move single columns of errors x (n, d) back towards the clean rows, the largest gain first, while they err."""
    column, center, where = maze.cells.column, maze.where.center, maze.where
    price = _price(maze.able.value - center[:, column], where)
    for _ in range(2 * x.shape[1]):
        gain = (_price(x - center, where)[:, column] - price).masked_fill(~maze.able.able, 0.0)
        free = gain > 0
        scores = maze.cells.scores(maze.forest, x, maze.near)
        errs = torch.zeros_like(free)
        errs[free] = _lead(scores[free], take(maze.aim, free.nonzero()[:, 0])) > 0
        most, cell = gain.masked_fill(~errs, 0.0).max(1)
        moved = x.scatter(1, column[cell].unsqueeze(1), maze.able.value.gather(1, cell.unsqueeze(1)))
        stands = (most > 0) & where.contains(moved)
        if not bool(stands.any()):
            break
        x = torch.where(stands.unsqueeze(1), moved, x)
    return x


def _price(move: Tensor, where: Region | Rows) -> Tensor:
    """Price moves (…) for `_nearer`: as they add up, and in linf so that the largest outweighs all others."""
    if isinstance(where, Region) and where.norm == "linf":
        return (move.double() / max(where.radius, 1e-12)) ** LARGEST
    return spent(move, norm_of(where))


def _affordable(maze: Maze, x: Tensor) -> Tensor:
    """Tell which moves (n, c) of rows x (n, d) keep to the budget."""
    where, column = maze.where, maze.cells.column
    if maze.able.budget == torch.inf:
        return torch.ones(len(x), len(column), dtype=torch.bool)
    own = spent(x - where.center, norm_of(where))
    total = own.sum(1) if isinstance(where, Region) else where.distance(x).double()
    return total.unsqueeze(1) - own[:, column] + maze.able.cost <= maze.able.budget


def _members(x: Tensor, where: Region | Rows) -> Tensor:
    """Set each member of each one-hot group in rows (n, b, d) → (n, members · b, d)."""
    if not isinstance(where, Rows):
        return x[:, :0]
    made = [x[:, :0]]
    for columns in where.units:
        for hot in columns if len(columns) > 1 else ():
            child = x.clone()
            child[:, :, list(columns)] = 0.0
            child[:, :, hot] = 1.0
            made.append(child)
    return torch.cat(made, 1)
