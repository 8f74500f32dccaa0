"""Audit a private training recipe: run it once more with canaries, and hold what they show against the promise."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import nn

from hauberk.api.subject import Subject
from hauberk.attacks.auditing_privacy import CanaryLoss, Drawing, Listener, WithCanaries, plant
from hauberk.core.evidence import Evidence, Indicator, Measurement, Skipped
from hauberk.core.progress import Silent
from hauberk.core.protocols import Modular, Progress
from hauberk.core.provenance import Stamp
from hauberk.defenses.private_defense import Private, Recipe
from hauberk.defenses.private_gradients import Way
from hauberk.defenses.private_plans import Plan
from hauberk.defenses.private_training import Hooks, fresh_copy, train_privately
from hauberk.numeric.accounting import epsilon, profile
from hauberk.numeric.privacy_audit import Lower, best_one_run, binomial_p_value, largest_refuted
from hauberk.numeric.private_noise import NoiseSource

_SILENT = Silent()
IMPLAUSIBLE = 1e-6
"""A p-value of the sampling check below it is a fault: one honest run in a million is accused."""


@dataclass(frozen=True, slots=True)
class AuditPlan:
    """canaries: put in with probability 1/2 each. level: of the lower bound."""

    canaries: int = 1000
    level: float = 0.95


class Audit(NamedTuple):
    """What a run with canaries showed.

    lower: on ε, with its level, whatever the mechanism. sharper: the same, if the run is the claimed plan with some
    other noise. upper: what is proven. sampling: p-value of the claimed sampling; None where nothing is claimed of
    sizes. claimed: the plan the promise rests on.
    """

    lower: Lower
    sharper: float
    upper: float
    delta: float
    sampling: float | None
    claimed: Plan

    @property
    def sound(self) -> bool:
        """Tell whether the promise stands: not refuted by the canaries, nor by how rows were drawn."""
        within = max(self.lower.epsilon, self.sharper) <= self.upper * (1 + 1e-6)
        return within and (self.sampling is None or self.sampling > IMPLAUSIBLE)


def audit_module(
    net: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    plan: Plan,
    delta: float,
    *,
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer] | None = None,
    seed: int = 0,
    audit: AuditPlan | None = None,
    claimed: Plan | None = None,
    way: Way = "book_keeping",
    noise_factor: float = 1.0,
    progress: Progress = _SILENT,
) -> Audit:
    """Train a copy of `net` by the plan with canaries among the rows, and bound ε from below and above.

    claimed: what the run says of itself, where that is not what it does: for testing an audit. noise_factor: the same.
    Steinke et al. 2023, arXiv:2305.08846. The bound is of this mechanism on these rows; it is no proof of soundness.
    """
    want = audit or AuditPlan()
    rng = torch.Generator().manual_seed(seed)
    planted = plant(x, y, want.canaries, rng)
    rows = len(planted.y)
    real = replace(plan, rows=rows, batch=max(1, round(plan.rate * rows)))
    said = real if claimed is None else replace(claimed, rows=rows, batch=real.batch)
    module = WithCanaries(copy.deepcopy(net), want.canaries)
    values = [value for value in module.parameters() if value.requires_grad]
    listener = Listener(want.canaries, said.noise, said.rate, _drawing(said), said.passes)
    train_privately(
        module,
        planted.x,
        planted.y,
        real,
        optimizer(values) if optimizer else torch.optim.SGD(values, lr=0.1),
        source=NoiseSource.seeded(rng),
        loss=CanaryLoss(real.clip),
        way=way,
        progress=progress,
        hooks=Hooks(watch=listener, noise_factor=noise_factor),
    )
    scores = listener.scores()
    lower = best_one_run(scores, planted.inside, delta, want.level)
    upper = epsilon(said.events(), delta, relation=said.relation).epsilon
    poisson = _drawing(said) == "poisson"
    sampling = binomial_p_value(torch.tensor(listener.sizes), rows, said.rate) if poisson else None
    return Audit(lower, _sharper(scores, planted.inside, said, delta, want.level), upper, delta, sampling, said)


def _sharper(scores: torch.Tensor, inside: torch.Tensor, said: Plan, delta: float, level: float) -> float:
    """Bound ε by the noise with which the claimed plan would not be refuted; 0 where the plan has none."""
    if said.noise == 0:
        return 0.0

    def known(noise: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.array(profile(replace(said, noise=noise).events(), delta, relation=said.relation))

    found = largest_refuted(scores, inside, known, said.noise, level)
    if found == float("inf"):
        return 0.0
    return epsilon(replace(said, noise=found).events(), delta, relation=said.relation).epsilon


def _drawing(plan: Plan) -> Drawing:
    return "tree" if plan.mechanism == "tree" else plan.sampling


@runtime_checkable
class Stepwise(Protocol):
    """A private defense that trains a torch module step by step."""

    def recipe(self, rows: int) -> Recipe:
        """Return the run on so many rows."""
        ...


def examine_run(
    rule: object, subject: Subject, private: Private, want: AuditPlan, stamp: Stamp, seed: int, progress: Progress
) -> list[Evidence]:
    """Run a project's recipe once more with canaries; the evidence stands beside its proven ε.

    The audited run spends no privacy: nothing of it is kept but the guesses about canaries, which are nobody's data.
    """
    trained, target = private.trained, subject.target
    if trained is None or not isinstance(rule, Stepwise) or not isinstance(target, Modular):
        reason = "this defense does not train step by step, so that no canary can be put in"
        return [Skipped(subject="privacy audit", reason=reason, provenance=stamp.of("privacy.audit"), kind="power")]
    rng = torch.Generator().manual_seed(seed)
    x, y = (torch.from_numpy(np.array(part)) for part in subject.dataset.train)
    plan = replace(trained.plan, steps=trained.steps)
    recipe = rule.recipe(len(y))
    scale = plan.noise * plan.clip / plan.batch
    found = audit_module(
        fresh_copy(target.module(), rng),
        x,
        y,
        plan,
        private.account.delta,
        optimizer=lambda values: recipe.optimizer(values, scale),
        seed=seed,
        audit=want,
        way=recipe.way,
        progress=progress,
    )
    return [measurement(found, subject.target.spec.name, want, stamp, seed)]


def measurement(found: Audit, subject: str, want: AuditPlan, stamp: Stamp, seed: int) -> Measurement:
    """Write an audit as evidence: the lower bound, beside the upper one, and what was checked."""
    checks = [
        Indicator(
            name="the lower bound stays below the proven one",
            passed=max(found.lower.epsilon, found.sharper) <= found.upper * (1 + 1e-6),
            detail=f"{found.lower.epsilon:.3f} from below with {want.level:.0%} confidence, {found.upper:.3f} proven; "
            f"{found.lower.right} of {found.lower.guesses} guesses about {want.canaries} canaries were right; "
            f"as a plan of this kind with other noise, {found.sharper:.3f} at least",
        )
    ]
    if found.sampling is not None:
        checks.append(
            Indicator(
                name="batches are the Poisson samples that are accounted",
                passed=found.sampling > IMPLAUSIBLE,
                detail=f"p = {found.sampling:.2g} of their sizes",
            )
        )
    return Measurement(
        name="privacy_epsilon_audited",
        subject=subject,
        value=found.lower.epsilon,
        low=found.lower.epsilon,
        high=found.upper,
        level=want.level,
        method="exact",
        n=want.canaries,
        unit="ε",
        better="lower",
        provenance=stamp.of("privacy.audit", seed=seed),
        role="diagnostic",
        indicators=tuple(checks),
        note=f"one run with canaries, at δ = {found.delta:.3g}: no promise below {found.lower.epsilon:.3f} could "
        "be true. A low value does not show that the promise is loose: canaries, not compute, limit an audit",
    )
