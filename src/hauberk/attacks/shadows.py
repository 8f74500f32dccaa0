"""Reference models for membership attacks: trained as the target was, on halves of the records, kept and used again."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import torch
from torch import nn

from hauberk.attacks.recording import Samples, answers
from hauberk.attacks.references import halves
from hauberk.attacks.remembering import Remembered
from hauberk.attacks.sending_models import Arrays, Taught, unpacked
from hauberk.attacks.shadow_digest import digest_of
from hauberk.attacks.shadow_training import Recipe, State, stackable, train_alone, train_stacked
from hauberk.core.errors import MissingPower, TargetError
from hauberk.core.executing import Done
from hauberk.core.protocols import Modular, Progress, Target, Trainable
from hauberk.numeric.membership import loss

Trainer: TypeAlias = Callable[[torch.Tensor, torch.Tensor, int], Target]
"""(x (m, *shape), y (m,), seed) → a model trained on them as the target was."""

SCHEME = 1
"""Changes whenever models of an older hauberk must not be used again."""
MEASURED = 2000
"""Records on which the target's own training loss is measured."""


class Shelf(Protocol):
    """Where reference models are kept between audits, by a digest of all they depend on."""

    def load(self, key: str) -> Arrays | None:
        """Return what was kept under the key; None where there is nothing, or nothing that can be read."""
        ...

    def save(self, key: str, arrays: Arrays) -> None:
        """Keep arrays whole or not at all."""
        ...


class Nowhere:
    """A shelf that keeps nothing."""

    def load(self, key: str) -> Arrays | None:  # noqa: ARG002
        """Remember nothing."""
        return None

    def save(self, key: str, arrays: Arrays) -> None:
        """Forget."""


@dataclass(frozen=True, slots=True)
class ShadowPlan:
    """How many reference models, and how they are trained.

    models: at most so many; an even number has each record in half of them. seconds: stop beginning new ones after so
    long, but not before two are there; None for no limit. seed: model j is the same for the same seed, however many.
    together: models trained side by side, counted from the first: their digits then depend on no other model, nor on
    where they are trained; 0 for as many as are missing and memory allows.
    """

    models: int = 8
    seconds: float | None = None
    recipe: Recipe = field(default_factory=Recipe)
    seed: int = 0
    together: int = 0


class Assignment(NamedTuple):
    """What a school elsewhere must know besides the plan. root: hex digest of all its models depend on.

    epochs: fixed here, 0 where models are not trained by the plan's recipe.
    """

    root: str
    epochs: int


Schools: TypeAlias = Callable[[Assignment, Sequence[int]], Iterator[Done]]
"""(assignment, parts) → their models in any order; a part is `together` models, counted from the first."""


class Shadows(NamedTuple):
    """Reference models and their training sets.

    member: (k, n) bool over the pool. trained: how many were trained now, the others were on the shelf. notes: what a
    report must say of them.
    """

    models: tuple[Target, ...]
    member: torch.Tensor
    trained: int
    notes: tuple[str, ...]


def reference_models(
    target: Target,
    pool: Samples,
    own: Samples,
    plan: ShadowPlan,
    progress: Progress,
    *,
    shelf: Shelf | None = None,
    trainer: Trainer | None = None,
    identity: str = "",
    schools: Schools | None = None,
    watch: Callable[[], float] = time.monotonic,
) -> Shadows:
    """Train, or take from the shelf, models on random halves of `pool`; each serves every audited record of it.

    own: records of the target's training data, on which the recipe's goal is measured. trainer: trains as the target
    was trained, and identity is a text that changes when it does; without one a torch module is trained by
    plan.recipe, many at once, and any other model is refitted. schools: train the parts elsewhere, with the same
    digits; what comes back is kept at once. watch: seconds of some clock. Raises MissingPower for a target that cannot
    be trained anew, TargetError, and what a school elsewhere raised.
    """
    school = School(target, pool, own, plan, shelf or Nowhere(), trainer, identity)
    found: dict[int, Target] = {}
    for index in range(plan.models):
        kept = school.kept(index)
        if kept is not None:
            found[index] = kept
    taken = len(found)
    with progress.step("reference models", plan.models, "models") as step:
        step.advance(taken)
        made = _elsewhere(school, schools, found, watch) if schools is not None else _here(school, found, watch)
        for models in made:
            step.advance(len(models.keys() - found.keys()))
            found.update(models)
    order = sorted(found)
    short = len(order) < plan.models
    notes = (
        *school.notes,
        *((f"{len(order)} of {plan.models} reference models fitted into the time given",) if short else ()),
    )
    return Shadows(tuple(found[index] for index in order), school.member[order], len(order) - taken, notes)


