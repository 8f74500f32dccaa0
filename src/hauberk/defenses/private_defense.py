"""What private defenses share: from a target and a budget to a privately trained target and its account."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from torch import nn

from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.privacy_events import Event, Relation
from hauberk.core.protocols import Modular, Progress, Split, Target
from hauberk.defenses.private_gradients import Way
from hauberk.defenses.private_plans import Plan, usual_delta
from hauberk.defenses.private_training import Hooks, Trained, fresh_copy, train_privately, within
from hauberk.defenses.training_log import Interrupted
from hauberk.numeric.private_noise import NoiseSource

UNSEEN = "an AES counter stream keyed by the operating system; the key was never kept"
SEEDED = (
    "an AES counter stream keyed by the run's seed: who knows the seed can subtract the noise, so it protects nobody"
)

MakeOptimizer: TypeAlias = Callable[[Iterable[nn.Parameter], float], torch.optim.Optimizer]
"""(parameters, standard deviation of a gradient entry's noise) → an optimiser."""


class Budget(NamedTuple):
    """What may be spent. total: ε over all releases of this data, at `delta`; None where nobody set one.

    before: what was released earlier.
    """

    total: float | None = None
    delta: float | None = None
    before: tuple[Event, ...] = ()


UNLIMITED = Budget()


class Account(NamedTuple):
    """What a private defense released: enough for a ledger and a statement.

    rows: of the data. tuned: settings that a person may have chosen by looking at this data. notes: what a reader must
    know. why: why it ended early.
    """

    events: tuple[Event, ...]
    relation: Relation
    delta: float
    rows: int
    sampling: str
    noise_source: str
    clip: float | None = None
    noise: float | None = None
    tuned: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    why: str = ""
    mechanism: str = ""


class Private(NamedTuple):
    """A privately trained target and its account; trained: the run, where it was one of steps."""

    target: Target
    account: Account
    trained: Trained | None = None


@runtime_checkable
class PrivateDefense(Protocol):
    """A defense whose cost in privacy is accounted."""

    def planned(self, rows: int, budget: Budget) -> Account:
        """Say what a run on so many rows would release at most: a ledger reserves it beforehand."""
        ...

    def train(
        self, target: Target, data: Split, rng: torch.Generator, *, budget: Budget, progress: Progress
    ) -> Private:
        """Return the private target and what it cost."""
        ...


class Training(Protocol):
    """The settings that every defense by private steps has; what they mean stands in `defenses/privacy/dp_sgd.py`."""

    @property
    def epsilon(self) -> float: ...  # noqa: D102 - a field
    @property
    def delta(self) -> float: ...  # noqa: D102
    @property
    def noise(self) -> float: ...  # noqa: D102
    @property
    def steps(self) -> int: ...  # noqa: D102
    @property
    def batch(self) -> int: ...  # noqa: D102
    @property
    def clip(self) -> float: ...  # noqa: D102
    @property
    def memory(self) -> int: ...  # noqa: D102
    @property
    def way(self) -> Way: ...  # noqa: D102
    @property
    def mixed(self) -> bool: ...  # noqa: D102
    @property
    def warm(self) -> bool: ...  # noqa: D102
    @property
    def only(self) -> str: ...  # noqa: D102
    @property
    def secret(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Recipe:
    """A private training run of a torch target in the words the plug-ins share."""

    title: str
    plan: Plan
    epsilon: float
    delta: float
    optimizer: MakeOptimizer
    warm: bool = False
    only: str = ""
    way: Way = "book_keeping"
    mixed: bool = False
    secret: bool = True
    hooks: Hooks = field(default_factory=Hooks)

    def settled(self, budget: Budget) -> tuple[Plan, int, float]:
        """Return the plan with its noise, the steps allowed, and δ.

        The run's own ε is kept by its noise; a total of the data may stop it earlier. Raises UsageError where not a
        single step is left.
        """
        delta = self.delta or usual_delta(self.plan.rows)
        plan, steps = within(self.plan, self.epsilon, delta)
        if budget.total is not None:
            steps = min(steps, plan.allowed(budget.total, budget.delta or delta, budget.before))
        if not steps:
            raise UsageError(
                f"the budget of ε = {budget.total or self.epsilon:g} allows no step more",
                fix="raise the budget, add noise, or stop asking this data",
            )
        return plan, steps, delta

    def account(self, plan: Plan, steps: int, delta: float) -> Account:
        """Say what so many steps release."""
        return Account(
            events=plan.events(steps),
            relation=plan.relation,
            delta=delta,
            rows=plan.rows,
            sampling=plan.sampling_words,
            noise_source=UNSEEN if self.secret else SEEDED,
            clip=plan.clip,
            noise=plan.noise,
            tuned=("steps", "batch", "learning_rate", "clip"),
            mechanism=f"{self.title}: {steps} steps of {plan.batch} rows expected, noise multiplier {plan.noise:.4g}, "
            f"{plan.clipping} clipping at {plan.clip:g}",
        )

    def run(self, target: Target, data: Split, rng: torch.Generator, *, budget: Budget, progress: Progress) -> Private:
        """Train; raises MissingPower for a target without a module, UsageError where nothing can be spent."""
        if not isinstance(target, Modular):
            raise MissingPower(f"{target.spec.name} cannot give its module", fix="load it as a torch model")
        plan, steps, delta = self.settled(budget)
        x, y = torch.from_numpy(np.array(data.x)), torch.from_numpy(np.array(data.y))
        target.predict(x[:2])  # a target in memory learns its shape and classes from its first answer
        module = target.module()
        if not self.warm:
            module = fresh_copy(module, rng)
        choose(module, self.only)
        trained_values = [value for value in module.parameters() if value.requires_grad]
        optimizer = self.optimizer(trained_values, plan.noise * plan.clip / plan.batch)
        source = NoiseSource() if self.secret else NoiseSource.seeded(rng)
        with torch.random.fork_rng(devices=[]):  # dropout draws from the global stream
            torch.random.manual_seed(int(torch.randint(2**62, (1,), generator=rng)))
            trained = train_privately(
                module,
                x,
                y,
                plan,
                optimizer,
                source=source,
                way=self.way,
                mixed=self.mixed,
                limit=steps,
                progress=progress,
                hooks=self.hooks,
            )
        made = target.rebuild(trained.module, f"{target.spec.name} + {self.title}")
        return Private(made, self._final(trained, delta), trained)

    def _final(self, trained: Trained, delta: float) -> Account:
        account = self.account(trained.plan, trained.steps, delta)
        notes = list(trained.notes)
        if delta > 1 / trained.plan.rows:
            notes.append(
                f"δ = {delta:.2g} is larger than 1/n = {1 / trained.plan.rows:.2g}: publishing whole rows of a few "
                "people would satisfy it"
            )
        if self.warm:
            notes.append("it began from the weights it had: what those learned of these rows is not counted")
        if not self.secret:
            notes.append("the noise can be made again from the seed: for tests only")
        if trained.gap is not None:
            notes.append(f"clipped sums agree with vmap(grad) on the first rows to {trained.gap:.1e}")
        return account._replace(notes=tuple(notes), why=trained.why)


def plan_of(settings: Training, rows: int) -> Plan:
    """Return the plan of a run on so many rows, flat clipping on Poisson samples unless it is changed."""
    return Plan(
        rows,
        settings.steps,
        min(settings.batch, rows),
        noise=settings.noise,
        clip=settings.clip,
        memory=settings.memory,
    )


def recipe_of(settings: Training, title: str, plan: Plan, optimizer: MakeOptimizer) -> Recipe:
    """Return the run that a plug-in's settings ask for."""
    return Recipe(
        title=title,
        plan=plan,
        epsilon=settings.epsilon,
        delta=settings.delta,
        optimizer=optimizer,
        warm=settings.warm,
        only=settings.only,
        way=settings.way,
        mixed=settings.mixed,
        secret=settings.secret,
    )


def choose(module: nn.Module, only: str) -> None:
    """Freeze what does not match the pattern; raises UsageError where nothing does."""
    if not only:
        return
    chosen = [name for name, _ in module.named_parameters() if fnmatch.fnmatch(name, only)]
    if not chosen:
        known = ", ".join(name for name, _ in module.named_parameters())
        raise UsageError(f'no parameter matches "{only}"', fix=f"they are {known[:300]}")
    for name, value in module.named_parameters():
        value.requires_grad_(name in chosen)


def applied(private: Private) -> Target:
    """Return a private defense's target; where Ctrl-C stopped it, raise Interrupted with the target so far."""
    if private.account.why == "stopped by the user":
        raise Interrupted(private.target)
    return private.target
