"""BadNets: a trigger patch on some training rows, which are relabelled to the attacker's class."""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType
from typing import ClassVar, Literal

import torch

from hauberk.core.card import Card
from hauberk.core.errors import DataError, UsageError
from hauberk.core.protocols import Poisoned
from hauberk.core.threat import Threat


@dataclass(frozen=True, slots=True)
class BadNets:
    """Stamp a fixed patch on the threat's share of rows and label them as the target class.

    Gu et al. 2017, arXiv:1708.06733, §4: all-to-one attack with a pattern in a corner.

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
        if threat.poison_rate is None or not 0 <= threat.poison_rate <= 1:
            raise UsageError(f"{threat.name} has no poison rate in 0–1", fix="set poison_rate, such as 0.02")
        goal = threat.target_class or 0
        count = int(threat.poison_rate * len(y) + 1e-9)  # 0.29 · 100 is 28.999… in floating point
        order = torch.randperm(len(y), generator=rng)
        order = torch.cat((order[y[order] != goal], order[y[order] == goal]))
        rows = order[:count].sort().values
        poisoned, labels = x.clone(), y.clone()
        poisoned[rows] = self.trigger(x[rows], bounds)
        labels[rows] = goal
        return Poisoned(poisoned, labels, rows)

    def trigger(self, x: torch.Tensor, bounds: tuple[float, float]) -> torch.Tensor:
        """Put the patch on x (n, c, h, w) or (n, d); raises DataError where it does not fit."""
        low, high = bounds
        stamped = x.clone()
        window = self._window(x)
        shape = stamped[window].shape[1:]
        cells = torch.arange(shape[-1])
        if x.ndim == 4:
            cells = cells + torch.arange(shape[-2])[:, None]
        bright = low + self.value * (high - low)
        patch = torch.where((cells % 2 == 0) | (self.pattern == "solid"), bright, low).clamp(low, high)
        stamped[window] = patch.to(x)
        return stamped

    def _window(self, x: torch.Tensor) -> tuple[EllipsisType | slice, ...]:
        if x.ndim not in (2, 4):
            raise DataError(f"a trigger needs images (n, c, h, w) or rows (n, d), not {tuple(x.shape)}")
        sides = x.shape[2:] if x.ndim == 4 else x.shape[1:]
        if not 1 <= self.size <= min(sides):
            raise DataError(
                f"a trigger of {self.size} does not fit into {tuple(x.shape[1:])}", fix="set a smaller size"
            )
        vertical, horizontal = self.corner.split("-")
        start, end = slice(0, self.size), slice(-self.size, None)
        column = start if horizontal == "left" else end
        return (..., start if vertical == "top" else end, column) if x.ndim == 4 else (..., column)
