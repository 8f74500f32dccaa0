"""LowProFool: gradient steps on a row of a table that spare the columns an expert would look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import msgspec
import torch

from hauberk.attacks.driver import DEFAULT, Driving, Round, Turn, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.attacks.nearest import nearest
from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import Target
from hauberk.core.threat import Constraints, Threat
from hauberk.numeric.balls import Region
from hauberk.numeric.losses import LOSSES
from hauberk.numeric.rows import rows

Tensor = torch.Tensor

FLOOR = 0.3
"""A column counts at least this much: one that tells nothing of the label is not free."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Where the search stands. x: (n, d) allowed rows. soft: (n, d), the same before types and limits bind."""

    x: Tensor
    soft: Tensor


@dataclass(frozen=True, slots=True)
class _Method:
    """How rows move. weight: (d,) importance of each column; width: (d,) its range. The settings are the attack's."""

    constraints: Constraints
    bounds: tuple[float, float]
    weight: Tensor
    width: Tensor
    pace: float
    strength: float

    def start(self, region: Region, _: torch.Generator) -> Draft:
        """Begin at the clean rows."""
        return Draft(region.center, region.center)

    def step(self, state: Draft, seen: Seen, turn: Turn) -> Draft:
        """Climb the loss where there is no error yet, and always descend λ ‖v ⊙ r‖₂, in shares of a column's range.

        The paper climbs both at once (§3.2); leaving the loss alone beyond the boundary comes nearer to it.
        """
        where = rows(self.constraints, turn.region.center, self.bounds)
        width = (where.upper - where.lower).masked_fill(where.fixed[:, where.unit], 0.0)
        heavy = self.heavy(state.soft - where.center)
        slope = _unit(seen.gradient * width) / self.weight.clamp(min=FLOOR)
        way = torch.where(seen.hit.unsqueeze(1), 0.0, _unit(slope)) - self.strength * _unit(self.weight * heavy)
        left = 1 - turn.index / turn.steps
        soft = state.soft + self.pace * left * width * way
        soft = torch.minimum(torch.maximum(soft, where.lower), where.upper)
        soft = torch.where(width > 0, soft, where.center)
        return Draft(where.project(soft), soft)

    def heavy(self, move: Tensor) -> Tensor:
        """Return v ⊙ r of moves (n, d) in shares of the columns' ranges."""
        return self.weight * move / self.width.clamp(min=torch.finfo(move.dtype).tiny)

    def measure(self, move: Tensor, _: Region) -> Tensor:
        """Measure ‖v ⊙ r‖₂ (n,)."""
        size: Tensor = torch.linalg.vector_norm(self.heavy(move), dim=1)
        return size


@dataclass(frozen=True, slots=True)
class LowProFool:
    """Imperceptible changes of a row, by importance-weighted norm.

    steps: gradients. pace: length of a step in shares of the columns' ranges. strength: λ, how much the weighted norm
    counts against the loss's slope. driving: how the driver runs it (early stop, batch, float type).
    """

    card: ClassVar[Card] = Card(
        title="LowProFool",
        summary="Spares columns that tell the label; weaker than projected_rows, here because people compare with it.",
        paper="Ballet et al. 2019, arXiv:1911.03274",
        needs=("gradients",),
        inputs=("row",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 100
    pace: float = 0.05
    strength: float = 0.1
    driving: Driving = DEFAULT

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return the errors found of least ‖v ⊙ r‖₂, of x's shape (n, d), or rows without one.

        A column's weight is its absolute correlation with the labels in this batch, as the paper takes it from the
        training data. Raises UsageError for a threat without constraints, MissingPower without gradients.
        """
        if threat.constraints is None:
            raise UsageError("evasion.low_pro_fool needs a table's constraints", where=threat.name)
        bounds = target.spec.bounds
        where = rows(threat.constraints, x, bounds)
        width = (where.upper - where.lower).amax(0) if len(x) else torch.ones(x.shape[1:], device=x.device)
        method = _Method(threat.constraints, bounds, importance(x, y), width, self.pace, self.strength)
        plan = nearest((Round(LOSSES["ce"], self.steps),), "l2", measure=method.measure)
        return drive(method, plan, target, x, y, msgspec.structs.replace(threat, ball=None), rng, self.driving)


def _unit(move: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(move, dim=1, keepdim=True)
    return move / length.clamp(min=torch.finfo(move.dtype).tiny)


def importance(x: Tensor, y: Tensor) -> Tensor:
    """Weigh each column (d,): its largest absolute correlation with being of a class, scaled to length 1 (§3.1).

    x: (n, d), y: (n,). Where nothing correlates, as in a batch of one, all columns weigh the same.
    """
    classes = torch.unique(y)
    member = (y.unsqueeze(1) == classes).double()
    wide = x.double()
    wide, member = (part - part.mean(0, keepdim=True) if len(part) else part for part in (wide, member))
    scale = wide.norm(dim=0).unsqueeze(1) * member.norm(dim=0)
    linked = ((wide.T @ member).abs() / scale.clamp(min=1e-12)).amax(1) if len(classes) else wide.new_zeros(x.shape[1])
    even = torch.ones_like(linked)
    weight = linked if bool(linked.any()) else even
    length: Tensor = torch.linalg.vector_norm(weight)
    return (weight / length.clamp(min=1e-12)).float()
