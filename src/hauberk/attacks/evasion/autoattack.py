"""AutoAttack: the published ensemble of parameter-free attacks, each on the samples that withstood the ones before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, cast

import msgspec
import torch

from hauberk.attacks.driver import DEFAULT, Driving, ball_norm
from hauberk.attacks.inquiry import Inquiry
from hauberk.core.card import Card
from hauberk.core.evidence import Scalar
from hauberk.core.plugins import Settings, build, settings_of
from hauberk.core.protocols import EvasionAttack, Target
from hauberk.core.threat import Norm, Threat
from hauberk.numeric.balls import region

Tensor = torch.Tensor
Stage: TypeAlias = tuple[str, Settings]

# Croce & Hein 2020, section 6: targets of APGD-T and FAB-T, restarts of "plus", looks at each point in "rand"; those of
# l1 are the ones of Croce & Hein 2021, section 5.
_TARGETS, _RESTARTS, _DRAWS = 9, 5, 20
_L1_TARGETS, _L1_RESTARTS = 5, 5


@dataclass(frozen=True, slots=True)
class AutoAttack:
    """AutoAttack.

    version: "standard" is APGD-CE, targeted APGD-DLR, targeted FAB and Square, what leaderboards report; "plus" adds
    restarts and the untargeted APGD-DLR and FAB; "rand", for models that answer at random, is APGD-CE and APGD-DLR with
    20 looks at each point. Not as published: FAB here begins at the clean input and draws nothing, so "plus" runs it
    once, not five times; in l1 APGD does not begin in larger balls.
    steps: gradients of each run of a gradient attack. queries: of Square, per sample.
    driving: how the driver runs the gradient attacks (batch, float type; "rand" takes its own number of draws).
    """

    card: ClassVar[Card] = Card(
        title="AutoAttack",
        summary="The ensemble leaderboards report, with nothing to tune: choose it to compare; `standard` is cheaper.",
        paper="Croce & Hein 2020, arXiv:2003.01690; in l1 Croce & Hein 2021, arXiv:2103.01208",
        needs=("gradients",),
        norms=("linf", "l2", "l1"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    version: Literal["standard", "plus", "rand"] = "standard"
    steps: int = 100
    queries: int = 5000
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return points of x's shape (n, *shape) inside the ball; a sample already wrong or never broken stays.

        A break counts only once the target, asked plainly in float32, errs. The stages share a threat's queries in
        equal parts, what their confirmations cost taken off; where they are too few, the later stages are left out.
        """
        stages = self.stages(ball_norm(threat, self.card.norms, "evasion.autoattack"))
        stages, part = _within(stages, threat)
        seeds = torch.randint(2**62, (len(stages),), generator=rng, device=rng.device).tolist()
        found, inquiry = x.detach().float().clone(), Inquiry(target, x, y.to(x.device), threat, 1 + len(stages))
        rows = torch.arange(len(x), device=x.device)
        rows = rows[~_errs(inquiry, found, y)] if stages and len(x) else rows
        for (name, settings), seed in zip(stages, seeds, strict=True):
            if not len(rows):
                break
            attack = cast(EvasionAttack, build("attacks", name, settings))
            stream = torch.Generator(rng.device).manual_seed(seed)
            tried = attack.run(target, found[rows], y[rows], part, stream)
            inside = region(threat.ball, found[rows], target.spec.bounds).project(tried.to(found))
            broken = _errs(inquiry, inside, y[rows])
            found[rows[broken]] = inside[broken]
            rows = rows[~broken]
        return found

    def stages(self, norm: Norm) -> tuple[Stage, ...]:
        """Name the attacks of this version in a ball of this norm, in order, each with its settings."""
        targets, restarts = (_L1_TARGETS, _L1_RESTARTS) if norm == "l1" else (_TARGETS, 1)
        targeted = self._apgd("dlr-targets", targets=targets)
        fab = self._fab(targets=_TARGETS)
        square: Stage = ("evasion.square", {"queries": self.queries})
        if self.version == "standard":
            return (self._apgd("ce", restarts=restarts), targeted, fab, square)
        if self.version == "rand":
            return (self._apgd("ce", draws=_DRAWS), self._apgd("dlr", draws=_DRAWS))
        return (
            self._apgd("ce", restarts=_RESTARTS),
            self._apgd("dlr", restarts=_RESTARTS),
            self._fab(targets=0),
            square,
            targeted,
            fab,
        )

    def _apgd(self, loss: str, *, restarts: int = 1, targets: int = 1, draws: int | None = None) -> Stage:
        counts: dict[str, Scalar] = {"steps": self.steps, "restarts": restarts, "targets": targets}
        return "evasion.apgd", {"loss": loss, **counts, "driving": self._driving(draws)}

    def _fab(self, *, targets: int) -> Stage:
        return "evasion.fab", {"steps": self.steps, "targets": targets, "driving": self._driving(None)}

    def _driving(self, draws: int | None) -> dict[str, Scalar]:
        values = {row.name: row.value for row in settings_of(self.driving)}
        return values if draws is None else values | {"draws": draws}


def _errs(inquiry: Inquiry, points: Tensor, y: Tensor) -> Tensor:
    """Tell where (n,) the attacker has what he wants; also of a target that learns its shape from this question."""
    return inquiry.takes(inquiry.scores(points).argmax(1), y.to(points.device))


def _within(stages: tuple[Stage, ...], threat: Threat) -> tuple[tuple[Stage, ...], Threat]:
    """Return the stages a budget pays for, each with a query of its own at least, and the threat each is run under."""
    if threat.queries is None:
        return stages, threat
    paid = stages[: max(0, (threat.queries - 1) // 2)]
    share = (threat.queries - 1) // max(1, len(paid)) - 1
    return paid, msgspec.structs.replace(threat, queries=share)
