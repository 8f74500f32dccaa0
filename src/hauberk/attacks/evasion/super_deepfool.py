"""SuperDeepFool: DeepFool steps to get across, then back to the face's foot as seen from the clean input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Round, Turn, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.attacks.nearest import LastMile, free_norm, nearest, nearest_face, towards, wide
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region
from hauberk.numeric.faces import towards_faces

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Trail:
    """Where SuperDeepFool stands: x (n, *shape)."""

    x: Tensor


@dataclass(frozen=True, slots=True)
class SuperDeepFool:
    """SuperDeepFool.

    steps: linearisations. candidates: likeliest other classes whose faces are looked at, a gradient each.
    overshoot: share by which a move is lengthened to get across. looks: forwards at the end that close in on the
    boundary. norm: "l2", "linf" or "l1", used where the threat has no ball; else its own; the paper has l2 only.
    driving: how the driver runs it (early stop, batch, float type).
    """

    card: ClassVar[Card] = Card(
        title="SuperDeepFool",
        summary="DeepFool that turns back to the clean input's own foot on the boundary: smaller norms, dearer.",
        paper="Abdollahpoorrostam et al. 2023, arXiv:2303.12481",
        needs=("gradients",),
        norms=("linf", "l2", "l1"),
        inputs=("chw", "row", "wave", "frames"),
        nearest=True,
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 30
    candidates: int = 9
    overshoot: float = 0.02
    looks: int = 5
    norm: Literal["l2", "linf", "l1"] = "l2"
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return the nearest errors found, (n, *shape), cut to the threat's ball where it has one."""
        norm = free_norm(threat, self.norm, self.card.norms, "evasion.super_deepfool")
        mile = LastMile(self, self.steps, self.looks)
        rounds = (Round(towards_faces(self.candidates), self.steps + self.looks, blind=mile.blind),)
        return drive(mile, nearest(rounds, norm, self.candidates), target, x, y, threat, rng, self.driving)

    def start(self, region: Region, rng: torch.Generator) -> Trail:  # noqa: ARG002
        """Begin at the clean input."""
        return Trail(region.center)

    def step(self, state: Trail, seen: Seen, turn: Turn) -> Trail:
        """Step on to the nearest face; once across, to its point nearest to the clean input (section 3).

        The paper drops a perpendicular, which the bounds may cut; here it is the nearest point inside the box.
        """
        where = turn.region
        face = nearest_face(state.x, seen, turn.aim, where, self.candidates)
        start = torch.where(wide(seen.hit, state.x), where.center, state.x)
        return Trail(where.project(start.add(towards(face, state.x, start, where), alpha=1 + self.overshoot)))
