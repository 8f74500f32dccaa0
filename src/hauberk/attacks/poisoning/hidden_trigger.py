"""Hidden trigger: rows of the attacker's class with the features of triggered inputs, and no trigger to be seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.poison_features import Extractor, network_of
from hauberk.attacks.poison_patch import stamped
from hauberk.attacks.poison_rows import around, others, own
from hauberk.core.card import Card
from hauberk.core.poisoning import Poisoned
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class HiddenTrigger:
    """Move rows of the target class to the features of triggered rows of other classes; labels stay right.

    Saha et al. 2020, arXiv:1910.00033, algorithm 1: at each step new triggered rows are drawn, each is paired with
    the nearest free poison in feature space, and the pairs are drawn together. The trigger's place is fixed here.

    steps: of the descent; the paper has up to 5000. pace: of the first step as a share of `radius`.
    radius: how far a value may be moved as a share of the input range, without a ball; the paper's 16/255.
    size, corner, pattern, value: of the trigger, as BadNets has them.
    retrains: what the victim trains on the rows: its "last" layer, the paper's setting, or "all" of it.
    """

    card: ClassVar[Card] = Card(
        title="Hidden trigger backdoor",
        summary="Opens a backdoor when a last layer is retrained; neither trigger nor wrong label is in the data.",
        paper="Saha et al. 2020, arXiv:1910.00033, §3",
        needs=("refit", "module"),
        norms=("linf", "l2", "l1"),
        inputs=("chw", "row"),
        threats=("AML.T0020", "AML.T0018", "OWASP-ML02", "OWASP-ML10"),
        extra="models",
    )

    steps: int = 150
    pace: float = 0.2
    radius: float = 16 / 255
    size: int = 3
    corner: Literal["top-left", "top-right", "bottom-left", "bottom-right"] = "bottom-right"
    pattern: Literal["checker", "solid"] = "checker"
    value: float = 1.0
    retrains: Literal["last", "all"] = "last"

    def craft(self, surrogate: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Poisoned:
        """Poison floor(poison_rate · n) rows of the target class; raises DataError where it or all others have none."""
        rows, sources = own(y, threat, rng), others(y, threat)
        poisoned, bounds = x.clone(), surrogate.spec.bounds
        if not len(rows):
            return Poisoned(poisoned, y.clone(), rows)
        features = Extractor(network_of(surrogate), x)
        triggered = features.still(self.trigger(x[sources], bounds))
        region = around(x[rows], bounds, threat, self.radius)
        width, moved = (region.upper - region.lower) / 2, x[rows]
        for step in range(self.steps):
            drawn = triggered[torch.randint(len(triggered), (len(rows),), generator=rng)]
            with torch.enable_grad():
                moving = moved.detach().requires_grad_(True)
                own_features = features(moving)
                wanted = drawn[_pairs(own_features.detach(), drawn)]
                loss = (own_features - wanted).square().sum()
                (slope,) = torch.autograd.grad(loss, moving)
            moved = region.project(moved - self.pace * (1 - step / self.steps) * width * slope.sign())
        poisoned[rows] = moved
        return Poisoned(poisoned, y.clone(), rows)

    def trigger(self, x: Tensor, bounds: tuple[float, float]) -> Tensor:
        """Put the patch on x (n, c, h, w) or (n, d); raises DataError where it does not fit."""
        return stamped(x, bounds, self.size, self.corner, self.pattern, self.value)


def _pairs(left: Tensor, right: Tensor) -> Tensor:
    """Pair each of left (m, d) with another of right (m, d), the nearest pairs first: places in right (m,)."""
    gaps = torch.cdist(left, right)
    paired = torch.empty(len(left), dtype=torch.int64)
    for _ in range(len(left)):
        place = int(gaps.argmin())
        row, column = divmod(place, gaps.shape[1])
        paired[row] = column
        gaps[row], gaps[:, column] = torch.inf, torch.inf
    return paired
