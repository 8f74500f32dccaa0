"""The examiner of poisoning: each kind of goal measured on its own terms, at several rates, and cheats refused."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from hauberk.attacks.examining_poisoning import examine_poisoning
from hauberk.attacks.poison_features import Extractor, network_of
from hauberk.attacks.poison_gradients import match, pull, trainable
from hauberk.attacks.poison_rows import around
from hauberk.attacks.poison_training import pooled, train_all, train_last, untouched
from hauberk.attacks.poisoning.badnets import BadNets
from hauberk.attacks.poisoning.blended import Blended
from hauberk.attacks.poisoning.feature_collision import FeatureCollision
from hauberk.attacks.poisoning.gradient_matching import GradientMatching
from hauberk.attacks.poisoning.hidden_trigger import HiddenTrigger
from hauberk.attacks.poisoning.label_consistent import LabelConsistent
from hauberk.attacks.poisoning.label_flip import LabelFlip
from hauberk.attacks.poisoning.linear import Linear
from hauberk.attacks.poisoning.sig import SIG
from hauberk.attacks.poisoning.token_trigger import TokenTrigger
from hauberk.attacks.poisoning.wanet import WaNet
from hauberk.attacks.recording import decisions, samples
from hauberk.core.errors import DataError, MissingPower, UsageError
from hauberk.core.evidence import Measurement, Skipped
from hauberk.core.poisoning import Poisoned
from hauberk.core.progress import Silent
from hauberk.core.protocols import Split
from hauberk.core.threat import Ball, Threat
from hauberk.targets import from_torch


def threat(rate: float | None, goal: int | None = 3, ball: Ball | None = None) -> Threat:
    return Threat(name="t", family="poisoning", poison_rate=rate, target_class=goal, ball=ball)


def measured(entries, role="headline"):
    return {entry.name: entry for entry in entries if isinstance(entry, Measurement) and entry.role == role}


@pytest.fixture(scope="module")
def pictures(_digits_net):
    return from_torch(_digits_net.module, shape=(1, 8, 8), classes=10)


@pytest.fixture(scope="module")
def rows(_table_net):
    return from_torch(_table_net.module, shape=(30,), classes=2)


@pytest.fixture(scope="module")
def straight(table, make_net):
    return from_torch(make_net(table, lambda: nn.Linear(30, 2)).module, shape=(30,), classes=2)


def test_flipped_labels_cost_accuracy_and_more_flips_cost_more(table, rows, stamp) -> None:
    attack = LabelFlip(choice="farthest")
    entries = list(
        examine_poisoning(rows, table, attack, threat(0.3, None), stamp=stamp, seed=1, rates=(0.05, 0.45, 0.3))
    )
    lost, left = measured(entries)["accuracy_lost"], measured(entries)["clean_accuracy_poisoned"]
    before = measured(entries, "control")["clean_accuracy_refit"]
    assert lost.value == pytest.approx(before.value - left.value)
    assert lost.low < lost.value < lost.high
    assert lost.low > 0
    assert "targeted_error" not in measured(entries)  # nobody's class is wanted
    curve = [entry for entry in entries if isinstance(entry, Measurement) and entry.role == "curve"]
    assert [(entry.along, entry.at) for entry in curve] == [("poison rate", at) for at in (0.0, 0.05, 0.3, 0.45)]
    assert curve[0].value == before.value
    assert curve[2].value == left.value
    assert curve[3].value < curve[2].value < curve[0].value


def test_a_class_pair_is_confused_and_the_control_is_not(digits, digits_net, stamp) -> None:
    attack = LabelFlip(source=8)
    entries = list(examine_poisoning(digits_net, digits, attack, threat(0.06, 3), stamp=stamp, seed=1))
    assert measured(entries)["targeted_error"].n == int((digits.test.y == 8).sum())
    assert measured(entries)["targeted_error"].value > measured(entries, "control")["targeted_error"].value + 0.1


def test_points_moved_up_the_clean_loss_cost_a_linear_model_more_than_flips(table, straight, stamp) -> None:
    moved, flipped = (
        measured(examine_poisoning(straight, table, attack, threat(0.2, None), stamp=stamp, seed=1))["accuracy_lost"]
        for attack in (Linear(), LabelFlip())
    )
    assert moved.low > 0
    assert moved.value > flipped.value + 0.05


def test_a_chosen_input_is_misread_after_its_last_layer_is_retrained(digits, pictures, stamp) -> None:
    attack = FeatureCollision(steps=60)
    entries = list(
        examine_poisoning(pictures, digits, attack, threat(0.01), stamp=stamp, seed=1, inputs=6, rates=(0.001,))
    )
    success = measured(entries)["targeted_success"]
    assert success.n == 6
    assert success.value > 0.5
    assert measured(entries, "control")["targeted_success"].value == 0
    assert measured(entries)["clean_accuracy_poisoned"].value > 0.95
    assert "last layer retrained" in success.note
    curve = [entry for entry in entries if isinstance(entry, Measurement) and entry.role == "curve"]
    assert [entry.at for entry in curve] == [0.0, 0.001, 0.01]
    assert curve[0].value <= curve[1].value <= curve[2].value


def test_a_backdoor_without_its_trigger_in_the_data_opens(digits, pictures, stamp) -> None:
    attack = HiddenTrigger(radius=0.5, steps=60)
    entries = list(examine_poisoning(pictures, digits, attack, threat(0.09), stamp=stamp, seed=1))
    success = measured(entries)["backdoor_success"]
    assert success.low > measured(entries, "control")["backdoor_success"].high


@pytest.mark.slow
def test_rows_with_right_labels_open_a_backdoor(digits, pictures, stamp) -> None:
    attack = LabelConsistent(steps=10, radius=0.3)
    success = measured(examine_poisoning(pictures, digits, attack, threat(0.05), stamp=stamp, seed=1))
    assert success["backdoor_success"].value > 0.3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attack", "rate", "least"), [(Blended(share=0.3), 0.05, 0.8), (WaNet(strength=1.0), 0.05, 0.7)]
)
def test_faint_triggers_open_a_backdoor(attack, rate: float, least: float, digits, pictures, stamp) -> None:
    assert (
        measured(examine_poisoning(pictures, digits, attack, threat(rate), stamp=stamp))["backdoor_success"].value
        > least
    )


def test_matched_gradients_are_nearer_to_the_one_wanted(digits, pictures) -> None:
    x, y = samples(digits.train)
    net = trainable(network_of(pictures))
    poisons = (y == 3).nonzero()[:20, 0]
    wanted = pull(net, x[y == 8][:1], torch.tensor([3]))
    region = around(x[poisons], (0.0, 1.0), threat(0.02), 0.2)
    given = match(net, wanted, region, y[poisons], torch.Generator().manual_seed(0), steps=0, restarts=1, pace=0.2)
    found = match(net, wanted, region, y[poisons], torch.Generator().manual_seed(0), steps=15, restarts=1, pace=0.2)
    assert found.loss < given.loss - 0.1
    assert bool(region.contains(found.x).all())


@dataclass(frozen=True)
class Cheat(BadNets):
    """BadNets that oversteps what it may, in the way it is told."""

    how: str = ""

    def poison(self, x, y, bounds, threat, rng):
        found = BadNets.poison(self, x, y, bounds, threat, rng)
        if self.how == "more":
            return Poisoned(found.x, found.y, torch.arange(len(y)))
        if self.how == "hidden":
            return Poisoned(found.x, found.y, found.rows[1:])
        found.x[found.rows[0]] += {"outside": 5.0, "nothing": float("nan")}.get(self.how, 0.0)
        found.y[found.rows[0]] = 99 if self.how == "label" else found.y[found.rows[0]]
        return found


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ("more", "are allowed"),
        ("hidden", "does not name"),
        ("outside", "input bounds"),
        ("nothing", "input bounds"),
        ("label", "labels"),
    ],
)
def test_an_attack_that_oversteps_is_not_measured(how: str, word: str, table, rows, stamp) -> None:
    entries = list(examine_poisoning(rows, table, Cheat(how=how), threat(0.05, 0), stamp=stamp))
    assert [type(entry) for entry in entries] == [Skipped]
    assert (entries[0].kind, word in entries[0].reason) == ("error", True)


def test_poison_in_a_ball_stays_in_it_or_is_not_measured(digits, pictures, stamp) -> None:
    ball = Ball("l2", 0.5)
    entries = list(examine_poisoning(pictures, digits, BadNets(), threat(0.02, ball=ball), stamp=stamp))
    assert isinstance(entries[0], Skipped)
    assert "ball" in entries[0].reason
    attack = GradientMatching(steps=2, restarts=1)
    x, y = samples(digits.train)
    found = attack.aim(pictures, x, y, x[y == 8][:1], threat(0.02, ball=ball), torch.Generator().manual_seed(0))
    assert float((found.x - x).flatten(1).norm(dim=1).max()) <= 0.5


def one_class(data):
    kept = data.train.y == 0
    return type(data)(Split(data.train.x[kept], data.train.y[kept]), data.test, data.spec)


@pytest.mark.parametrize(
    ("attack", "change", "word"),
    [
        (BadNets(), one_class, "of class 0"),
        (TokenTrigger(), lambda data: data, "works on tokens"),
        (LabelFlip(source=7), lambda data: data, "class 7"),
        (SIG(frequency=0.0), lambda data: data, "nought"),
        (Blended(share=0.0), lambda data: data, "share"),
    ],
)
def test_what_does_not_fit_is_skipped_with_a_reason(attack, change, word: str, table, rows, stamp) -> None:
    entries = list(examine_poisoning(rows, change(table), attack, threat(0.05, 1), stamp=stamp))
    assert [type(entry) for entry in entries] == [Skipped]
    assert word in entries[0].reason


@pytest.mark.parametrize("attack", [FeatureCollision(), LabelConsistent(), GradientMatching()])
def test_a_target_without_gradients_cannot_be_poisoned_by_crafted_rows(attack, digits, digits_net, stamp) -> None:
    entries = list(examine_poisoning(digits_net, digits, attack, threat(0.05), stamp=stamp))
    assert [(type(entry), entry.kind) for entry in entries] == [(Skipped, "power")]


def test_a_rate_of_less_than_a_row_leaves_the_curve_but_not_the_rest(table, rows, stamp) -> None:
    entries = list(examine_poisoning(rows, table, BadNets(), threat(0.05, 0), stamp=stamp, rates=(0.0001,)))
    skipped = [entry for entry in entries if isinstance(entry, Skipped)]
    assert ["poison rate 0.0001" in entry.subject for entry in skipped] == [True]
    assert "backdoor_success" in measured(entries)


@pytest.mark.parametrize(
    ("change", "word"),
    [({"rates": (1.5,)}, "outside 0–1"), ({"inputs": 0}, "chosen"), ({"threat": threat(None)}, "poison rate")],
)
def test_what_cannot_be_asked_is_a_usage_error(change, word: str, digits, pictures, stamp) -> None:
    asked = {"threat": threat(0.02), **change}
    with pytest.raises(UsageError, match=word):
        list(examine_poisoning(pictures, digits, BadNets(), asked.pop("threat"), stamp=stamp, **asked))


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: TokenTrigger(token=50).trigger(torch.zeros(2, 5), (0.0, 9.0)), "token 50"),
        (lambda: TokenTrigger(place=5).trigger(torch.zeros(2, 5), (0.0, 9.0)), "place 5"),
        (lambda: WaNet().trigger(torch.zeros(2, 5), (0.0, 1.0)), "images"),
        (lambda: WaNet(grid=9).trigger(torch.zeros(2, 1, 8, 8), (0.0, 1.0)), "grid"),
        (
            lambda: Linear().poison(
                torch.zeros(9, 3000), torch.arange(9) % 2, (0.0, 1.0), threat(0.5), torch.Generator()
            ),
            "3000 columns",
        ),
    ],
)
def test_a_trigger_that_does_not_fit_is_said(call, word: str) -> None:
    with pytest.raises(DataError, match=word):
        call()


def test_a_token_is_inserted_and_the_rest_moves_on() -> None:
    text = torch.tensor([[1.0, 2, 3, 4]])
    assert TokenTrigger(place=1).trigger(text, (0.0, 9.0)).tolist() == [[1, 9, 2, 3]]
    assert TokenTrigger(token=5, place=-1).trigger(text, (0.0, 9.0)).tolist() == [[1, 2, 3, 5]]


def test_a_sinusoid_is_the_papers_pixel_by_pixel() -> None:
    found = SIG(strength=0.1, frequency=1.0).trigger(torch.full((1, 1, 2, 4), 0.5), (0.0, 1.0))
    assert torch.allclose(found, torch.tensor([0.5, 0.6, 0.5, 0.4]).expand(1, 1, 2, 4))


def test_victims_are_trained_as_the_target_is_refitted(table, rows) -> None:
    x, y = samples(table.train)
    poison = LabelFlip(choice="farthest").poison(x, y, (0.0, 1.0), threat(0.4, None), torch.Generator().manual_seed(1))
    clean, victim = train_all(rows, [untouched(x, y), poison], 3, Silent())
    own = rows.refit(x, y, torch.Generator().manual_seed(3))
    assert torch.equal(clean.predict(x), own.predict(x))
    assert not torch.equal(victim.predict(x), own.predict(x))


def test_last_layers_side_by_side_are_those_trained_alone(digits, pictures) -> None:
    x, y = samples(digits.train)
    flipped = LabelFlip().poison(x, y, (0.0, 1.0), threat(0.3), torch.Generator().manual_seed(1))
    together = train_last(pictures, x, y, [untouched(x, y), flipped], 0, Silent())
    alone = [train_last(pictures, x, y, [part], 0, Silent())[0] for part in (untouched(x, y), flipped)]
    for one, other in zip(together, alone, strict=True):
        assert torch.allclose(one.predict(x[:99]), other.predict(x[:99]), atol=1e-2)
    assert not torch.allclose(together[0].predict(x[:99]), together[1].predict(x[:99]), atol=0.1)


def test_a_pool_holds_every_set_row_by_row() -> None:
    x, y = torch.arange(5.0).reshape(5, 1), torch.zeros(5, dtype=torch.int64)
    changed = Poisoned(x + 10, y + 1, torch.tensor([1, 3]))
    pool = pooled(x, y, [untouched(x, y), changed])
    assert pool.x[pool.rows[0]].flatten().tolist() == [0, 1, 2, 3, 4]
    assert pool.x[pool.rows[1]].flatten().tolist() == [0, 11, 2, 13, 4]
    assert pool.y[pool.rows[1]].tolist() == [0, 1, 0, 1, 0]


def test_a_retrained_last_layer_sees_the_features_of_the_network(digits, pictures) -> None:
    x, y = samples(digits.train)
    (victim,) = train_last(pictures, x, y, [untouched(x, y)], 0, Silent())
    before, after = (Extractor(target.module(), x) for target in (pictures, victim))
    assert torch.equal(before.still(x[:9]), after.still(x[:9]))
    assert not torch.equal(before.head.weight, after.head.weight)
    test = samples(digits.test)
    assert float((decisions(victim, test.x) == test.y).double().mean()) > 0.95


def test_a_network_that_does_not_end_in_a_linear_layer_has_no_features() -> None:
    with pytest.raises(MissingPower, match="linear layer"):
        Extractor(nn.Sequential(nn.Conv2d(1, 4, 8), nn.Flatten()), torch.zeros(2, 1, 8, 8))
    with pytest.raises(MissingPower, match="linear layer"):
        Extractor(
            nn.Sequential(nn.Flatten(), nn.Linear(64, 7), nn.Unflatten(1, (1, 7)), nn.Conv1d(1, 4, 7), nn.Flatten()),
            torch.zeros(2, 1, 8, 8),
        )
