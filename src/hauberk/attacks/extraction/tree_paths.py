"""Path-finding: a decision tree's leaves, found one by one from the scores that tell them apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import msgspec
import torch

from hauberk.attacks.surrogates import budget_of
from hauberk.core.card import Card
from hauberk.core.errors import MissingPower
from hauberk.core.protocols import Target, TargetSpec
from hauberk.core.threat import Threat

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class TreePaths:
    """Walk from an input along each column to where the answer changes: that box is a leaf; go on beyond its sides.

    Tramèr et al. 2016, arXiv:1609.02943, §4.2 (path-finding by line search): exact, to `digits` of the bounds' range,
    for a single tree whose leaves answer differently; leaves that answer alike count as one until a walk ends between
    them. The thief needs no data: he begins at the middle of the bounds, then at inputs of his pool.
    digits: decimals to which a threshold is searched.
    """

    card: ClassVar[Card] = Card(
        title="Path-finding on trees",
        summary="Finds a decision tree's thresholds and leaves by bisection; exact for a tree that answers scores.",
        paper="Tramèr et al. 2016, arXiv:1609.02943, section 4.2",
        needs=("scores",),
        inputs=("row",),
        threats=("AML.T0024.002", "OWASP-ML05"),
        extra="models",
    )

    digits: int = 4

    def steal(self, target: Target, pool: Tensor, threat: Threat, rng: torch.Generator) -> Boxes:
        """Return the leaves found within the budget; raises MissingPower for labels only, DataError for no query."""
        if target.spec.answers == "labels" or threat.knowledge == "decision":
            raise MissingPower("labels do not tell leaves apart", fix="let the attacker see scores")
        budget = budget_of(pool, threat)
        low, high = target.spec.bounds
        walk = _Walk(target, budget, (high - low) * 10.0**-self.digits)
        middle = torch.full_like(pool[0], (low + high) / 2)
        walk.waiting = [*pool[torch.randperm(len(pool), generator=rng)].flip(0), middle]
        while walk.waiting and walk.left > 0:
            walk.visit(walk.waiting.pop())
        return Boxes(walk.low, walk.high, walk.answers, target.spec)


@dataclass(slots=True)
class _Walk:
    """What was found so far: boxes of leaves, and points that may lie in others."""

    target: Target
    left: int
    fine: float
    waiting: list[Tensor] = field(default_factory=list)
    low: list[Tensor] = field(default_factory=list)
    high: list[Tensor] = field(default_factory=list)
    answers: list[Tensor] = field(default_factory=list)

    def visit(self, x: Tensor) -> None:
        """Ask for x's leaf and the box about it, unless a box holds x already."""
        if any(bool(((x > a) & (x <= b)).all()) for a, b in zip(self.low, self.high, strict=True)):
            return
        found = self._ask(x[None])
        if found is None:
            return
        answer = found[0]
        low, high = torch.full_like(x, -torch.inf), torch.full_like(x, torch.inf)
        for side, bound in ((low, self.target.spec.bounds[0]), (high, self.target.spec.bounds[1])):
            ends = x.repeat(len(x), 1)
            ends.fill_diagonal_(bound)
            seen = self._ask(ends)
            if seen is None:
                break
            for column in (seen != answer).any(1).nonzero()[:, 0].tolist():
                inside, outside = self._edge(x, column, bound, answer)
                side[column] = inside if side is high else outside
                beyond = x.clone()
                beyond[column] = outside
                self.waiting.append(beyond)
        self.low.append(low)
        self.high.append(high)
        self.answers.append(answer)

    def _edge(self, x: Tensor, column: int, bound: float, answer: Tensor) -> tuple[float, float]:
        """Bisect along a column → the last value seen with this answer, the first with another."""
        inside, outside = float(x[column]), bound
        while abs(outside - inside) > self.fine:
            point = x.clone()
            point[column] = (inside + outside) / 2
            seen = self._ask(point[None])
            if seen is None:
                break
            if bool((seen[0] == answer).all()):
                inside = float(point[column])
            else:
                outside = float(point[column])
        return inside, outside

    def _ask(self, x: Tensor) -> Tensor | None:
        if self.left < len(x):
            self.left = 0
            return None
        self.left -= len(x)
        return self.target.predict(x)


class Boxes:
    """A stolen tree: boxes of rows and what the target answers in each."""

    def __init__(self, low: list[Tensor], high: list[Tensor], answers: list[Tensor], original: TargetSpec) -> None:
        self._low, self._high, self._answers = torch.stack(low), torch.stack(high), torch.stack(answers)
        self._spec = msgspec.structs.replace(original, name=f"{original.name} (stolen)", kind="surrogate", digest="")

    @property
    def spec(self) -> TargetSpec:
        """What it is."""
        return self._spec

    def predict(self, x: Tensor) -> Tensor:
        """Answer rows x (n, d) as the box does that holds them, or the one whose sides are nearest."""
        rows = []
        for part in torch.split(x, 256):
            short = (self._low - part[:, None]).clamp(min=0) + (part[:, None] - self._high).clamp(min=0)
            rows.append(self._answers[short.norm(dim=2).argmin(1)])
        return torch.cat(rows) if rows else x.new_zeros(0, self._spec.classes)
