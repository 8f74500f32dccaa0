"""Adversarial training: robust accuracy really rises, the best state is kept, and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from hauberk.core.errors import MissingPower, TargetError, UsageError
from hauberk.core.progress import Silent
from hauberk.core.protocols import Split
from hauberk.core.threat import Threat
from hauberk.defenses.adversarial_training import AdversarialTraining, _quick
from hauberk.defenses.engine import Interrupted


@dataclass
class Notes:
    """Progress that remembers what it was told."""

    total: int | None = None
    said: list[str] = field(default_factory=list)

    @contextmanager
    def step(self, name: str, total: int | None, unit: str) -> Iterator[Notes]:
        self.total = total
        yield self

    def advance(self, amount: int = 1, note: str = "") -> None:
        self.said.append(note)


def rng(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def few(digits, n: int = 200) -> Split:
    return Split(digits.train.x[:n], digits.train.y[:n])


def apply(plan, target, data, threat, attack, progress=None, seed: int = 1):
    return plan.apply(target, data, threat, rng(seed), attack=attack, progress=progress or Silent())


def accuracies(target, digits, attack, threat) -> tuple[float, float]:
    x, y = (torch.from_numpy(np.array(part)) for part in digits.test)
    attacked = replace(attack, steps=50).run(target, x, y, threat, rng(9))
    return tuple(float((target.predict(z).argmax(1) == y).double().mean()) for z in (attacked, x))


def state(target) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in target.module().state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_robust_accuracy_rises_and_clean_accuracy_stays(target, digits, ascent, threat) -> None:
    before, weights = accuracies(target, digits, ascent, threat), state(target)
    notes = Notes()
    hardened = apply(AdversarialTraining(epochs=10), target, digits.train, threat, ascent, notes)
    after = accuracies(hardened, digits, ascent, threat)
    assert before[0] < 0.3
    assert after[0] > 0.5
    assert after[1] > 0.93
    assert same(state(target), weights)
    assert hardened.spec.name == "net + adversarial training"
    assert notes.total == 10
    assert all(note.startswith("robust ") and note.endswith("%") for note in notes.said)


def test_one_seed_gives_one_model_and_the_global_stream_is_left_alone(target, digits, ascent, threat) -> None:
    class Dropping(type(target)):
        def module(self):
            return nn.Sequential(nn.Dropout(0.3), super().module())

    dropping = Dropping(nn.Identity(), target.spec)
    dropping.module = lambda: nn.Sequential(nn.Dropout(0.3), target.module())
    plan = AdversarialTraining(epochs=1, warm=False, steps=2)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second, other = (apply(plan, dropping, few(digits), threat, ascent, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    assert same(state_of(first), state_of(second))
    assert not same(state_of(first), state_of(other))


def state_of(target) -> dict[str, torch.Tensor]:
    return target._module.state_dict()


def test_training_that_only_harms_returns_the_model_it_began_with(target, digits, ascent, threat) -> None:
    ruin = AdversarialTraining(epochs=2, learning_rate=3.0, steps=2)
    hardened = apply(ruin, target, few(digits), threat, ascent)
    assert same(state(hardened), state(target))


def test_patience_ends_training_after_the_ramp(target, digits, ascent, threat) -> None:
    notes = Notes()
    plan = AdversarialTraining(epochs=12, learning_rate=3.0, steps=1, ramp=0.25, patience=2)
    apply(plan, target, few(digits, 100), threat, ascent, notes)
    assert len(notes.said) == 3 + 2


def test_a_cold_start_forgets_the_old_weights(target, digits, ascent, threat) -> None:
    cold = apply(AdversarialTraining(epochs=1, steps=1, warm=False), target, few(digits, 64), threat, ascent)
    mine, theirs = (next(iter(state(item).values())).flatten() for item in (cold, target))
    assert abs(float(torch.corrcoef(torch.stack((mine, theirs)))[0, 1])) < 0.5


def test_the_attack_sees_a_still_model_in_evaluation_mode_and_a_growing_radius(target, digits, ascent, threat) -> None:
    radii, modes = [], []

    class Watching(type(ascent)):
        def run(self, target, x, y, threat, rng):
            inner = target._module
            modes.append((inner.training, any(parameter.requires_grad for parameter in inner.parameters())))
            radii.append(threat.ball.radius)
            return x

    plan = AdversarialTraining(epochs=4, batch=64, ramp=0.5)
    apply(plan, target, few(digits, 128), threat, Watching())
    assert set(modes) == {(False, False)}
    training = [radius for radius in radii if radius < 0.15]
    assert training == sorted(training)
    assert len(training) == 3  # 2 batches an epoch, half of the 8 steps to grow; the fourth has the full radius
    assert min(radii) > 0
    assert max(radii) == pytest.approx(0.15)


def test_batch_statistics_come_from_training_batches_only_and_a_batch_of_one_is_left_out(
    target, digits, ascent, threat
) -> None:
    def norm() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 10))

    module = type(target)(norm(), target.spec)
    hardened = apply(
        AdversarialTraining(epochs=2, batch=43, steps=3, warm=False, held_out=0.1),
        module,
        few(digits, 96),
        threat,
        ascent,
    )
    # 96 − 10 held out = 86 = 2 · 43; with 97 the last batch holds one sample and must not reach BatchNorm.
    counted = hardened.module().state_dict()["1.num_batches_tracked"]
    assert int(counted) in (2, 4)
    apply(AdversarialTraining(epochs=1, batch=43, steps=1, held_out=0.1), module, few(digits, 97), threat, ascent)


def test_ctrl_c_keeps_the_best_so_far(target, digits, ascent, threat) -> None:
    calls = []

    class Impatient(type(ascent)):
        def run(self, target, x, y, threat, rng):
            calls.append(1)
            if len(calls) == 6:
                raise KeyboardInterrupt
            return super().run(target, x, y, threat, rng)

    with pytest.raises(Interrupted) as caught:
        apply(AdversarialTraining(epochs=3), target, few(digits), threat, Impatient())
    assert isinstance(caught.value, KeyboardInterrupt)
    assert caught.value.best.predict(torch.from_numpy(digits.test.x[:2])).shape == (2, 10)


def test_what_cannot_be_trained_is_said(target, digits, ascent, threat) -> None:
    class Remote:
        spec = target.spec

        def predict(self, x):
            return target.predict(x)

    with pytest.raises(MissingPower, match="module"):
        apply(AdversarialTraining(), Remote(), few(digits), threat, ascent)
    with pytest.raises(UsageError, match="no ball"):
        apply(AdversarialTraining(), target, few(digits), Threat(name="none"), ascent)
    with pytest.raises(UsageError, match="too few"):
        apply(AdversarialTraining(), target, few(digits, 1), threat, ascent)
    with pytest.raises(MissingPower, match="trainable"):
        apply(AdversarialTraining(), type(target)(nn.Flatten(), target.spec), few(digits), threat, ascent)


def test_a_diverging_loss_is_an_error_not_a_model(target, digits, ascent, threat) -> None:
    class Poison(type(ascent)):
        def run(self, target, x, y, threat, rng):
            return x * torch.nan

    with pytest.raises(TargetError, match="not a number"):
        apply(AdversarialTraining(epochs=1), target, few(digits), threat, Poison())


@dataclass(frozen=True)
class Driving:
    early_stop: bool = True
    batch: int = 3


@dataclass(frozen=True)
class Long:
    steps: int = 40
    pace: float = 0.1
    restarts: int = 5
    driving: Driving = field(default_factory=Driving)


def test_the_attack_is_made_quick_and_strong_for_training() -> None:
    quick = _quick(Long(), 5)
    assert (quick.steps, quick.pace, quick.restarts) == (5, 0.5, 1)
    assert quick.driving == Driving(early_stop=False)
    assert _quick(Long(steps=3), 5).steps == 3
    assert _quick(Long(steps=3), 5).pace == 0.1
    plain = object()
    assert _quick(plain, 5) is plain


def test_other_answers_are_trained_as_logits(target, digits, ascent, threat) -> None:
    sure = type(target)(target.module(), msgspec.structs.replace(target.spec, answers="probabilities"))
    seen = []

    class Asking(type(ascent)):
        def run(self, target, x, y, threat, rng):
            seen.append(target.spec.answers)
            return x

    apply(AdversarialTraining(epochs=1), sure, few(digits, 64), threat, Asking())
    assert set(seen) == {"logits"}


@pytest.mark.parametrize("epochs", [1, 2, 5, 10, 11])
def test_any_number_of_steps_can_be_scheduled(target, digits, ascent, threat, epochs: int) -> None:
    plan = AdversarialTraining(epochs=epochs, batch=64, steps=1, patience=0)
    notes = Notes()
    apply(plan, target, few(digits, 60), threat, Quiet(), notes)
    assert len(notes.said) == epochs


class Quiet:
    def run(self, target, x, y, threat, rng):
        return x


def test_a_sample_that_is_wrong_without_attack_is_never_robust(target, digits, threat) -> None:
    class Helpful:
        """Leads every input to its right class."""

        def run(self, target, x, y, threat, rng):
            z = x
            for _ in range(30):
                z = z.detach().requires_grad_()
                (slope,) = torch.autograd.grad(nn.functional.cross_entropy(target.forward(z), y), z)
                z = z.detach() - 0.1 * slope.sign()
            return z

    with torch.random.fork_rng():
        torch.manual_seed(0)
        blind = type(target)(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), target.spec)
    notes = Notes()
    still = AdversarialTraining(epochs=1, learning_rate=0.0, held_out=0.5)
    apply(still, blind, few(digits), threat, Helpful(), notes)
    assert int(notes.said[0].removeprefix("robust ").removesuffix("%")) < 40
