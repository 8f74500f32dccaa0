"""Two workers: the steps of one, the loss of one survived from a checkpoint, faults and Ctrl-C handed over."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from hauberk.core.errors import MissingPower, TargetError
from hauberk.core.protocols import Split
from hauberk.defenses.training.adversarial_training import AdversarialTraining
from hauberk.defenses.training_driver import train
from hauberk.defenses.training_log import Interrupted
from hauberk.defenses.training_plan import Lesson, Training
from hauberk.defenses.training_task import Task
from hauberk.defenses.training_together import train_together

SETTINGS = Training(epochs=3, batch=60, patience=0, warm=False, precision="float32")


class Plain:
    """Training on clean inputs, with a hook before each loss; no record, so that a checkpoint fits another hook."""

    card = AdversarialTraining.card
    training = SETTINGS

    def __init__(self, before=None) -> None:
        self.before = before

    def lesson(self, student) -> Lesson:
        def loss(batch):
            if self.before is not None:
                self.before(student)
            return cross_entropy(student.logits(batch.x), batch.y)

        return Lesson(loss)


class Quiet:
    def run(self, target, x, y, threat, rng):
        return x


class Every:
    """A keeper that keeps nothing and asks for a checkpoint after every epoch."""

    every = 0.0

    def load(self):
        return None

    def save(self, state):
        pass


class Notes:
    def __init__(self) -> None:
        self.said: list[str] = []

    def step(self, name, total, unit):
        self.said.append(name)
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def advance(self, amount=1, note=""):
        self.said.append(note)


def task(target, digits, threat) -> Task:
    return Task(target, Split(digits.train.x[:300], digits.train.y[:300]), threat, Quiet())


def close(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], by: float) -> bool:
    return all(torch.allclose(a[name], b[name], atol=by) for name in a)


def test_two_workers_take_the_steps_of_one(target, digits, threat) -> None:
    notes = Notes()
    alone = train(Plain(), task(target, digits, threat), torch.Generator().manual_seed(4))
    both = train_together(Plain(), task(target, digits, threat), 4, 2, progress=notes)
    assert close(alone.target.module().state_dict(), both.target.module().state_dict(), 1e-3)
    assert both.log.steps == alone.log.steps
    assert [point.clean for point in both.log.history] == pytest.approx([point.clean for point in alone.log.history])
    assert notes.said[0] == "adversarial training"
    assert notes.said[-1].startswith("robust ")


@pytest.mark.slow
def test_attacked_training_comes_to_the_same_within_noise(target, digits, ascent, threat) -> None:
    plan = AdversarialTraining(steps=4, training=Training(epochs=4, precision="float32"))
    work = Task(target, digits.train, threat, ascent)
    alone = train(plan, work, torch.Generator().manual_seed(4)).log
    both = train_together(plan, work, 4, 2).log
    assert abs(alone.history[-1].robust - both.history[-1].robust) < 0.15  # 100 held out: ±0.1 by chance
    assert both.history[-1].robust > both.history[0].robust + 0.1


def test_a_lost_worker_costs_what_came_after_the_last_checkpoint(target, digits, threat, tmp_path) -> None:
    whole = train_together(Plain(), task(target, digits, threat), 4, 2, keeper=Every())
    mark = tmp_path / "fell"

    def fall(student) -> None:
        # The second worker dies in the second epoch, once.
        if torch.distributed.get_rank() == 1 and student.share > 0.5 and not mark.exists():
            mark.touch()
            os._exit(9)

    again = train_together(Plain(fall), task(target, digits, threat), 4, 2, keeper=Every())
    assert mark.exists()
    assert again.log.notes[-1].startswith("1 workers were lost")
    assert close(whole.target.module().state_dict(), again.target.module().state_dict(), 1e-6)
    assert again.log.history == whole.log.history


def test_workers_that_always_die_end_the_run(target, digits, threat) -> None:
    def die(_) -> None:
        os._exit(9)

    with pytest.raises(TargetError, match="4 workers were lost"):
        train_together(Plain(die), task(target, digits, threat), 4, 2)


def test_faults_of_training_are_raised_here(target, digits, threat) -> None:
    hollow = type(target)(nn.Flatten(), target.spec)
    with pytest.raises(MissingPower, match="trainable"):
        train_together(Plain(), task(hollow, digits, threat), 4, 2)

    def wrong(_) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(TargetError, match="shapes cannot"):
        train_together(Plain(wrong), task(target, digits, threat), 4, 2)


def test_ctrl_c_hands_over_the_best_state(target, digits, threat) -> None:
    def slow(_) -> None:
        time.sleep(0.4)

    def press() -> None:
        from multiprocessing import active_children

        time.sleep(1.0)
        for process in active_children():
            os.kill(process.pid, signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    with pytest.raises(Interrupted) as stopped:
        train_together(Plain(slow), task(target, digits, threat), 4, 2)
    x = torch.from_numpy(np.array(digits.test.x[:2]))
    assert stopped.value.best.predict(x).shape == (2, 10)
