"""DeepFool: step again and again to the nearest face of the linearised decision region: small perturbations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Plan, Round, Turn, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.attacks.nearest import free_norm, nearest_face
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region
from hauberk.numeric.faces import onto_face, towards_faces

Tensor = torch.Tensor

_FARTHEST = 1e6
"""Length of a coordinate's move where the gradient all but vanishes: across any input's bounds, and still a number."""


@dataclass(frozen=True, slots=True)
class Trail:
    """Where DeepFool stands: x (n, *shape)."""

    x: Tensor


@dataclass(frozen=True, slots=True)
class DeepFool:
    """DeepFool.

    steps: linearisations at most. candidates: likeliest other classes whose faces are looked at, a gradient each.
    overshoot: share by which each move is lengthened to get across. norm: "l2", "linf" or "l1", used where the
    threat has no ball; else its own.
    driving: how the driver runs it (batch, float type); the first error ends it always: no later one is nearer.
    """

    card: ClassVar[Card] = Card(
        title="DeepFool",
        summary="The nearest face of the linearised decision region, step by step: a small perturbation, cheaply.",
        paper="Moosavi-Dezfooli et al. 2016, arXiv:1511.04599",
        needs=("gradients",),
        norms=("linf", "l2", "l1"),
        inputs=("chw", "row", "wave", "frames"),
        nearest=True,
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 50
    candidates: int = 9
    overshoot: float = 0.02
    norm: Literal["l2", "linf", "l1"] = "l2"
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return the small perturbations found, (n, *shape), cut to the threat's ball where it has one."""
        norm = free_norm(threat, self.norm, self.card.norms, "evasion.deepfool")
        rounds = (Round(towards_faces(self.candidates), self.steps),)
        plan = Plan(rounds=rounds, keep="nearest", free=True, norm=norm, width=self.candidates)
        return drive(self, plan, target, x, y, threat, rng, replace(self.driving, early_stop=True))

    def start(self, region: Region, rng: torch.Generator) -> Trail:  # noqa: ARG002
        """Begin at the clean input."""
        return Trail(region.center)

    def step(self, state: Trail, seen: Seen, turn: Turn) -> Trail:
        """Go to the nearest face (section 3, algorithm 2), what would leave the box cut off.

        A coordinate at its bound that the move would push out has no part in it; with it, on images with black borders
        each step closes a part of the gap only and may never get across. The rest is cut, not made up for elsewhere:
        steps that fall short of the face end nearer than steps that reach it exactly (measured).
        """
        where = turn.region
        face = nearest_face(state.x, seen, turn.aim, where, self.candidates)
        open_ = ((where.lower < state.x) | (face.slope.reshape(state.x.shape) > 0)) & (
            (where.upper > state.x) | (face.slope.reshape(state.x.shape) < 0)
        )
        far = torch.full_like(face.slope, _FARTHEST)
        move = onto_face(face.slope * open_.flatten(1), face.gap.abs(), -far, far, where.norm)
        return Trail(where.project(state.x.add(move.reshape(state.x.shape), alpha=1 + self.overshoot)))
