"""The one driver of training defenses: batches, schedule, budget, held-out choice, rollback, checkpoints, Ctrl-C."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec
import torch

from hauberk.core.errors import StoreError, TargetError, UsageError
from hauberk.core.progress import Silent
from hauberk.core.protocols import Modular, Progress, Step, Target
from hauberk.defenses.held_out import HeldOut
from hauberk.defenses.labelled import Accuracy, Labelled
from hauberk.defenses.student import Student
from hauberk.defenses.training_log import Ending, Interrupted, Log, Point, Trained
from hauberk.defenses.training_plan import Derailed, Keeper, Teaching
from hauberk.defenses.training_schedule import grown, optimizer_of, rate
from hauberk.defenses.training_state import Position, Snapshot, moments, pack, set_moments, unpack
from hauberk.defenses.training_task import Task, key_of, module_of, parts_of, start_afresh
from hauberk.defenses.training_team import ALONE, Team
from hauberk.defenses.weight_averaging import Averaged
from hauberk.numeric.float_types import fast_bfloat16

Clock: TypeAlias = Callable[[], float]

CLIP = 1.0
"""Largest norm of a step's gradient: the first adversarial batches of a fragile model have enormous ones."""
ROLLBACKS = 6
"""Returns to the last good state, each halving the step, after which a run is given up."""
PATIENT = 0.25
"""Share of a budget before which a lack of progress ends nothing: under a budget epochs may be short."""
LOOKS = 8
"""Under a budget a look at the held-out part comes when training took so many times as long as the last look did."""


def train(
    defense: Teaching,
    task: Task,
    rng: torch.Generator,
    *,
    progress: Progress | None = None,
    keeper: Keeper | None = None,
    clock: Clock = time.monotonic,
    team: Team = ALONE,
) -> Trained:
    """Train a copy of the target as the defense says; returns the best state on held-out samples, and the log.

    One seed gives one model, and a run resumed from a checkpoint the one of a run without a break, unless a budget cuts
    them by the clock. Ctrl-C raises `Interrupted`, which carries the best target so far. Raises MissingPower for a
    target that cannot be trained, UsageError for too few samples or a checkpoint of another run, TargetError where the
    loss stays no number however small the step, StoreError where a checkpoint cannot be read.
    team: the workers that train together; each calls this with the same arguments, and its leader's keeper saves.
    """
    begun = team.agreed(clock)
    module = module_of(task.target)
    data, held = parts_of(task.data, defense.training, rng)
    task.target.predict(held.x[:2])  # a target in memory learns its shape and classes from its first answer
    # Dropout and fresh weights draw from torch's global stream: fork it, so that one seed gives one model and the
    # caller's stream stays where it was.
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(int(torch.randint(2**62, (1,), generator=rng)))
        run = _Run(defense, task, module, data, held, rng, keeper, clock, begun, team)
        try:
            ending = run.go(progress or Silent())
        except KeyboardInterrupt as interrupt:
            raise Interrupted(run.result(), run.kept) from interrupt
    return Trained(run.result(), run.log(ending), run.kept)


