"""VFGA: change one value at a time by the best of a few random amounts, up or down, until the target errs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Plan, Round, Turn, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.attacks.nearest import free_norm
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region
from hauberk.numeric.losses import LOSSES

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Vote:
    """Where VFGA stands; n samples.

    x: (n, *shape), the trial looked at, or the point reached where its gradient is. reached, best: (n, *shape), the
    point so far and the best trial from it. loss: (n,) of the best trial. up, down: (n,), the value to raise and the
    value to lower, as indices into a flat input.
    """

    x: Tensor
    reached: Tensor
    best: Tensor
    loss: Tensor
    up: Tensor
    down: Tensor


@dataclass(frozen=True, slots=True)
class VFGA:
    """Voting folded Gaussian attack.

    steps: gradients, and values changed, at most. trials: random amounts tried in each direction per gradient; each
    costs a look without gradient (the paper has 10; measured, 5 change as few values).
    driving: how the driver runs it (batch, float type); the first error ends it always: no later one is nearer.
    """

    card: ClassVar[Card] = Card(
        title="Voting folded Gaussian attack",
        summary="One value after the other, by the best of a few random amounts: few changes, without any tuning.",
        paper="Hajri et al. 2020, arXiv:2011.12423",
        needs=("gradients",),
        norms=("l0",),
        inputs=("chw", "row", "wave", "frames"),
        nearest=True,
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 100
    trials: int = 5
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return points with few changes, (n, *shape), cut to the threat's ball where it has one."""
        norm = free_norm(threat, "l0", self.card.norms, "evasion.vfga")
        # Every step changes one value more: steps past the radius lead nowhere.
        steps = self.steps if threat.ball is None else min(self.steps, math.floor(threat.ball.radius))
        turn = Round(LOSSES["ce"], steps * self._cycle, blind=lambda index: index % self._cycle != 0)
        plan = Plan(rounds=(turn,), keep="nearest", free=True, norm=norm)
        return drive(self, plan, target, x, y, threat, rng, replace(self.driving, early_stop=True))

    @property
    def _cycle(self) -> int:
        """Looks per change: a gradient, and the trials up and down."""
        return 1 + 2 * self.trials

    def start(self, region: Region, rng: torch.Generator) -> Vote:  # noqa: ARG002
        """Begin at the clean input."""
        x = region.center
        none = torch.zeros(len(x), dtype=torch.long, device=x.device)
        return Vote(x, x, x, x.new_full((len(x),), -torch.inf), none, none)

    def step(self, state: Vote, seen: Seen, turn: Turn) -> Vote:
        """Choose the two values after a gradient; after a trial keep the better; after the last one go there."""
        trial = turn.index % self._cycle
        if trial == 0:
            state = _chosen(state, seen.gradient, turn.region)
        else:
            loss = LOSSES["ce"](seen.logits, turn.aim).value
            better = loss > state.loss
            best = torch.where(better.reshape(-1, *[1] * (state.x.ndim - 1)), state.x, state.best)
            state = replace(state, best=best, loss=torch.maximum(loss, state.loss))
        if trial == 2 * self.trials:
            return replace(state, x=state.best, reached=state.best)
        return replace(state, x=_tried(state, turn, rising=trial < self.trials))


def _chosen(state: Vote, gradient: Tensor, where: Region) -> Vote:
    """Choose the untouched value that would raise the loss most by rising to its bound, and by falling."""
    touched = (state.reached != where.center).flatten(1)
    rise = ((where.upper - state.reached) * gradient).flatten(1).masked_fill(touched, -torch.inf)
    fall = ((where.lower - state.reached) * gradient).flatten(1).masked_fill(touched, -torch.inf)
    lowest = torch.full_like(state.loss, -torch.inf)
    return replace(state, best=state.reached, loss=lowest, up=rise.argmax(1), down=fall.argmax(1))


def _tried(state: Vote, turn: Turn, *, rising: bool) -> Tensor:
    """Move one value by |N(0, 1)| times its way to the bound, and no farther than the bound."""
    flat = state.reached.flatten(1)
    column = (state.up if rising else state.down).unsqueeze(1)
    bound = (turn.region.upper if rising else turn.region.lower).flatten(1).gather(1, column)
    share = torch.randn((len(flat), 1), generator=turn.rng, device=turn.rng.device).to(flat).abs().clamp(max=1.0)
    # At a share of 1 the bound itself: x + (bound − x) may miss it by a rounding.
    value = flat.gather(1, column)
    value = torch.where(share < 1, value + share * (bound - value), bound)
    return flat.scatter(1, column, value).reshape(state.x.shape)
