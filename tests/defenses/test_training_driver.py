"""The driver of training defenses: the best state, resume, budget, rollback, disk, Ctrl-C, what cannot be trained."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from hauberk.core.errors import MissingPower, StoreError, TargetError, UsageError
from hauberk.core.progress import Silent
from hauberk.core.protocols import Split
from hauberk.core.threat import Threat
from hauberk.defenses.training.adversarial_training import AdversarialTraining
from hauberk.defenses.training_driver import train
from hauberk.defenses.training_log import Interrupted
from hauberk.defenses.training_plan import Derailed, Lesson, Training
from hauberk.defenses.training_task import Task


@dataclass
class Notes:
    """Progress that remembers what it was told."""

    total: int | None = None
    unit: str = ""
    done: int = 0
    said: list[str] = field(default_factory=list)

    @contextmanager
    def step(self, name: str, total: int | None, unit: str) -> Iterator[Notes]:
        self.total, self.unit = total, unit
        yield self

    def advance(self, amount: int = 1, note: str = "") -> None:
        self.done += amount
        self.said.append(note)


@dataclass
class Memory:
    """A keeper in memory."""

    every: float = 0.0
    states: list[bytes] = field(default_factory=list)
    resume: bool = False

    def load(self) -> bytes | None:
        return self.states[-1] if self.resume else None

    def save(self, state: bytes) -> None:
        self.states.append(state)


@dataclass
class Ticking:
    """A clock that goes on by as much at every look."""

    tick: float
    now: float = 0.0

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


class Plain:
    """Training on clean inputs, with a hook before each loss."""

    card = AdversarialTraining.card

    def __init__(self, training: Training, before=None) -> None:
        self.training, self.before = training, before

    def lesson(self, student) -> Lesson:
        def loss(batch):
            if self.before is not None:
                self.before(student, batch)
            return cross_entropy(student.logits(batch.x), batch.y)

        return Lesson(loss)


class Quiet:
    """An attack that does nothing."""

    def run(self, target, x, y, threat, rng):
        return x


def rng(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def few(digits, n: int = 200) -> Split:
    return Split(digits.train.x[:n], digits.train.y[:n])


def run(defense, target, data, threat, attack, seed: int = 1, **more):
    return train(defense, Task(target, data, threat, attack), rng(seed), **more)


def plan(**changes) -> AdversarialTraining:
    steps = changes.pop("steps", 2)
    return AdversarialTraining(steps=steps, training=Training(**changes))


def state(target) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in target.module().state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def normed(target):
    module = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Dropout(0.2), nn.Linear(64, 10))
    return type(target)(module, target.spec)


def test_one_seed_gives_one_model_and_the_global_stream_is_left_alone(target, digits, ascent, threat) -> None:
    fresh = plan(epochs=1, warm=False)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    dropping = normed(target)
    weights = state(dropping)
    torch.manual_seed(5)
    first, second, other = (run(fresh, dropping, few(digits), threat, ascent, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    assert same(state(first.target), state(second.target))
    assert not same(state(first.target), state(other.target))
    assert same(state(dropping), weights)


def test_training_that_only_harms_returns_the_model_it_began_with(target, digits, ascent, threat) -> None:
    trained = run(plan(epochs=2, learning_rate=3.0), target, few(digits), threat, ascent)
    assert same(state(trained.target), state(target))
    assert trained.log.best == 0


def test_patience_ends_training_after_the_ramp(target, digits, threat) -> None:
    notes = Notes()
    trained = run(
        plan(epochs=12, learning_rate=3.0, steps=1, ramp=0.25, patience=2),
        target,
        few(digits, 100),
        threat,
        Quiet(),
        progress=notes,
    )
    assert trained.log.ending == "patience"
    assert trained.log.epochs in (4, 5)
    assert (notes.total, notes.unit, notes.done) == (12, "epochs", trained.log.epochs)
    assert all(note.startswith("robust ") for note in notes.said)


@pytest.mark.parametrize("every", [0.0, 1e-9])
@pytest.mark.parametrize("calls", [5, 12])
def test_an_interrupted_run_resumes_to_the_same_result(target, digits, ascent, threat, calls: int, every) -> None:
    """Whether checkpoints come after epochs or in the middle of one; with batch norm, dropout, average and Adam."""
    seen = []

    def interrupt(student, batch):
        seen.append(1)
        if len(seen) == calls:
            raise KeyboardInterrupt

    settings = Training(epochs=4, batch=60, patience=0)
    whole = run(Plain(settings), normed_fixed(target), few(digits), threat, ascent, keeper=Memory(every))
    memory = Memory(every)
    with pytest.raises(Interrupted) as stopped:
        run(Plain(settings, interrupt), normed_fixed(target), few(digits), threat, ascent, keeper=memory)
    assert isinstance(stopped.value, KeyboardInterrupt)
    assert stopped.value.best.predict(torch.from_numpy(digits.test.x[:2])).shape == (2, 10)
    memory.resume = True
    assert memory.states
    resumed = run(Plain(settings), normed_fixed(target), few(digits), threat, ascent, keeper=memory)
    assert same(state(resumed.target), state(whole.target))
    assert resumed.log.history == whole.log.history
    assert (resumed.log.steps, resumed.log.epochs) == (whole.log.steps, 4)


def normed_fixed(target):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return normed(target)


def test_a_checkpoint_of_another_run_is_refused(target, digits, threat) -> None:
    memory = Memory()
    run(plan(epochs=1), target, few(digits), threat, Quiet(), keeper=memory)
    memory.resume = True
    for other in (plan(epochs=2), plan(epochs=1, batch=32)):
        with pytest.raises(UsageError, match="another run"):
            run(other, target, few(digits), threat, Quiet(), keeper=memory)
    with pytest.raises(UsageError, match="another run"):
        run(plan(epochs=1), target, few(digits, 199), threat, Quiet(), keeper=memory)
    memory.states.append(memory.states[-1][:100])
    with pytest.raises(StoreError, match="cannot be read"):
        run(plan(epochs=1), target, few(digits), threat, Quiet(), keeper=memory)


def test_a_full_disk_loses_checkpoints_not_training(target, digits, threat) -> None:
    class Full(Memory):
        def save(self, state):
            raise StoreError("the checkpoint cannot be written: No space left on device")

    trained = run(plan(epochs=2), target, few(digits), threat, Quiet(), keeper=Full())
    assert trained.log.epochs == 2
    assert trained.log.notes == (
        "no checkpoint could be kept: the checkpoint cannot be written: No space left on device",
    )


def test_a_loss_that_is_no_number_rolls_back_and_lowers_the_step(target, digits, threat) -> None:
    rates = []

    def poison(student, batch):
        rates.append(None)
        if len(rates) == 5:
            for parameter in student.trained:
                parameter.data.fill_(torch.nan)

    settings = Training(epochs=3, batch=60, patience=0)
    trained = run(Plain(settings, poison), target, few(digits), threat, Quiet())
    assert trained.log.rollbacks == ("step 4: the loss was not a number",)
    assert all(bool(value.isfinite().all()) for value in state(trained.target).values())
    assert trained.log.history[-1].clean > 0.8


def test_a_loss_that_stays_no_number_is_an_error_not_a_model(target, digits, threat) -> None:
    def poison(student, batch):
        batch.x.fill_(torch.nan)

    with pytest.raises(TargetError, match="not a number 7 times"):
        run(Plain(Training(epochs=9), poison), target, few(digits), threat, Quiet())


def test_a_lesson_may_ask_to_go_back(target, digits, threat) -> None:
    before = []

    def fall(student, batch):
        before.append(copy.deepcopy(student.module.state_dict()))
        if len(before) == 4:
            raise Derailed("fell")

    trained = run(Plain(Training(epochs=1, batch=20), fall), target, few(digits), threat, Quiet())
    assert trained.log.rollbacks == ("step 3: fell",)
    assert same(before[4], before[0]), "the step after goes on from the last good state"


def test_a_budget_goes_before_epochs_and_drives_schedule_and_radius(target, digits, threat) -> None:
    radii, notes = [], Notes()

    def look(student, batch):
        radii.append(student.threat.ball.radius)

    settings = Training(epochs=1, budget=100.0, batch=30, ramp=0.5)
    trained = run(Plain(settings, look), target, few(digits), threat, Quiet(), clock=Ticking(0.5), progress=notes)
    assert trained.log.ending == "budget"
    assert trained.log.epochs > 2
    assert 90 < trained.log.seconds <= 110
    assert radii == sorted(radii)
    assert radii[-1] == pytest.approx(0.15)
    half = radii[len(radii) // 4]
    assert 0.03 < half < 0.13
    assert notes.unit == "seconds"


def test_a_budget_too_short_for_an_epoch_says_what_it_did(target, digits, threat) -> None:
    settings = Training(budget=20.0, batch=5)
    trained = run(Plain(settings), target, few(digits), threat, Quiet(), clock=Ticking(1.0))
    assert trained.log.epochs < 1
    assert len(trained.log.notes) == 1
    assert "too short for one epoch: " in trained.log.notes[0]
    assert f"{trained.log.steps} of 36 batches" in trained.log.notes[0]


def test_fewer_samples_than_a_batch_are_one_batch(target, digits, ascent, threat) -> None:
    trained = run(plan(epochs=2, batch=64), target, few(digits, 30), threat, ascent)
    assert trained.log.steps == 2
    assert "all 27 at once" in trained.log.notes[0]


def test_batch_statistics_come_from_training_batches_only_and_a_batch_of_one_is_left_out(
    target, digits, ascent, threat
) -> None:
    module = type(target)(nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 10)).train(), target.spec)
    # 97 − 10 held out = 87 = 2 · 43 + 1: the last one must not reach the batch norm.
    trained = run(plan(epochs=2, batch=43, warm=False), module, few(digits, 97), threat, ascent)
    assert int(trained.target.module().state_dict()["1.num_batches_tracked"]) in (2, 4)
    assert trained.log.epochs == 2
    assert not trained.target._module.training


def test_what_cannot_be_trained_is_said(target, digits, ascent, threat) -> None:
    class Remote:
        spec = target.spec

        def predict(self, x):
            return target.predict(x)

    with pytest.raises(MissingPower, match="module"):
        run(plan(), Remote(), few(digits), threat, ascent)
    with pytest.raises(UsageError, match="no ball"):
        AdversarialTraining().apply(
            target, few(digits), Threat(name="none"), rng(), attack=NeedsBall(), progress=Silent()
        )
    with pytest.raises(UsageError, match="too few"):
        run(plan(), target, few(digits, 1), threat, ascent)
    with pytest.raises(MissingPower, match="trainable"):
        run(plan(), type(target)(nn.Flatten(), target.spec), few(digits), threat, ascent)


class NeedsBall:
    def run(self, target, x, y, threat, rng):
        if threat.ball is None:
            raise UsageError("no ball")
        return x


class Constant(nn.Module):
    """A layer whose weights are frozen into buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(10, 64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight.T


def test_a_model_whose_parameters_are_frozen_is_trained_as_a_copy(digits, threat) -> None:
    from hauberk.targets import from_torch

    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).requires_grad_(False).eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    given = from_torch(net, shape=(1, 8, 8), classes=10)
    trained = run(plan(epochs=1, warm=False), given, few(digits), threat, Quiet())
    assert same(net.state_dict(), before)
    assert not any(parameter.requires_grad for parameter in net.parameters())
    (weight,) = (value for name, value in state(trained.target).items() if name.endswith("1.weight"))
    assert not torch.equal(weight, before["1.weight"])