def _here(school: School, found: Mapping[int, Target], watch: Callable[[], float]) -> Iterator[Mapping[int, Target]]:
    """Train what is missing of a plan, as many at once as may be, until the time is over."""
    plan, taken, begun = school.plan, len(found), watch()
    missing = [index for index in range(plan.models) if index not in found]
    while missing:
        count = _next(len(missing), len(found) - taken, watch() - begun, plan.seconds, taken)
        if not count:
            return
        chunk = school.part(missing[0] // school.at_once) if plan.together else missing[: min(count, school.at_once)]
        missing = [index for index in missing if index not in chunk]
        yield dict(zip(chunk, school.train(chunk), strict=True))


def _elsewhere(
    school: School, schools: Schools, found: Mapping[int, Target], watch: Callable[[], float]
) -> Iterator[Mapping[int, Target]]:
    """Have parts with a missing model trained; when the time is over what is still being trained is dropped."""
    plan, begun = school.plan, watch()
    parts = sorted({index // school.at_once for index in range(plan.models) if index not in found})
    if not parts:
        return
    answers_ = schools(Assignment(school.root.hex(), school.epochs), parts)
    for done in answers_:
        if done.fault is not None:
            raise done.fault.error()
        yield school.received(done.part, unpacked(done.state))
        if plan.seconds is not None and len(found) >= 2 and watch() - begun > plan.seconds:
            break
    close = getattr(answers_, "close", None)
    if close is not None:
        close()


def _next(missing: int, made: int, spent: float, seconds: float | None, taken: int) -> int:
    """Say how many models to begin now: all, or as many as the pace so far leaves time for, two at the least in all."""
    if seconds is None:
        return missing
    if taken + made < 2:
        return min(missing, 2 - taken - made)
    pace = spent / made if made else seconds / 8
    return min(missing, int((seconds - spent) / max(pace, 1e-9)))


class Lender:
    """Lends the reference models of a plan to every attack of a run; trains them for the first one that asks."""

    def __init__(
        self,
        plan: ShadowPlan,
        shelf: Shelf | None = None,
        trainer: Trainer | None = None,
        identity: str = "",
        schools: Schools | None = None,
    ) -> None:
        self.plan = plan
        self._shelf, self._trainer, self._identity, self._schools = shelf, trainer, identity, schools
        self._lent: tuple[Target, Samples, Shadows] | None = None

    def lend(self, target: Target, pool: Samples, own: Samples, progress: Progress) -> Shadows:
        """Return reference models of a target over a pool, as `reference_models` does."""
        if self._lent is not None and self._lent[0] is target and all(map(torch.equal, self._lent[1], pool)):
            return self._lent[2]
        found = reference_models(
            target,
            pool,
            own,
            self.plan,
            progress,
            shelf=self._shelf,
            trainer=self._trainer,
            identity=self._identity,
            schools=self._schools,
        )
        self._lent = (target, pool, found)
        return found

    def school(self, target: Target, pool: Samples, own: Samples) -> School:
        """Return where the models of a target over a pool are trained, for one who trains a part of them."""
        return School(target, pool, own, self.plan, Nowhere(), self._trainer, self._identity)


class School:
    """How the models of one plan are trained and kept.

    member (models, n) bool: their training sets. at_once: models trained side by side. root: digest of all that the
    models depend on. Raises MissingPower for a target that cannot be trained anew.
    """

    def __init__(
        self,
        target: Target,
        pool: Samples,
        own: Samples,
        plan: ShadowPlan,
        shelf: Shelf,
        trainer: Trainer | None,
        identity: str,
    ) -> None:
        if trainer is None and not isinstance(target, Modular | Trainable):
            raise MissingPower(
                f"{target.spec.name} cannot be trained anew, so it has no reference models",
                fix="name a function that trains one, [privacy] trainer, or give reference models' answers in an .npz",
            )
        self.target, self.pool, self.plan, self.shelf, self.trainer = target, pool, plan, shelf, trainer
        self.notes: tuple[str, ...] = ()
        self.member = halves(len(pool.y), plan.models, plan.seed)
        self.module = target.module() if isinstance(target, Modular) and trainer is None else None
        most = stackable(self.module) if self.module is not None else 1
        self.at_once = min(most, plan.together or most)
        self._goal: float | None = None
        self._epochs: int | None = None
        self._own = own
        self.root = digest_of(
            (SCHEME, plan.seed), plan.recipe, target, self.module, identity if trainer is not None else None, pool
        )

    def part(self, number: int) -> list[int]:
        """Return the models of a part, counted from the first."""
        return list(range(number * self.at_once, min((number + 1) * self.at_once, self.plan.models)))

    def kept(self, index: int) -> Target | None:
        """Return model `index` from the shelf."""
        arrays = self.shelf.load(self._key(index))
        return None if arrays is None else self._made(index, arrays)

    def train(self, chunk: list[int]) -> list[Target]:
        """Train models and keep them."""
        if self.module is None:
            return [self._refitted(index) for index in chunk]
        return self._taken_in(chunk, self._arrays(self.module, chunk))

    def taught(self, number: int) -> Taught:
        """Train a part for somebody else, who keeps it; see `received`."""
        chunk = self.part(number)
        if self.module is not None:
            return Taught(self._arrays(self.module, chunk), self.notes)
        return Taught([{"answers": answers(self._alone(index), self.pool.x).numpy()} for index in chunk], self.notes)

    def received(self, number: int, taught: Taught) -> dict[int, Target]:
        """Keep a part that was trained elsewhere."""
        chunk = self.part(number)
        self.notes = tuple(dict.fromkeys((*self.notes, *taught.notes)))
        return dict(zip(chunk, self._taken_in(chunk, taught.models), strict=True))

    def _taken_in(self, chunk: list[int], models: list[Arrays]) -> list[Target]:
        for index, arrays in zip(chunk, models, strict=True):
            self.shelf.save(self._key(index), arrays)
        return [self._made(index, arrays) for index, arrays in zip(chunk, models, strict=True)]

    def _arrays(self, module: nn.Module, chunk: list[int]) -> list[Arrays]:
        rows = torch.stack([self.member[index].nonzero()[:, 0] for index in chunk])
        states = self._trained(module, rows, [self._seed(index) for index in chunk], self._recipe(module))
        return [{name: value.numpy() for name, value in state.items()} for state in states]

    def _made(self, index: int, arrays: Arrays, remake: Callable[[], Target] | None = None) -> Target:
        if self.module is not None:
            return self._around({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}, index)
        told = torch.from_numpy(np.array(arrays["answers"]))
        return Remembered(self.pool.x, told, self.target.spec, remake or (lambda: self._alone(index)))

    def _trained(self, module: nn.Module, rows: torch.Tensor, seeds: list[int], recipe: Recipe) -> list[State]:
        try:
            return train_stacked(module, *self.pool, rows, recipe, seeds).states
        except (RuntimeError, TargetError, NotImplementedError) as error:
            self.notes = (f"reference models were trained one by one: {str(error).splitlines()[0][:120]}",)
            pairs = zip(rows, seeds, strict=True)
            return [train_alone(module, *self.pool, own, recipe, seed).states[0] for own, seed in pairs]

    @property
    def epochs(self) -> int:
        """Epochs of every model, fixed before the first is trained; 0 where the plan's recipe trains none."""
        return self._recipe(self.module).epochs if self.module is not None else 0

    def fix(self, epochs: int) -> None:
        """Take the number of epochs that was found elsewhere."""
        self._epochs = epochs

    def _recipe(self, module: nn.Module) -> Recipe:
        """Fix the number of epochs on the first model, so that no model depends on which others are trained with it."""
        recipe = self.plan.recipe
        if recipe.epochs:
            return recipe
        if self._epochs is None:
            key = hashlib.sha256(self.root + b"epochs").hexdigest()
            kept = self.shelf.load(key)
            if kept is None:
                first = self.member[0].nonzero()[:, 0]
                found = train_alone(module, *self.pool, first, recipe, self._seed(0), self.goal).epochs
                kept = {"epochs": np.array([found])}
                self.shelf.save(key, kept)
            self._epochs = int(kept["epochs"][0])
        return replace(recipe, epochs=self._epochs)

    @property
    def goal(self) -> float:
        """The target's mean loss on its own training data, at which training stops; measured once."""
        if self._goal is None:
            x, y = self._own.x[:MEASURED], self._own.y[:MEASURED]
            told = answers(self.target, x)
            self._goal = float(loss(told, y, self.target.spec.answers).mean()) if len(y) else 0.0
        return self._goal

    def _refitted(self, index: int) -> Target:
        model = self._alone(index)
        arrays = {"answers": answers(model, self.pool.x).numpy()}
        self.shelf.save(self._key(index), arrays)
        # In parts a model answers as one from elsewhere does: batches of another size round otherwise.
        return self._made(index, arrays, lambda: model) if self.plan.together else model

    def _alone(self, index: int) -> Target:
        rows = self.member[index].nonzero()[:, 0]
        if self.trainer is not None:
            return self.trainer(self.pool.x[rows], self.pool.y[rows], self._seed(index) % 2**31)
        assert isinstance(self.target, Trainable)
        return self.target.refit(self.pool.x[rows], self.pool.y[rows], torch.Generator().manual_seed(self._seed(index)))

    def _around(self, state: dict[str, torch.Tensor], index: int) -> Target:
        assert isinstance(self.target, Modular)
        module = self.target.module()
        kept = module.state_dict()  # a buffer that is not kept is not in it, and no training moves it
        module.load_state_dict({name: value for name, value in state.items() if name in kept})
        return self.target.rebuild(module.eval(), f"reference {index}")

    def _seed(self, index: int) -> int:
        return (self.plan.seed * 1_000_003 + index * 104_729 + 17) % 2**62

    def _key(self, index: int) -> str:
        rows = np.packbits(self.member[index].numpy()).tobytes()
        return hashlib.sha256(self.root + index.to_bytes(4, "big") + rows).hexdigest()
