"""The engine of defenses: what it yields before, after and between, and what it keeps."""

from __future__ import annotations

import math

import msgspec
import pytest
import safetensors.torch
import torch
from torch import nn

from hauberk.core.card import Card
from hauberk.core.encoding import canonical, decode_entry
from hauberk.core.errors import MissingPower, TargetError, UsageError
from hauberk.core.evidence import Indicator, Measurement, Skipped
from hauberk.core.protocols import Split
from hauberk.defenses.engine import Interrupted, harden, weights


class Renaming:
    """A defense that only changes the name; what it was given is kept."""

    card = Card(title="rename", summary="nothing", needs=("module",))

    def __init__(self, fault: BaseException | None = None) -> None:
        self.fault, self.given = fault, None

    def apply(self, target, data, threat, rng, *, attack, progress):
        self.given = (data, threat, rng.initial_seed(), attack)
        if self.fault is not None:
            raise self.fault
        return target.rebuild(target.module(), f"{target.spec.name} renamed")


def finish(generator):
    entries = []
    while True:
        try:
            entries.append(next(generator))
        except StopIteration as end:
            return entries, end.value


def figure(stamp, subject: str, value: float, **changes) -> Measurement:
    row = Measurement(
        name="robust_accuracy",
        subject=subject,
        value=value,
        low=value - 0.03,
        high=value + 0.04,
        level=0.95,
        method="clopper-pearson",
        n=100,
        unit="share",
        better="higher",
        provenance=stamp.of("evasion.worst_case"),
        threat="pixels",
        norm="linf",
        radius=0.1,
        note="plain",
    )
    return msgspec.structs.replace(row, **changes)


@pytest.fixture
def evaluate(stamp):
    def examine(target):
        value = 0.7 if target.spec.name.endswith("renamed") else 0.2
        yield figure(stamp, target.spec.name, value)
        yield figure(stamp, target.spec.name, value, role="curve")
        if not target.spec.name.endswith("renamed"):
            yield figure(stamp, target.spec.name, 0.1, name="only_before")

    return examine


def run(target, digits, defense, threat, stamp, evaluate, attack="an attack"):
    return finish(harden(target, digits, defense, attack, threat, evaluate=evaluate, stamp=stamp, seed=11))


def test_before_after_and_change(target, digits, threat, stamp, evaluate) -> None:
    defense = Renaming()
    entries, hardened = run(target, digits, defense, threat, stamp, evaluate)
    assert hardened.spec.name == "net renamed"
    data, given, seed, attack = defense.given
    assert (data, given, seed, attack) == (digits.train, threat, 11, "an attack")
    seen = [(entry.name, entry.subject, entry.role) for entry in entries]
    assert seen == [
        ("robust_accuracy", "net", "diagnostic"),
        ("robust_accuracy", "net", "curve"),
        ("only_before", "net", "diagnostic"),
        ("robust_accuracy", "net renamed", "headline"),
        ("robust_accuracy", "net renamed", "curve"),
        ("robust_accuracy_change", "net renamed", "diagnostic"),
        ("parameters_ratio", "net renamed", "diagnostic"),
        ("answer_time_ratio", "net renamed", "diagnostic"),
    ]
    assert entries[0].note == "before hardening; plain"
    change, parameters, answers = entries[-3:]
    assert parameters.value == 1.0
    assert answers.value > 0
    assert (change.value, change.method, change.n) == (pytest.approx(0.5), "mover", 100)
    assert change.low == pytest.approx(0.5 - math.hypot(0.03, 0.04))
    assert change.high == pytest.approx(0.5 + math.hypot(0.04, 0.03))
    assert change.provenance.recipe.startswith("defenses.")
    assert all(decode_entry(canonical(entry)) == entry for entry in entries)


def test_a_training_defense_says_what_it_did(target, digits, threat, stamp, evaluate, ascent) -> None:
    from hauberk.defenses.training.adversarial_training import AdversarialTraining
    from hauberk.defenses.training_plan import Training

    strength = Indicator(name="stronger_than_training", passed=True, detail="2 and 100")
    defense = AdversarialTraining(steps=2, training=Training(epochs=1, batch=2000))
    steps = harden(target, digits, defense, ascent, threat, evaluate=evaluate, stamp=stamp, strength=strength)
    entries, hardened = finish(steps)
    assert hardened.spec.name == "net + adversarial training"
    held = next(entry for entry in entries if isinstance(entry, Measurement) and entry.name.startswith("held_out"))
    assert (held.n, held.role) == (100, "diagnostic")
    assert held.low <= held.value <= held.high
    assert held.note.endswith("1 epochs, 1 steps; all epochs were done")
    gap = next(entry for entry in entries if isinstance(entry, Skipped))
    assert "all 900 at once" in gap.reason
    changes = [entry for entry in entries if isinstance(entry, Measurement) and entry.name.endswith("_change")]
    assert all(change.indicators == (strength,) for change in changes)


