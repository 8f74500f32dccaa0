"""Private training: clipped sums, noise, a torch optimiser; stops where the budget ends and keeps the model."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import torch
from torch import nn

from hauberk.core.errors import MissingPower, TargetError
from hauberk.core.privacy_events import Event
from hauberk.core.progress import Silent
from hauberk.core.protocols import Progress
from hauberk.defenses.private_gradients import PrivateGradients, Way
from hauberk.defenses.private_plans import Plan
from hauberk.defenses.private_refusals import refuse_coupled, refuse_mixing
from hauberk.numeric.clipped_sums import ExampleLoss, Flat, Outcome, cross_entropy
from hauberk.numeric.clipping import AdaptiveBound, Clipping
from hauberk.numeric.private_noise import NoiseSource
from hauberk.numeric.tree_noise import TreeNoise

Watch: TypeAlias = Callable[[int, torch.Tensor, float, torch.Tensor], None]
"""(step, noisy clipped sum (p,), clipping norm, rows drawn) → None: what an auditor of the run may see."""


class Trained(NamedTuple):
    """A finished or stopped run.

    steps: done. events: released by them. why: why it stopped early; empty where it came to its end. notes: what a
    report must say. gap: relative difference to vmap(grad) on the first rows; None where nothing was compared.
    clipped: share of gradients that were clipped. losses: mean training loss of each step; nan for an empty one. They
    are not private: look at them, but do not publish them.
    """

    module: nn.Module
    plan: Plan
    steps: int
    events: tuple[Event, ...]
    why: str
    notes: tuple[str, ...]
    gap: float | None
    clipped: float
    losses: tuple[float, ...]


class Hooks(NamedTuple):
    """What an audit does with a run: watch what is released, or multiply the noise to see whether it is found out."""

    watch: Watch | None = None
    noise_factor: float = 1.0


def train_privately(
    module: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    plan: Plan,
    optimizer: torch.optim.Optimizer,
    *,
    source: NoiseSource,
    loss: ExampleLoss = cross_entropy,
    way: Way = "book_keeping",
    mixed: bool = False,
    limit: int | None = None,
    progress: Progress | None = None,
    hooks: Hooks | None = None,
) -> Trained:
    """Train `module` in place on x (n, …), y (n, …) by the plan; its gradients are noisy sums over the expected batch.

    optimizer: any of torch's over the module's trained parameters: what it makes of a private gradient is private.
    source: of sampling and noise. limit: steps the budget allows; the run stops there. Ctrl-C and diverging training
    stop it too: the module holds the last whole step, and what was released is in `events`.
    Raises MissingPower for a network that mixes examples or has nothing to train.
    Abadi et al. 2016, arXiv:1607.00133, algorithm 1; Kairouz et al. 2021, arXiv:2103.00039, algorithm 1 (tree).
    """
    refuse_mixing(module)
    if not any(value.requires_grad for value in module.parameters()):
        raise MissingPower(
            "the network has no trainable parameters", fix="give a model with weights that are not frozen"
        )
    refuse_coupled(module, loss, x[:8], y[:8])
    module.train()
    run = _Run(
        module, x, y, plan, optimizer, source, PrivateGradients(module, loss, way, mixed=mixed), hooks or Hooks()
    )
    return run.go(plan.steps if limit is None else min(limit, plan.steps), progress or Silent())


class _Run:
    """One run: its buffer, its bound, its tally."""

    def __init__(
        self,
        module: nn.Module,
        x: torch.Tensor,
        y: torch.Tensor,
        plan: Plan,
        optimizer: torch.optim.Optimizer,
        source: NoiseSource,
        gradients: PrivateGradients,
        hooks: Hooks,
    ) -> None:
        self._module, self._x, self._y, self._plan = module, x, y, plan
        self._optimizer, self._source, self._gradients, self._hooks = optimizer, source, gradients, hooks
        self._flat = Flat(module)
        self._adaptive = plan.adaptive()
        noise = self._adaptive.gradient_noise(plan.noise) if self._adaptive else plan.noise
        self._noise = noise * hooks.noise_factor
        self._tree: TreeNoise | None = None
        self._seen = self._kept = 0
        self._losses: list[float] = []

    def go(self, limit: int, progress: Progress) -> Trained:
        plan, why, done = self._plan, "", 0
        first = min(len(self._y), 64)
        self._gradients.check(self._x[:first], self._y[:first], self._clipping)
        with progress.step("private training", plan.steps, "steps") as step:
            try:
                for rows in plan.batches(self._source):
                    if done == limit:
                        why = f"the budget was used up after {done} of {plan.steps} steps"
                        break
                    done += 1  # what a broken step drew is counted; its weights were not touched
                    outcome = self._descend(done - 1, rows)
                    self._losses.append(float(outcome.losses.mean()) if outcome is not None else math.nan)
                    step.advance(note=f"loss {self._losses[-1]:.2f}" if done % 10 == 0 else "")
            except TargetError as error:
                why = error.what
            except KeyboardInterrupt:
                why = "stopped by the user"
        return self._finished(done, why)

    @property
    def _clipping(self) -> Clipping:
        plan = self._plan
        return Clipping(
            "flat" if self._adaptive else plan.clipping, self._adaptive.bound if self._adaptive else plan.clip
        )

    def _descend(self, step: int, rows: torch.Tensor) -> Outcome | None:
        plan, flat, clipping = self._plan, self._flat, self._clipping
        scale = self._noise * clipping.bound
        if plan.mechanism == "tree":
            self._tree_noise(step, scale)
        elif scale:
            self._source.fill_normal(flat.buffer, scale)
        else:
            flat.buffer.zero_()
        outcome = self._gradients.add(self._x[rows], self._y[rows], clipping, flat, plan.memory)
        if self._hooks.watch:
            self._hooks.watch(step, flat.buffer, clipping.bound, rows)
        flat.buffer.div_(plan.batch)
        for parameter in flat.parameters:
            parameter.grad = flat.of(parameter)
        self._optimizer.step()
        if outcome is not None:
            self._seen, self._kept = self._seen + len(outcome.norms), self._kept + outcome.below
        if self._adaptive:
            self._follow(self._adaptive, outcome)
        return outcome

    def _follow(self, adaptive: AdaptiveBound, outcome: Outcome | None) -> None:
        noise = float(self._source.normal(1)) if self._plan.noise else 0.0
        adaptive.follow(outcome.below if outcome is not None else 0, self._plan.batch, noise)

    def _tree_noise(self, step: int, scale: float) -> None:
        if self._tree is None:
            self._tree = TreeNoise(len(self._flat.buffer), scale, self._source)
        elif step % self._plan.passes == 0:
            self._tree.restart()
        self._tree.residual(self._flat.buffer)

    def _finished(self, done: int, why: str) -> Trained:
        for parameter in self._flat.parameters:
            parameter.grad = None
        notes = list(self._gradients.notes)
        if self._gradients.dropped:
            notes.append(f"{self._gradients.dropped} gradients were not numbers and counted as zero")
        return Trained(
            module=self._module.eval(),
            plan=self._plan,
            steps=done,
            events=self._plan.events(done),
            why=why,
            notes=tuple(notes),
            gap=self._gradients.gap,
            clipped=1 - self._kept / self._seen if self._seen else 0.0,
            losses=tuple(self._losses),
        )


def fresh_copy(module: nn.Module, rng: torch.Generator) -> nn.Module:
    """Return a copy of a network whose every weight was drawn anew: old ones may have seen the private data.

    Layers that know how do it themselves; a parameter of one that does not is drawn from N(0, 0.02²) where it has two
    dimensions or more, and becomes 1 where its name says weight or scale, else 0.
    """
    made = copy.deepcopy(module)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.random.manual_seed(int(torch.randint(2**62, (1,), generator=rng)))
        for layer in made.modules():
            reset = getattr(layer, "reset_parameters", None) or getattr(layer, "_reset_parameters", None)
            if callable(reset):
                reset()
                continue
            for name, value in layer.named_parameters(recurse=False):
                if value.ndim >= 2:
                    nn.init.normal_(value, std=0.02)
                else:
                    nn.init.constant_(value, float(name.endswith(("weight", "scale", "gamma"))))
    return made


def within(plan: Plan, epsilon: float, delta: float, before: tuple[Event, ...] = ()) -> tuple[Plan, int]:
    """Return the plan with its noise, and the steps the budget allows: calibrated where the plan has no noise yet."""
    if plan.noise == 0:
        plan = plan.calibrated(epsilon, delta, before)
        return plan, plan.steps
    return replace(plan), plan.allowed(epsilon, delta, before)
