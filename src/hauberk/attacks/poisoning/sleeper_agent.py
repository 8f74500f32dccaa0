"""Sleeper agent: a backdoor opened from scratch by rows that never show the trigger and keep their label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.poison_features import network_of
from hauberk.attacks.poison_gradients import match, pull, strongest, trainable
from hauberk.attacks.poison_patch import stamped
from hauberk.attacks.poison_rows import allowed, around, goal_of, members, others
from hauberk.core.card import Card
from hauberk.core.poisoning import Poisoned
from hauberk.core.protocols import Target, Trainable
from hauberk.core.threat import Threat

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class SleeperAgent:
    """Move rows of the target class so that their gradient is that of triggered inputs with the target's label.

    Souri et al. 2022, arXiv:2106.08970, §3: gradient matching on many triggered inputs, rows chosen by the length of
    their gradient, the surrogate trained anew on the poison so far.

    steps, restarts: of each matching. pace: of the first step as a share of `radius`. renewals: how often the surrogate
    is trained anew; the paper has 4. sources: how many triggered inputs the gradient is taken over.
    radius: how far a value may be moved as a share of the input range, without a ball; the paper's 16/255.
    size, corner, pattern, value: of the trigger, as BadNets has them.
    """

    card: ClassVar[Card] = Card(
        title="Sleeper agent (hidden trigger, from scratch)",
        summary="Opens a backdoor in a model trained from scratch; neither trigger nor wrong label is in the data.",
        paper="Souri et al. 2022, arXiv:2106.08970, §3",
        needs=("refit", "module"),
        norms=("linf", "l2", "l1"),
        inputs=("chw", "row"),
        threats=("AML.T0020", "AML.T0018", "OWASP-ML02", "OWASP-ML10"),
        extra="models",
    )

    steps: int = 60
    restarts: int = 1
    pace: float = 0.2
    renewals: int = 1
    sources: int = 256
    radius: float = 16 / 255
    size: int = 3
    corner: Literal["top-left", "top-right", "bottom-left", "bottom-right"] = "bottom-right"
    pattern: Literal["checker", "solid"] = "checker"
    value: float = 1.0

    def craft(self, surrogate: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Poisoned:
        """Poison floor(poison_rate · n) rows of the target class; raises DataError where it or all others have none."""
        pool, victims = members(y, threat), others(y, threat)
        bounds = surrogate.spec.bounds
        drawn = victims[torch.randperm(len(victims), generator=rng)[: self.sources]]
        triggered, goal = self.trigger(x[drawn], bounds), torch.full((len(drawn),), goal_of(threat))
        net = trainable(network_of(surrogate))
        rows = pool[strongest(net, x[pool], y[pool], allowed(threat, len(y)))].sort().values
        found = Poisoned(x.clone(), y.clone(), rows)
        if not len(rows):
            return found
        region = around(x[rows], bounds, threat, self.radius)
        for turn in range(self.renewals + 1):
            if turn and isinstance(surrogate, Trainable):
                net = trainable(network_of(surrogate.refit(found.x, found.y, rng)))
            matched = match(
                net,
                pull(net, triggered, goal),
                region,
                y[rows],
                rng,
                steps=self.steps,
                restarts=self.restarts,
                pace=self.pace,
            )
            found.x[rows] = matched.x
        return found

    def trigger(self, x: Tensor, bounds: tuple[float, float]) -> Tensor:
        """Put the patch on x (n, c, h, w) or (n, d); raises DataError where it does not fit."""
        return stamped(x, bounds, self.size, self.corner, self.pattern, self.value)
