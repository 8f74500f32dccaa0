"""The figures of a private training run before it is run: ε of a plan, noise for an ε; with a statement in words."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias

from hauberk.api.privacy_statement import statement
from hauberk.core.errors import UsageError
from hauberk.core.privacy_events import GaussianRelease, Relation
from hauberk.defenses.private_defense import Account
from hauberk.defenses.private_plans import Plan, Sampling, usual_delta
from hauberk.numeric.accounting import Bound, check_method, epsilon
from hauberk.numeric.calibration import noise_for

Scheme: TypeAlias = Literal["poisson", "shuffled", "tree"]


class Figures(NamedTuple):
    """A plan's cost. bound: proven, for the unit. noise: multiplier. text: the statement."""

    bound: Bound
    noise: float
    steps: int
    text: str


def plan_of(
    rows: int, batch: int, *, noise: float = 0.0, epochs: float | None = None, steps: int | None = None, scheme: Scheme
) -> Plan:
    """Make a plan of a run in the words people have: rows, batch, epochs or steps; raises UsageError."""
    if (epochs is None) == (steps is None):
        raise UsageError("give either epochs or steps", fix="--epochs 10")
    sampling: Sampling = "poisson" if scheme == "poisson" else "shuffled"
    most = steps if steps is not None else math.ceil((epochs or 0) * rows / max(1, batch))
    return Plan(
        rows, most, batch, noise=noise, sampling=sampling, mechanism="tree" if scheme == "tree" else "independent"
    )


def cost(
    plan: Plan,
    *,
    delta: float | None = None,
    rows_per_unit: int = 1,
    unit: str = "record",
    method: str = "best",
    microbatch: int = 1,
) -> Figures:
    """Return ε of a plan and its statement.

    microbatch: rows whose mean gradient is clipped together, as TensorFlow Privacy's num_microbatches makes them; the
    sum then moves by twice the bound when a row is added or removed, so the noise counts half.
    """
    check_method(method)
    account, counted = _account(plan, delta, microbatch)
    bound = epsilon(account.events, account.delta, relation=account.relation, group=rows_per_unit, method=method)
    return Figures(bound, counted.noise, plan.steps, statement(account, unit=unit, rows_per_unit=rows_per_unit))


def noise(
    plan: Plan,
    target: float,
    *,
    delta: float | None = None,
    rows_per_unit: int = 1,
    unit: str = "record",
    method: str = "best",
) -> Figures:
    """Return the least noise multiplier that keeps ε for the unit, with the statement of the plan that has it."""
    from dataclasses import replace

    promised = delta or usual_delta(plan.rows)
    found = noise_for(
        lambda sigma: replace(plan, noise=sigma).events(),
        target,
        promised,
        relation=plan.relation,
        group=rows_per_unit,
        method=method,
    )
    made = cost(replace(plan, noise=found), delta=promised, rows_per_unit=rows_per_unit, unit=unit, method=method)
    return made._replace(noise=found)


def _account(plan: Plan, delta: float | None, microbatch: int) -> tuple[Account, Plan]:
    from dataclasses import replace

    if microbatch < 1:
        raise UsageError(f"{microbatch} rows cannot be clipped together", fix="1 is per-example clipping")
    counted = replace(plan, noise=plan.noise / 2) if microbatch > 1 else plan
    notes = []
    if microbatch > 1:
        notes.append(
            f"the mean gradient of {microbatch} rows is clipped at once: a row can turn it around, so the sum moves by "
            "twice the bound and the noise counts half"
        )
    account = Account(
        events=counted.events(),
        relation=plan.relation,
        delta=delta or usual_delta(plan.rows),
        rows=plan.rows,
        sampling=plan.sampling_words,
        noise_source="",
        noise=plan.noise,
        tuned=("steps", "batch", "learning rate", "clipping norm"),
        notes=tuple(notes),
        mechanism=f"{plan.steps} steps of {plan.batch} of {plan.rows} rows, noise multiplier {plan.noise:.4g}",
    )
    return account, counted


def gaussian_sigma(target: float, delta: float, *, relation: Relation = "add_or_remove", count: int = 1) -> float:
    """Return the least noise multiplier of `count` Gaussian releases at (ε, δ)."""
    return noise_for(lambda sigma: (GaussianRelease(noise=sigma, count=count),), target, delta, relation=relation)
