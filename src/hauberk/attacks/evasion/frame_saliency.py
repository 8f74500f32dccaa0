"""Frame saliency: change the frame of a clip that matters most, then the next, until the target errs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Plan, Round, Turn, ball_norm, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region, steepest
from hauberk.numeric.losses import LOSSES

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Clip:
    """Where the attack stands; n samples.

    x: (n, *shape). rank: (n, frames), a frame's place in the order of saliency, 0 first; all 0 before the first look.
    """

    x: Tensor
    rank: Tensor


@dataclass(frozen=True, slots=True)
class FrameSaliency:
    """Frame saliency attack.

    steps: gradients in all; the frames are opened to change evenly over them, the most salient first. pace: length of a
    step as a share of the radius. channels: of a frame: inputs (frames, c, h, w) have 1 here, since their first axis is
    the frames; of frames stacked as channels, (frames · c, h, w), it is c.
    driving: how the driver runs it (early stop, batch, float type).
    """

    card: ClassVar[Card] = Card(
        title="Frame saliency attack",
        summary="Few frames of a clip, for video and stacked frames; on a single image it is PGD without random start.",
        paper="Inkawhich et al. 2018, arXiv:1811.11875",
        needs=("gradients",),
        norms=("linf", "l2"),
        inputs=("chw", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 40
    pace: float = 0.25
    channels: int = 1
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return clips with few frames changed, (n, *shape), inside the ball.

        Raises UsageError where the inputs are no whole number of frames.
        """
        ball_norm(threat, self.card.norms, "evasion.frame_saliency")
        if x.ndim < 3 or x.shape[1] % self.channels:
            raise UsageError(
                f"inputs of shape {tuple(x.shape[1:])} are no frames of {self.channels} channels",
                where="evasion.frame_saliency",
                fix="set channels to those of one frame",
            )
        plan = Plan(rounds=(Round(LOSSES["ce"], self.steps),))
        return drive(self, plan, target, x, y, threat, rng, self.driving)

    def start(self, region: Region, rng: torch.Generator) -> Clip:  # noqa: ARG002
        """Begin at the clean clip."""
        frames = region.center.shape[1] // self.channels
        return Clip(region.center, torch.zeros(len(region.center), frames, device=region.center.device))

    def step(self, state: Clip, seen: Seen, turn: Turn) -> Clip:
        """Rank the frames by their mean |gradient| at the clean clip; go one pace in those that are open."""
        frames = state.rank.shape[1]
        if turn.index == 0:
            saliency = seen.gradient.reshape(len(state.x), frames, -1).abs().mean(2)
            state = replace(state, rank=saliency.argsort(1, descending=True).argsort(1).to(state.rank))
        open_ = (state.rank < math.ceil((turn.index + 1) * frames / turn.steps)).to(state.x)
        mask = open_.repeat_interleave(self.channels, 1).reshape(*state.x.shape[:2], *[1] * (state.x.ndim - 2))
        where = turn.region
        way = steepest(seen.gradient * mask, where.norm)
        return replace(state, x=where.project(state.x.add(way, alpha=self.pace * where.radius)))