class _Run:
    """One run: the module being trained, where it stands, and the best state so far."""

    def __init__(
        self,
        defense: Teaching,
        task: Task,
        module: torch.nn.Module,
        data: Labelled,
        held: Labelled,
        rng: torch.Generator,
        keeper: Keeper | None,
        clock: Clock,
        begun: float,
        team: Team,
    ) -> None:
        self._task, self._plan, self._module, self._keeper, self._own_clock = (
            task,
            defense.training,
            module,
            keeper,
            clock,
        )
        self._team, self._title, self._begun, self._saved_at = team, defense.card.title.lower(), begun, begun
        self._device = next(module.parameters()).device
        spec = msgspec.structs.replace(task.target.spec, answers="logits")
        short = _short(self._plan.precision, self._device)
        self._student = Student(module, spec, data, task.threat, task.attack, rng, short=short)
        self._lesson = defense.lesson(self._student)
        self._batch = min(self._plan.batch, len(data.y))
        self._batches = math.ceil(len(data.y) / self._batch)
        self._order_seed = int(torch.randint(2**62, (1,), generator=rng))
        self._notes: list[str] = []
        if self._batch < self._plan.batch:
            self._notes.append(f"a batch of {self._plan.batch} is more than there is: all {self._batch} at once")
        if not self._plan.warm:
            start_afresh(module)
        self._optimizer = optimizer_of(self._student.trained, self._plan)
        self._average = Averaged(module, self._plan.average)
        self._held = HeldOut(held.to(self._device), task.threat, task.attack, self._lesson.judge)
        self._position = Position(key=key_of(defense, task, self._order_seed))
        self.kept = copy.deepcopy(module.state_dict())
        self._good = Snapshot(module, self._optimizer, self._average)
        self._look_cost = 0.0

    # --- the course

    def go(self, progress: Progress) -> Ending:
        """Train to the end, from where a checkpoint left off if there is one."""
        resumed = self._resume()
        self._keeper = self._keeper if self._team.rank == 0 else None
        budget = self._plan.budget
        total, unit = (round(budget), "seconds") if budget else (self._plan.epochs, "epochs")
        with progress.step(self._title, total, unit) as step:
            if not resumed and self._plan.warm:
                self._look()
            elif not resumed and budget:
                self._look(keep=False)
            done = round(self._position.elapsed) if budget else self._position.epoch
            step.advance(done, self._word())
            while (ending := self._ending()) is None:
                self._epoch(step)
            if self._position.history[-1:] == () or self._position.history[-1].epoch < self._epochs:
                self._look()
                step.advance(0, self._word())
        return ending

    def _epoch(self, step: Step) -> None:
        """Train on the rest of an epoch; under a budget perhaps only on a part of it."""
        before = self._elapsed()
        for index, batch in self._batches_from(self._position.index):
            self._teach(batch)
            self._position = msgspec.structs.replace(self._position, index=index + 1)
            if index + 1 < self._batches and self._late():
                break
            if self._keeper is not None and self._keeper.every and self._due():
                self._save()
        else:
            self._end_of_epoch()
        step.advance(round(self._elapsed() - before) if self._plan.budget else 1, self._word())

    def _end_of_epoch(self) -> None:
        """Look at the held-out part where it is time, and keep where training stands."""
        self._position = msgspec.structs.replace(self._position, epoch=self._position.epoch + 1, index=0)
        if not self._plan.budget or self._since_look() >= LOOKS * self._look_cost:
            self._look()
        self._good, ending = Snapshot(self._module, self._optimizer, self._average), self._ending()
        if self._keeper is not None and (self._due() or ending is not None):
            self._save()

    def _batches_from(self, start: int) -> Iterator[tuple[int, Labelled]]:
        stream = torch.Generator().manual_seed((self._order_seed + self._position.epoch) % 2**63)
        order = torch.randperm(len(self._student.data.y), generator=stream)
        for index in range(start, self._batches):
            rows = order[index * self._batch : (index + 1) * self._batch]
            mine = rows[self._team.rank :: self._team.size]
            # Batch normalisation has no variance of one sample; all workers leave out the same batches.
            if len(rows) > 2 * self._team.size - 1 or self._batches == 1:
                yield index, self._student.data.take(mine).to(self._device)

    def _teach(self, batch: Labelled) -> None:
        for _ in range(self._lesson.repeats):
            self._student.share = self._share()
            self._student.threat = grown(self._task.threat, self._student.share, self._plan.ramp)
            try:
                self._descend(batch)
            except Derailed as fault:
                self._roll_back(str(fault))
            self._position = msgspec.structs.replace(self._position, step=self._position.step + 1)

    def _descend(self, batch: Labelled) -> None:
        """Take one step down the lesson's loss; raises Derailed where loss or gradient are no numbers."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._plan.learning_rate * self._position.scale * rate(self._student.share)
        loss, fault = 0.0, ""
        self._optimizer.zero_grad()
        try:
            loss = self._backward(batch)
        except Derailed as derailed:
            fault = str(derailed)
        tally = self._team.settle(self._student.trained, loss, len(batch.y), derailed=bool(fault))
        if tally.derailed:
            raise Derailed(fault or "another worker went back")
        size = torch.nn.utils.clip_grad_norm_(self._student.trained, CLIP)
        if not math.isfinite(tally.loss + float(size)):
            raise Derailed("the loss was not a number")
        self._optimizer.step()
        self._average.follow()

    def _backward(self, batch: Labelled) -> float:
        loss = self._lesson.loss(batch)
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        if self._lesson.after is not None:
            self._lesson.after()
        return float(loss.detach())

    def _roll_back(self, why: str) -> None:
        """Return to the last good state with half the step; raises TargetError where that never helps."""
        rollbacks = (*self._position.rollbacks, f"step {self._position.step}: {why}")
        if len(rollbacks) > ROLLBACKS:
            raise TargetError(
                f"{why} {len(rollbacks)} times, each after half the step of the last", fix="set a lower learning_rate"
            )
        self._good.restore(self._module, self._optimizer, self._average)
        self._position = msgspec.structs.replace(self._position, rollbacks=rollbacks, scale=self._position.scale / 2)

    # --- time

    def _clock(self) -> float:
        return self._team.agreed(self._own_clock)

    def _elapsed(self) -> float:
        return self._position.elapsed + self._clock() - self._begun

    def _elapsed_here(self) -> float:
        """As `_elapsed`, without asking the team."""
        return self._position.elapsed + self._own_clock() - self._begun

    def _share(self) -> float:
        """Share of training that is done, 0–1, once the next step is taken."""
        if self._plan.budget:
            return min(1.0, self._elapsed() / max(1e-9, self._plan.budget - self._look_cost))
        total = self._plan.epochs * self._batches * self._lesson.repeats
        return min(1.0, (self._position.step + 1) / max(1, total))

    def _late(self) -> bool:
        return self._plan.budget > 0 and self._elapsed() >= self._plan.budget - self._look_cost

    def _ending(self) -> Ending | None:
        plan, position = self._plan, self._position
        if self._late():
            return "budget"
        if not plan.budget and position.epoch >= plan.epochs:
            return "epochs"
        waited = not plan.budget or self._since_best() >= PATIENT * plan.budget
        return "patience" if plan.patience and position.stale >= plan.patience and waited else None

    # --- what is kept

    def _look(self, *, keep: bool = True) -> None:
        """Measure the held-out part and keep the state if it is the best so far."""
        begun, position = self._clock(), self._position
        for module in {self._module, self._average.module}:
            self._team.level(module)
        accuracy = self._held.accuracy(self._average.module, self._student.spec)
        self._look_cost, self._looked_at = self._clock() - begun, self._elapsed()
        if not keep:
            return
        history = (*position.history, Point(round(self._epochs, 3), accuracy.robust, accuracy.clean))
        best = position.history[position.best] if position.history else None
        better = best is None or self._lesson.keep == "last" or accuracy > Accuracy(best.robust, best.clean)
        stale = 0 if better or self._share() < self._plan.ramp else position.stale + 1
        if better:
            self.kept, self._best_at = copy.deepcopy(self._average.module.state_dict()), self._elapsed()
        index = len(history) - 1 if better else position.best
        self._position = msgspec.structs.replace(position, history=history, best=index, stale=stale)

    _looked_at, _best_at = 0.0, 0.0

    def _since_look(self) -> float:
        return self._elapsed() - self._looked_at

    def _since_best(self) -> float:
        return self._elapsed() - self._best_at

    def _word(self) -> str:
        history = self._position.history
        return f"robust {history[-1].robust:.0%}" if history else ""

    @property
    def _epochs(self) -> float:
        return self._position.epoch + self._position.index / self._batches

    def result(self) -> Target:
        """Return the best state as a target of its own."""
        target = self._task.target
        assert isinstance(target, Modular)
        module = target.module()
        module.load_state_dict(self.kept)
        return target.rebuild(module.eval(), f"{target.spec.name} + {self._title}")

    def log(self, ending: Ending) -> Log:
        """Say what was done."""
        position = self._position
        if ending == "budget" and position.epoch == 0:
            part = f"{position.index} of {self._batches} batches of the first epoch"
            self._notes.append(f"the budget of {self._plan.budget:g} s was too short for one epoch: {part} were done")
        return Log(
            epochs=round(self._epochs, 3),
            steps=position.step,
            ending=ending,
            seconds=round(self._elapsed_here(), 3),
            budget=self._plan.budget,
            held_out=len(self._held.data.y),
            history=position.history,
            best=position.best,
            rollbacks=position.rollbacks,
            notes=tuple(self._notes),
        )

    # --- checkpoints

    def _due(self) -> bool:
        return self._keeper is not None and self._own_clock() - self._saved_at >= self._keeper.every

    def _save(self) -> None:
        """Write a checkpoint; where there is no room, say so once and train on."""
        assert self._keeper is not None
        self._saved_at = self._own_clock()
        self._good = Snapshot(self._module, self._optimizer, self._average)
        position = msgspec.structs.replace(
            self._position, elapsed=self._elapsed_here(), followed=self._average.steps, memory=dict(self._lesson.memory)
        )
        parts = {
            "module": self._module.state_dict(),
            "average": self._average.module.state_dict(),
            "best": self.kept,
            "optimizer": moments(self._optimizer),
            "random": {"run": self._student.rng.get_state(), "torch": torch.random.get_rng_state()},
        }
        try:
            self._keeper.save(pack(parts, position))
        except StoreError as error:
            self._notes.append(f"no checkpoint could be kept: {error.what}")
            self._keeper = None

    def _resume(self) -> bool:
        """Go on from the keeper's checkpoint; raises UsageError where it is of another run."""
        state = self._keeper.load() if self._keeper is not None else None
        if state is None:
            return False
        saved = unpack(state)
        if saved.position.key != self._position.key:
            raise UsageError(
                "the checkpoint is of another run: model, data, threat, defense, settings or seed differ",
                fix="give the same, or train anew without --resume",
            )
        self._module.load_state_dict(saved.parts["module"])
        if self._average.module is not self._module:
            self._average.module.load_state_dict(saved.parts["average"])
        self._average.steps = saved.position.followed
        self.kept = saved.parts["best"]
        set_moments(self._optimizer, saved.parts.get("optimizer", {}))
        self._student.rng.set_state(saved.parts["random"]["run"])
        torch.random.set_rng_state(saved.parts["random"]["torch"])
        self._lesson.memory.update(saved.position.memory)
        self._position, self._begun = saved.position, self._clock()
        self._good = Snapshot(self._module, self._optimizer, self._average)
        return True


def _short(precision: str, device: torch.device) -> bool:
    return precision == "bfloat16" or (precision == "auto" and fast_bfloat16(device))
