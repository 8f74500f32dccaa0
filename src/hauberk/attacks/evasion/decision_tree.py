"""Decision tree: go to the nearest leaf of a single tree that answers otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.allowed import allowed
from hauberk.attacks.tree_target import aim_of, forest_of, set_of
from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.active import take
from hauberk.numeric.balls import Region, size
from hauberk.numeric.losses import Aim
from hauberk.numeric.rows import Rows
from hauberk.numeric.tree import LEAF, Boxes, Forest
from hauberk.numeric.tree_reach import nearest_in, taken

Tensor = torch.Tensor

PIECE = 2**22
"""Values of candidate rows held at once."""


@dataclass(frozen=True, slots=True)
class DecisionTree:
    """Walk from a sample's leaf to the nearest one of another class.

    tried: of the nearest leaves, in order, until one still errs once the set's types, groups and relations are kept.
    """

    card: ClassVar[Card] = Card(
        title="Decision tree attack",
        summary="Exact nearest error of one decision tree, in any ball or a table; for ensembles use tree_coordinates.",
        paper="Papernot, McDaniel & Goodfellow 2016, arXiv:1605.07277, section 3.4, with the nearest leaf of all",
        needs=("trees",),
        norms=("linf", "l2", "l1", "l0"),
        sets=("constraints",),
        inputs=("row",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    tried: int = 16

    def run(
        self,
        target: Target,
        x: torch.Tensor,
        y: torch.Tensor,
        threat: Threat,
        rng: torch.Generator,  # noqa: ARG002
    ) -> torch.Tensor:
        """Return the nearest error of each row x (n, d) inside the set, or the row itself where there is none.

        Nothing is random: `rng` is not used. Raises MissingPower where the target shows no trees, UsageError where it
        shows several or the threat has neither ball nor constraints.
        """
        forest = forest_of(target, x)
        if len(forest.roots) > 1:
            raise UsageError(
                f"evasion.decision_tree works on one tree, not {len(forest.roots)}", fix="use evasion.tree_coordinates"
            )
        where, aim = set_of(allowed(threat, x, target.spec.bounds), threat), aim_of(y, threat)
        boxes = forest.boxes()
        parts = torch.split(
            torch.arange(len(x)), max(1, PIECE // max(1, boxes.column.numel() + self.tried * x.shape[1]))
        )
        found = [self._nearest(forest, boxes, taken(where, part), take(aim, part)) for part in parts]
        return torch.cat(found) if found else x.clone()

    def _nearest(self, forest: Forest, boxes: Boxes, where: Region | Rows, aim: Aim) -> Tensor:
        nearest, barred = nearest_in(boxes, where)
        n, d = where.center.shape
        column = boxes.column.clamp(min=0)
        move = (nearest - where.center[:, column]).masked_fill(boxes.column == LEAF, 0.0)
        way = size(move.flatten(0, 1), where.norm if isinstance(where, Region) else "l0").reshape(n, -1)
        fits = _taken_for((forest.base + boxes.value).argmax(1).unsqueeze(0), aim) & ~barred.any(2)
        order = way.masked_fill(~fits, torch.inf).topk(min(self.tried, way.shape[1]), largest=False).indices
        chosen = order.unsqueeze(-1).expand(-1, -1, column.shape[1])
        steps = torch.zeros(n, order.shape[1], d + 1)
        places = torch.where(boxes.column == LEAF, d, boxes.column)[order]
        values = nearest.gather(1, chosen)
        rows = torch.cat((where.center, where.center[:, :1]), 1).unsqueeze(1).expand_as(steps)
        rows = rows.scatter(2, places, values)[..., :d]
        return _first_error(forest, rows, where, aim)


def _first_error(forest: Forest, rows: Tensor, where: Region | Rows, aim: Aim) -> Tensor:
    """Put candidates (n, k, d), the nearest first, into the set and return the first of each sample that still errs."""
    n, k, d = rows.shape
    many = torch.arange(n).repeat_interleave(k)
    flat = taken(where, many).project(rows.flatten(0, 1))
    errs = _taken_for(forest.scores(flat).argmax(1).reshape(n, k), aim)
    first = errs.byte().argmax(1)
    best = flat.reshape(n, k, d)[torch.arange(n), first]
    return torch.where(errs.any(1, keepdim=True), best, where.center)


def _taken_for(found: Tensor, aim: Aim) -> Tensor:
    """Tell which classes found (n or 1, k) the attacker wants of each sample; of equal scores the first class wins."""
    if aim.strict and aim.wanted is not None:
        return found == aim.wanted.unsqueeze(1)
    return found != aim.labels.unsqueeze(1)
