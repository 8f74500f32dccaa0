"""Reference models for membership attacks: trained as the target was, on halves of the records, kept and used again."""

from __future__ import annotations

import hashlib
import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import torch
from torch import nn

from hauberk.attacks.recording import Samples, answers
from hauberk.attacks.references import halves
from hauberk.attacks.remembering import Remembered
from hauberk.attacks.shadow_training import Recipe, State, stackable, train_alone, train_stacked
from hauberk.core.encoding import canonical
from hauberk.core.errors import MissingPower, TargetError
from hauberk.core.protocols import Modular, Progress, Target, Trainable
from hauberk.numeric.membership import loss

Arrays: TypeAlias = Mapping[str, np.ndarray]
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
    """

    models: int = 8
    seconds: float | None = None
    recipe: Recipe = field(default_factory=Recipe)
    seed: int = 0


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
    watch: Callable[[], float] = time.monotonic,
) -> Shadows:
    """Train, or take from the shelf, models on random halves of `pool`; each serves every audited record of it.

    own: records of the target's training data, on which the recipe's goal is measured. trainer: trains as the target
    was trained, and identity is a text that changes when it does; without one a torch module is trained by
    plan.recipe, many at once, and any other model is refitted. watch: seconds of some clock. Raises MissingPower for a
    target that cannot be trained anew, TargetError.
    """
    if trainer is None and not isinstance(target, Modular | Trainable):
        raise MissingPower(
            f"{target.spec.name} cannot be trained anew, so it has no reference models",
            fix="name a function that trains one, [privacy] trainer, or give answers of reference models in an .npz",
        )
    member = halves(len(pool.y), plan.models, plan.seed)
    school = _School(target, pool, own, plan, shelf or Nowhere(), trainer, identity)
    found: dict[int, Target] = {}
    for index in range(plan.models):
        kept = school.kept(index, member)
        if kept is not None:
            found[index] = kept
    missing = [index for index in range(plan.models) if index not in found]
    taken, begun = len(found), watch()
    with progress.step("reference models", plan.models, "models") as step:
        step.advance(len(found))
        while missing:
            spent = watch() - begun
            made = len(found) - taken
            count = _next(len(missing), made, spent, plan.seconds, taken)
            if not count:
                break
            chunk, missing = missing[: min(count, school.at_once)], missing[min(count, school.at_once) :]
            found.update(zip(chunk, school.train(chunk, member), strict=True))
            step.advance(len(chunk))
    order = sorted(found)
    notes = (
        *school.notes,
        *((f"{len(order)} of {plan.models} reference models fitted into the time given",) if missing else ()),
    )
    return Shadows(tuple(found[index] for index in order), member[order], len(order) - taken, notes)


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
        self, plan: ShadowPlan, shelf: Shelf | None = None, trainer: Trainer | None = None, identity: str = ""
    ) -> None:
        self.plan = plan
        self._shelf, self._trainer, self._identity = shelf, trainer, identity
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
        )
        self._lent = (target, pool, found)
        return found


class _School:
    """How models of one target are trained and kept."""

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
        self.target, self.pool, self.plan, self.shelf, self.trainer = target, pool, plan, shelf, trainer
        self.notes: tuple[str, ...] = ()
        self.module = target.module() if isinstance(target, Modular) and trainer is None else None
        self.at_once = stackable(self.module) if self.module is not None else 1
        self._goal: float | None = None
        self._epochs: int | None = None
        self._own = own
        self._root = _digest(target, self.module, identity if trainer is not None else None, pool, plan)

    def kept(self, index: int, member: torch.Tensor) -> Target | None:
        """Return model `index` from the shelf."""
        arrays = self.shelf.load(self._key(index, member))
        if arrays is None:
            return None
        if self.module is not None:
            return self._around({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}, index)
        told = torch.from_numpy(np.array(arrays["answers"]))
        return Remembered(self.pool.x, told, self.target.spec, lambda: self._alone(index, member))

    def train(self, chunk: list[int], member: torch.Tensor) -> list[Target]:
        """Train models and keep them."""
        if self.module is None:
            return [self._refitted(index, member) for index in chunk]
        rows = torch.stack([member[index].nonzero()[:, 0] for index in chunk])
        seeds = [self._seed(index) for index in chunk]
        states = self._trained(self.module, rows, seeds, self._recipe(self.module, member))
        for index, state in zip(chunk, states, strict=True):
            self.shelf.save(self._key(index, member), {name: value.numpy() for name, value in state.items()})
        return [self._around(state, index) for index, state in zip(chunk, states, strict=True)]

    def _trained(self, module: nn.Module, rows: torch.Tensor, seeds: list[int], recipe: Recipe) -> list[State]:
        try:
            return train_stacked(module, *self.pool, rows, recipe, seeds, self.goal).states
        except (RuntimeError, TargetError, NotImplementedError) as error:
            self.notes = (f"reference models were trained one by one: {str(error).splitlines()[0][:120]}",)
            pairs = zip(rows, seeds, strict=True)
            return [train_alone(module, *self.pool, own, recipe, seed, self.goal).states[0] for own, seed in pairs]

    def _recipe(self, module: nn.Module, member: torch.Tensor) -> Recipe:
        """Fix the number of epochs on the first model, so that no model depends on which others are trained with it."""
        recipe = self.plan.recipe
        if recipe.epochs:
            return recipe
        if self._epochs is None:
            key = hashlib.sha256(self._root + b"epochs").hexdigest()
            kept = self.shelf.load(key)
            if kept is None:
                first = member[0].nonzero()[:, 0]
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

    def _refitted(self, index: int, member: torch.Tensor) -> Target:
        model = self._alone(index, member)
        self.shelf.save(self._key(index, member), {"answers": answers(model, self.pool.x).numpy()})
        return model

    def _alone(self, index: int, member: torch.Tensor) -> Target:
        rows = member[index].nonzero()[:, 0]
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

    def _key(self, index: int, member: torch.Tensor) -> str:
        rows = np.packbits(member[index].numpy()).tobytes()
        return hashlib.sha256(self._root + index.to_bytes(4, "big") + rows).hexdigest()


def _digest(target: Target, module: nn.Module | None, identity: str | None, pool: Samples, plan: ShadowPlan) -> bytes:
    """Digest what every reference model depends on: scheme, recipe, seed, architecture or trainer, and the records."""
    state = hashlib.sha256(canonical((SCHEME, plan.seed, target.spec.shape, target.spec.classes)))
    if identity is not None:
        state.update(identity.encode())
    elif module is not None:
        state.update(repr(plan.recipe).encode())
        state.update(_architecture(module).encode())
    else:
        state.update(f"{target.spec.kind}:{target.spec.digest or target.spec.name}".encode())
    for part in pool:
        state.update(str(tuple(part.shape)).encode())
        state.update(part.contiguous().numpy().tobytes())
    return state.digest()


def _architecture(module: nn.Module) -> str:
    """Describe a network: its parts, the shapes of its state, and the source of every class that is not torch's."""
    kinds = {type(part) for part in module.modules()}
    own = sorted(_source(kind) for kind in kinds if not kind.__module__.startswith("torch."))
    shapes = [f"{name}:{tuple(value.shape)}:{value.dtype}" for name, value in module.state_dict().items()]
    return "\n".join((repr(module), *shapes, *own))


def _source(thing: object) -> str:
    """Return the source text of a class or function; its name where there is none."""
    try:
        return inspect.getsource(thing)  # type: ignore[arg-type]
    except (OSError, TypeError):
        return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', type(thing).__qualname__)}"
