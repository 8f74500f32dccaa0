"""FAB: project the point and the clean input onto the linearised boundary, and go between the two."""

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
from hauberk.numeric.balls import Region, size
from hauberk.numeric.faces import towards_faces

Tensor = torch.Tensor

# Croce & Hein 2020, section 2.4 and table 5: the largest weight of the clean input's own projection, the step back
# after an error, the length of a move in distances to the face.
_BIAS, _BACK, _ACROSS = 0.1, 0.9, 1.05
_FINITE = 1e-12


@dataclass(frozen=True, slots=True)
class Between:
    """Where FAB stands: x (n, *shape)."""

    x: Tensor


@dataclass(frozen=True, slots=True)
class FAB:
    """Fast adaptive boundary attack.

    steps: linearisations per round. targets: 0 looks at the faces of `candidates` other classes at every step, a
    gradient each; more makes as many rounds, each towards one of the likeliest other classes at one gradient a step
    (FAB-T). candidates: likeliest other classes looked at where targets is 0. looks: forwards at the end of a round
    that close in on the boundary. norm: "l2", "linf" or "l1", used where the threat has no ball; else its own.
    driving: how the driver runs it (early stop, batch, float type).
    """

    card: ClassVar[Card] = Card(
        title="Fast adaptive boundary attack",
        summary="Projections onto the linearised boundary: AutoAttack's third attack; FMN and ALMA cost less.",
        paper="Croce & Hein 2020, arXiv:1907.02044",
        needs=("gradients",),
        norms=("linf", "l2", "l1"),
        inputs=("chw", "row", "wave", "frames"),
        nearest=True,
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 100
    targets: int = 0
    candidates: int = 9
    looks: int = 3
    norm: Literal["l2", "linf", "l1"] = "l2"
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return the nearest errors found, (n, *shape), cut to the threat's ball where it has one."""
        norm = free_norm(threat, self.norm, self.card.norms, "evasion.fab")
        mile = LastMile(self, self.steps, self.looks)
        loss, steps = towards_faces(self.candidates), self.steps + self.looks
        single = threat.target_class is not None or not self.targets
        ranks = (None,) if single else tuple(range(1, self.targets + 1))
        rounds = tuple(Round(loss, steps, rank, mile.blind) for rank in ranks)
        plan = nearest(rounds, norm, self.candidates if single else 1)
        return drive(mile, plan, target, x, y, threat, rng, self.driving)

    def start(self, region: Region, rng: torch.Generator) -> Between:  # noqa: ARG002
        """Begin at the clean input."""
        return Between(region.center)

    def step(self, state: Between, seen: Seen, turn: Turn) -> Between:
        """Go between the projections of the point and of the clean input (section 2.3), errors set back first.

        The paper asks again where it was set back to; the face seen from the error stands in for that gradient.
        """
        where, center = turn.region, turn.region.center
        face = nearest_face(state.x, seen, turn.aim, where, self.candidates)
        x = torch.where(wide(seen.hit, state.x), center + _BACK * (state.x - center), state.x)
        own, clean = towards(face, state.x, x, where), towards(face, state.x, center, where)
        near, far = size(own, where.norm), size(clean, where.norm)
        bias = wide((near / (near + far).clamp(min=_FINITE)).clamp(max=_BIAS), x)
        return Between(where.project((1 - bias) * (x + _ACROSS * own) + bias * (center + _ACROSS * clean)))