def test_frozen_and_quantised_models_are_refused_and_left_alone(digits, ascent, threat) -> None:
    from hauberk.targets import from_torch

    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)).eval()
    constant = nn.Sequential(nn.Flatten(), Constant())
    with pytest.raises(MissingPower, match="no trainable parameters"):
        run(plan(), from_torch(constant, shape=(1, 8, 8), classes=10), few(digits), threat, ascent)
    quantised = torch.ao.quantization.quantize_dynamic(copy.deepcopy(net), {nn.Linear})
    before = quantised(torch.zeros(1, 1, 8, 8))
    with pytest.raises(MissingPower, match="quantised"):
        run(plan(), from_torch(quantised, shape=(1, 8, 8), classes=10), few(digits), threat, ascent)
    assert torch.equal(quantised(torch.zeros(1, 1, 8, 8)), before)


def test_other_answers_are_trained_as_logits(target, digits, threat) -> None:
    sure = type(target)(target.module(), msgspec.structs.replace(target.spec, answers="probabilities"))
    seen = set()

    class Asking(Quiet):
        def run(self, target, x, y, threat, rng):
            seen.add(target.spec.answers)
            return x

    run(plan(epochs=1), sure, few(digits, 64), threat, Asking())
    assert seen == {"logits"}


def test_a_sample_that_is_wrong_without_attack_is_never_robust(target, digits, threat) -> None:
    class Helpful:
        """Leads every input to its right class."""

        def run(self, target, x, y, threat, rng):
            z = x
            for _ in range(30):
                z = z.detach().requires_grad_()
                (slope,) = torch.autograd.grad(cross_entropy(target.forward(z), y), z)
                z = z.detach() - 0.1 * slope.sign()
            return z

    with torch.random.fork_rng():
        torch.manual_seed(0)
        blind = type(target)(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), target.spec)
    trained = run(plan(epochs=1, learning_rate=0.0, held_out=0.5), blind, few(digits), threat, Helpful())
    assert trained.log.history[0].robust < 0.4


def test_the_average_is_what_is_measured_and_kept(target, digits, threat) -> None:
    settings = Training(epochs=3, patience=0, warm=False)
    kept = [run(Plain(replace(settings, average=share)), target, few(digits), threat, Quiet()) for share in (0.0, 0.5)]
    assert not same(state(kept[0].target), state(kept[1].target))
    assert np.isfinite([float(value.float().sum()) for value in state(kept[1].target).values()]).all()
