"""Flickering: one change of colour for each whole frame of a clip, as a lamp in the room would make it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Plan, Round, Turn, ball_norm, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region
from hauberk.numeric.losses import LOSSES, LossName
from hauberk.numeric.moments import Moments, untouched

Tensor = torch.Tensor

_TINY = 1e-12
"""Slopes of a sure model are small; below this they are none."""


@dataclass(frozen=True, slots=True)
class Lamp:
    """What lights a clip.

    x: (n, f, c, h, w). colour: (n, f, c, 1, 1), added to every pixel of a frame. memory: Adam's, of it.
    """

    x: Tensor
    colour: Tensor
    memory: Moments


@dataclass(frozen=True, slots=True)
class Flickering:
    """The flickering attack on clips of frames.

    steps: gradients. pace: length of a step as a share of the radius. thickness: weight of the colours' size.
    roughness: weight of what changes from frame to frame, and of how that changes: the smoother, the less it is seen.
    loss: "ce", "margin" or "dlr". driving: how the driver runs it (early stop, batch, float type).
    """

    card: ClassVar[Card] = Card(
        title="Flickering",
        summary="A colour over each whole frame of a clip: what a lamp can do; weaker than PGD, but it can be built.",
        paper="Pony et al. 2021, arXiv:2002.05123",
        needs=("gradients",),
        norms=("linf",),
        inputs=("frames",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 100
    pace: float = 0.1
    thickness: float = 0.1
    roughness: float = 0.1
    loss: LossName = "margin"
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return clips of x's shape (n, f, c, h, w) with at most the ball's radius added to a frame, cut at the bounds.

        Raises UsageError for a threat without an linf ball.
        """
        ball_norm(threat, self.card.norms, "evasion.flickering")
        plan = Plan(rounds=(Round(LOSSES[self.loss], self.steps),))
        return drive(self, plan, target, x, y, threat, rng, self.driving)

    def start(self, region: Region, rng: torch.Generator) -> Lamp:  # noqa: ARG002
        """Begin without light."""
        dark = torch.zeros_like(region.center[..., :1, :1])
        return Lamp(region.center, dark, untouched(dark))

    def step(self, state: Lamp, seen: Seen, turn: Turn) -> Lamp:
        """Change the colours by Adam, up the loss and down in thickness and roughness (section 3.2, equations 1–5).

        A pixel at its bound stays there; its slope counts all the same, as the paper has it.
        """
        radius, frames = turn.region.radius, state.x.shape[1]
        slope = seen.gradient.sum((-2, -1), keepdim=True)
        # Both penalties are slopes of mean squares in shares of the radius, made as long as the loss's slope.
        length: Tensor = torch.linalg.vector_norm(slope.flatten(1), dim=1)
        scale = length.reshape(-1, 1, 1, 1, 1) / (radius * frames**0.5)
        slope = slope - scale * (self.thickness * state.colour + self.roughness * bumps(state.colour))
        memory = state.memory.after(slope)
        colour = (state.colour + self.pace * radius * memory.way(_TINY)).clamp(-radius, radius)
        return Lamp(turn.region.project(turn.region.center + colour), colour, memory)


def bumps(colour: Tensor) -> Tensor:
    """Differentiate ½ Σ (first differences)² + ½ Σ (second differences)² over frames, cyclic: (n, f, c, 1, 1).

    Cyclic as in the paper: a lamp that flickers goes on when the clip is over.
    """
    ahead, behind = colour.roll(-1, 1), colour.roll(1, 1)
    first = 2 * colour - ahead - behind
    return first + 2 * first - first.roll(-1, 1) - first.roll(1, 1)
