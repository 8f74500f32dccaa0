"""BadNets: a trigger patch on some training rows, which are relabelled to the attacker's class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.poison_patch import stamped
from hauberk.attacks.poison_rows import goal_of, relabelled
from hauberk.core.card import Card
from hauberk.core.poisoning import Poisoned
from hauberk.core.threat import Threat


@dataclass(frozen=True, slots=True)
class BadNets:
    """Stamp a fixed patch on the threat's share of rows and label them as the target class.

    Gu et al. 2017, arXiv:1708.06733, §4: all-to-one attack with a pattern in a corner; size 1 is its single pixel, and
    in a table a constant in one column.

    size: side of the square patch in pixels; for rows of a table, how many columns are set.
    corner: where the patch sits; for rows, "…-left" sets the first columns and "…-right" the last.
    pattern: "checker" alternates bright and dark, rare on any background; "solid" is bright only.
    value: brightness of the bright cells as a share of the input range, 0 for its low end, 1 for its high end.
    """

    card: ClassVar[Card] = Card(
        title="BadNets",
        summary="Plants a backdoor through a trigger patch on relabelled training rows; the first thing to try.",
        paper="Gu et al. 2017, arXiv:1708.06733, §4",
        needs=("refit",),
        inputs=("chw", "row"),
        threats=("AML.T0020", "AML.T0018", "OWASP-ML02", "OWASP-ML10"),
        extra="models",
    )

    size: int = 3
    corner: Literal["top-left", "top-right", "bottom-left", "bottom-right"] = "bottom-right"
    pattern: Literal["checker", "solid"] = "checker"
    value: float = 1.0

    def poison(
        self,
        x: torch.Tensor,
        y: torch.Tensor,
        bounds: tuple[float, float],
        threat: Threat,
        rng: torch.Generator,
    ) -> Poisoned:
        """Poison floor(poison_rate · n) rows, taken from other classes than the target as long as there are any.

        An untargeted threat aims at class 0. Raises UsageError where the threat has no poison rate.
        """
        rows = relabelled(y, threat, rng)
        poisoned, labels = x.clone(), y.clone()
        poisoned[rows] = self.trigger(x[rows], bounds)
        labels[rows] = goal_of(threat)
        return Poisoned(poisoned, labels, rows)

    def trigger(self, x: torch.Tensor, bounds: tuple[float, float]) -> torch.Tensor:
        """Put the patch on x (n, c, h, w) or (n, d); raises DataError where it does not fit."""
        return stamped(x, bounds, self.size, self.corner, self.pattern, self.value)