@pytest.mark.parametrize(
    ("fault", "kind"), [(TargetError("diverged", fix="slower"), "error"), (MissingPower("no module"), "power")]
)
def test_a_defense_that_fails_is_skipped_after_the_before(target, digits, threat, stamp, evaluate, fault, kind) -> None:
    entries, hardened = run(target, digits, Renaming(fault), threat, stamp, evaluate)
    assert hardened is None
    assert [type(entry) for entry in entries] == [Measurement] * 3 + [Skipped]
    assert (entries[-1].kind, entries[-1].reason) == (kind, fault.what)


def test_faults_of_the_caller_and_ctrl_c_reach_him(target, digits, threat, stamp, evaluate) -> None:
    with pytest.raises(UsageError):
        run(target, digits, Renaming(UsageError("no")), threat, stamp, evaluate)
    with pytest.raises(Interrupted) as caught:
        run(target, digits, Renaming(Interrupted(target)), threat, stamp, evaluate)
    assert caught.value.best is target


def test_a_missing_power_or_missing_data_is_skipped_before_anything_is_asked(target, digits, threat, stamp) -> None:
    class Remote:
        spec = target.spec

        def predict(self, x):
            raise AssertionError("asked")

    def never(_):
        raise AssertionError("evaluated")

    entries, hardened = run(Remote(), digits, Renaming(), threat, stamp, never)
    assert hardened is None
    assert [(type(entry), entry.kind) for entry in entries] == [(Skipped, "power")]
    assert "module" in entries[0].reason
    empty = type(digits)(Split(digits.train.x[:0], digits.train.y[:0]), digits.test, digits.spec)
    entries, hardened = run(target, empty, Renaming(), threat, stamp, never)
    assert [(type(entry), entry.kind) for entry in entries] == [(Skipped, "scope")]


def test_weights_are_safetensors_and_give_the_same_model(target, digits) -> None:
    loaded = safetensors.torch.load(weights(target))
    module = target.module()
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    module.load_state_dict(loaded)
    x = torch.from_numpy(digits.test.x[:5])
    assert torch.equal(type(target)(module, target.spec).predict(x), target.predict(x))


def test_tied_and_strided_weights_can_be_kept(target) -> None:
    first = nn.Linear(4, 4)
    second = nn.Linear(4, 4)
    second.weight = first.weight
    tied = type(target)(nn.Sequential(first, second), target.spec)
    tied._module[0].bias.data = torch.arange(8.0)[::2]
    loaded = safetensors.torch.load(weights(tied))
    assert torch.equal(loaded["0.weight"], loaded["1.weight"])
    assert loaded["0.bias"].tolist() == [0, 2, 4, 6]


def test_names_choose_the_network_inside_its_preprocessing(target, digits) -> None:
    class Prepared(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net
            self.register_buffer("mean", torch.zeros(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x - self.mean)

    network = target.module()
    wrapped = type(target)(Prepared(Prepared(network)), target.spec)
    names = tuple(network.state_dict())
    assert set(safetensors.torch.load(weights(wrapped, names))) == set(names)
    assert set(safetensors.torch.load(weights(wrapped, names[:-1]))) == set(names[:-1])
    whole = set(wrapped.module().state_dict())
    assert set(safetensors.torch.load(weights(wrapped))) == whole
    assert set(safetensors.torch.load(weights(wrapped, ["elsewhere"]))) == whole


def test_a_real_target_is_hardened_saved_and_loaded_again(digits, threat, stamp, ascent) -> None:
    from hauberk.defenses.training.adversarial_training import AdversarialTraining
    from hauberk.defenses.training_plan import Training
    from hauberk.targets.pytorch import from_torch

    def build() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    given = from_torch(build(), shape=(1, 8, 8), classes=10, mean=(0.3,), std=(0.4,))
    plan = AdversarialTraining(steps=2, training=Training(epochs=2))
    x = torch.from_numpy(digits.test.x.copy())
    before = given.predict(x)
    _, hardened = finish(harden(given, digits, plan, ascent, threat, evaluate=lambda _: (), stamp=stamp))
    loaded = build()
    loaded.load_state_dict(safetensors.torch.load(weights(hardened, tuple(build().state_dict()))))
    again = from_torch(loaded, mean=(0.3,), std=(0.4,))
    assert torch.equal(again.predict(x), hardened.predict(x))
    assert torch.equal(given.predict(x), before)
    assert not torch.equal(hardened.predict(x), before)
