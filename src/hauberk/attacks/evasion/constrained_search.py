"""Constrained search: an evolutionary search over rows of a table that never leaves what the columns allow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch

from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.losses import Aim
from hauberk.numeric.rows import Rows, rows

Tensor = torch.Tensor

SCANNED = 0.4
"""Share of the budget spent at most on trying single changes one by one; the rest combines them."""
BATCH = 4096
STRANGER = 0.2
"""Share of mutations that draw from the whole range instead of the values scanned: the way to new thresholds."""


class _Draw(Protocol):
    def __call__(self, *shape: int) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Moves:
    """Single changes: unit (m,) of each, and value (m, d), of which only the unit's own columns count."""

    unit: Tensor
    value: Tensor


@dataclass
class Herd:
    """What is known of the samples still searched; n of them, e elites each.

    rows: (n,) their places in the batch. elite: (n, e, d) and lead: (n, e), best first. gain: (n, m) of each single
    change, as far as it was tried: how much the error leads after it.
    """

    rows: Tensor
    elite: Tensor
    lead: Tensor
    gain: Tensor


@dataclass(frozen=True, slots=True)
class ConstrainedSearch:
    """Search for allowed rows with an error, by scores, or by labels alone where there are no scores.

    queries: per sample, the first look at the clean row included; a threat's own budget goes before it.
    values: tried of each column in the scan, from its quantiles in the batch and the ends of its range.
    elites: best rows kept of each sample. brood: new rows of a sample asked at once.
    """

    card: ClassVar[Card] = Card(
        title="Constrained evolutionary search",
        summary="Changes few columns of a table within their types, ranges and directions; works on tree ensembles.",
        paper="after Simonetto et al. 2022, arXiv:2112.01156 (MoEvA2), with a scan of single changes first",
        inputs=("row",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 1000
    values: int = 8
    elites: int = 6
    brood: int = 16

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return allowed rows whose error leads most, of x's shape (n, d); a broken sample leaves the search.

        Raises UsageError for a threat without constraints.
        """
        if threat.constraints is None:
            raise UsageError("evasion.constrained_search needs a table's constraints", where=threat.name)
        out = x.clone()
        budget = self.queries if threat.queries is None else min(self.queries, threat.queries)
        where = rows(threat.constraints, x, target.spec.bounds)
        if not len(x) or budget < 1:
            return out
        moves = _moves(where, self.values)
        if not len(moves.unit):
            return out
        herd = self._open(target, x, y, threat, len(moves.unit))
        order = _order(moves, len(x), rng).to(x.device)
        # Where one change is all there may be, there is nothing to combine.
        lone = where.changed == 1
        left, tried, scanned = budget - 1, 0, min(int((1.0 if lone else SCANNED) * budget), len(moves.unit))
        while left > 0 and len(herd.rows):
            count = min(self.brood, left)
            single = min(count if lone else (count + 1) // 2, scanned - tried)
            chosen = order[herd.rows, tried : tried + single]
            own = where.take(herd.rows)
            fresh = self._fresh(herd, own, moves, chosen, count - single, rng)
            lead = _lead(target, fresh, y[herd.rows], threat)
            herd.gain.scatter_(1, chosen, lead[:, :single])
            left, tried = left - count, tried + single
            _select(herd, fresh, lead, self.elites)
            out[herd.rows] = herd.elite[:, 0]
            herd = _still(herd)
        return out

    def _fresh(self, herd: Herd, own: Rows, moves: Moves, chosen: Tensor, bred: int, rng: torch.Generator) -> Tensor:
        """Make new rows (n, k, d) of the set: the chosen single moves, and `bred` others, random or from elites."""
        n = len(own.center)
        # Before anything is known to breed from, random rows with many changes at once tell the most.
        random = bred if herd.elite.shape[1] == 1 else math.ceil(bred / 8)
        rows_of = torch.arange(n, device=own.center.device)
        wild = own.take(rows_of.repeat_interleave(random)).scatter(rng).reshape(n, random, own.center.shape[1])
        single = _changed(own.center.unsqueeze(1).expand(-1, chosen.shape[1], -1), moves, chosen, own)
        fresh = torch.cat((single, wild, _bred(herd, own, moves, bred - random, rng)), 1)
        return own.take(rows_of.repeat_interleave(fresh.shape[1])).project(fresh.flatten(0, 1)).reshape(fresh.shape)

    def _open(self, target: Target, x: Tensor, y: Tensor, threat: Threat, moves: int) -> Herd:
        elite = x.unsqueeze(1)
        lead = _lead(target, elite, y, threat)
        gain = torch.full((len(x), moves), -torch.inf, device=x.device)
        return _still(Herd(torch.arange(len(x), device=x.device), elite, lead, gain))


def _lead(target: Target, fresh: Tensor, y: Tensor, threat: Threat) -> Tensor:
    """Ask for rows (n, k, d) → by how much the error leads (n, k)."""
    n, k, d = fresh.shape
    scores = torch.cat([target.predict(part) for part in torch.split(fresh.reshape(n * k, d), BATCH)])
    labels = y.repeat_interleave(k)
    goal = None if threat.target_class is None else torch.full_like(labels, threat.target_class)
    return Aim(labels, goal, strict=goal is not None).lead(scores).reshape(n, k)


def _still(herd: Herd) -> Herd:
    """Keep the samples whose best row is no error yet."""
    left = (herd.lead[:, 0] <= 0).nonzero().squeeze(1)
    return Herd(herd.rows[left], herd.elite[left], herd.lead[left], herd.gain[left])


def _moves(where: Rows, values: int) -> Moves:
    """List single changes worth trying: quantiles of the batch, points of the range; of a group its members."""
    units, found = [], []
    for index, columns in enumerate(where.units):
        if bool(where.fixed[:, index].all()):
            continue
        template = where.center.new_zeros(where.center.shape[1])
        if len(columns) > 1:
            for column in columns:
                hot = template.clone()
                hot[column] = 1.0
                units.append(index)
                found.append(hot)
            continue
        for value in _values(where, columns[0], values).tolist():
            row = template.clone()
            row[columns[0]] = value
            units.append(index)
            found.append(row)
    empty = where.center.new_zeros(0, where.center.shape[1])
    return Moves(torch.tensor(units, dtype=torch.long), torch.stack(found) if found else empty)


def _order(moves: Moves, n: int, rng: torch.Generator) -> Tensor:
    """Order the single moves for each sample (n, m): one of each unit first, then the second ones, each time at random.

    A short budget then knows a little of every unit, and does not miss the same moves in every sample.
    """
    key = torch.rand((n, len(moves.unit)), generator=rng, device=rng.device)
    for unit in sorted(set(moves.unit.tolist())):
        own = (moves.unit == unit).nonzero().squeeze(1)
        key[:, own] += key[:, own].argsort(1).argsort(1)
    return key.argsort(1)


def _promise(herd: Herd, moves: Moves) -> Tensor:
    """Say of each single move (n, m) what it gained, or, not tried yet, what the best of its unit did."""
    unit = moves.unit.expand_as(herd.gain)
    best = torch.full((len(herd.gain), int(moves.unit.max()) + 1), -torch.inf, device=herd.gain.device)
    best = best.scatter_reduce(1, unit, herd.gain, "amax")
    return torch.where(herd.gain.isinf(), best.gather(1, unit), herd.gain)


def _values(where: Rows, column: int, count: int) -> Tensor:
    """Choose at most `count` values of a column: those a small set of whole numbers has, else quantiles and ends."""
    low, high = float(where.lower[:, column].min()), float(where.upper[:, column].max())
    whole = bool(where.whole[column])
    if whole and high - low < count:
        return torch.arange(int(low), int(high) + 1, dtype=torch.float32)
    seen = where.center[:, column].float()
    spread = torch.linspace(0, 1, max(2, count // 2))
    drawn = torch.cat(
        (torch.quantile(seen, spread[1:-1]), low + (high - low) * torch.linspace(0, 1, count - count // 2))
    )
    distinct: Tensor = torch.unique(drawn.round() if whole else drawn)
    return distinct


def _changed(base: Tensor, moves: Moves, chosen: Tensor, where: Rows) -> Tensor:
    """Make the chosen moves (n, k) on rows (n, k, d)."""
    own = where.unit == moves.unit[chosen].unsqueeze(-1)
    return torch.where(own, moves.value[chosen], base)


def _bred(herd: Herd, own: Rows, moves: Moves, count: int, rng: torch.Generator) -> Tensor:
    """Make new rows (n, count, d): cross two elites, change one or two units, undo others beyond the limit."""
    n, elites, d = herd.elite.shape

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=rng, device=rng.device).to(herd.elite)

    # Squaring prefers the first, that is the best, of the elites.
    parents = [(draw(n, count) ** 2 * elites).long().unsqueeze(-1).expand(-1, -1, d) for _ in range(2)]
    first, second = (herd.elite.gather(1, parent) for parent in parents)
    mixed = (draw(n, count, len(own.units)) < 0.3) & (draw(n, count, 1) < 0.5)
    child = torch.where(mixed[..., own.unit], second, first)
    forced = torch.zeros(n, count, len(own.units), dtype=torch.bool, device=child.device)
    for turn in range(2):
        changed, hit = _mutated(child, herd, own, moves, draw)
        again = (draw(n, count, 1) < (1.0 if turn == 0 else 0.4)).expand(-1, -1, d)
        child = torch.where(again, changed, child)
        forced |= hit & again[..., :1]
    return _within_limit(child, forced, own, draw)


def _mutated(child: Tensor, herd: Herd, own: Rows, moves: Moves, draw: _Draw) -> tuple[Tensor, Tensor]:
    """Make a move in each row (n, k, d), promising ones likelier → rows, and the unit that moved (n, k, units)."""
    n, k, d = child.shape
    rank = _promise(herd, moves).argsort(dim=1, descending=True)
    # The cube of a uniform number prefers the first ranks, yet reaches all.
    place = (draw(n, k) ** 3 * rank.shape[1]).long().clamp(max=max(0, rank.shape[1] - 1))
    chosen = rank.gather(1, place)
    made = _changed(child, moves, chosen, own)
    unit = moves.unit[chosen]
    mine = own.unit == unit.unsqueeze(-1)
    low, high = own.lower.unsqueeze(1), own.upper.unsqueeze(1)
    anywhere = torch.where(mine, low + draw(n, k, d) * (high - low), child)
    near = torch.where(mine, child + (draw(n, k, d) - 0.5) * 0.2 * (high - low), child)
    kind = draw(n, k, 1)
    made = torch.where(kind < STRANGER, anywhere, torch.where(kind < 2 * STRANGER, near, made))
    return made, torch.nn.functional.one_hot(unit, len(own.units)).bool()


def _within_limit(child: Tensor, forced: Tensor, own: Rows, draw: _Draw) -> Tensor:
    """Take changes back at random where there are too many, those just made last."""
    n, k, d = child.shape
    center = own.center.unsqueeze(1)
    moved = torch.zeros(n, k, len(own.units), device=child.device)
    moved = moved.scatter_reduce(2, own.unit.expand(n, k, -1), (child != center).float(), "amax") > 0
    order = torch.where(moved, draw(n, k, len(own.units)) + forced, -1.0).argsort(-1, descending=True).argsort(-1)
    keep = moved & (order < own.changed)
    return torch.where(keep[..., own.unit], child, center.expand(n, k, d))


def _select(herd: Herd, fresh: Tensor, lead: Tensor, elites: int) -> None:
    """Keep each sample's best rows; of equals the newest, so that the search drifts where the model is flat."""
    every, score = torch.cat((fresh, herd.elite), 1), torch.cat((lead, herd.lead), 1)
    order = score.argsort(dim=1, descending=True, stable=True)[:, :elites]
    herd.elite = every.gather(1, order.unsqueeze(-1).expand(-1, -1, every.shape[2]))
    herd.lead = score.gather(1, order)
