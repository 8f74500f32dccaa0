"""Inversion, attribute inference, gradient leakage and reconstruction, on models whose answer is known."""

from __future__ import annotations

import datetime as dt

import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from torch import nn

from hauberk.attacks.attributes import Hidden
from hauberk.attacks.examining_attributes import examine_attributes
from hauberk.attacks.examining_gradients import examine_gradients, matched
from hauberk.attacks.examining_inversion import examine_inversion
from hauberk.attacks.examining_memorisation import examine_rows, examine_texts
from hauberk.attacks.privacy.analytic_gradient import AnalyticGradient
from hauberk.attacks.privacy.attribute_black_box import AttributeBlackBox
from hauberk.attacks.privacy.attribute_confidence import AttributeConfidence
from hauberk.attacks.privacy.attribute_tree import AttributeTree
from hauberk.attacks.privacy.gradient_inversion import GradientInversion
from hauberk.attacks.privacy.informed_reconstruction import InformedReconstruction
from hauberk.attacks.privacy.label_only_inversion import LabelOnlyInversion
from hauberk.attacks.privacy.mi_face import MIFace
from hauberk.core.errors import MissingPower
from hauberk.core.evidence import Measurement, Skipped
from hauberk.core.protocols import Split
from hauberk.core.provenance import Stamp
from hauberk.core.schema import Column, DatasetSpec, Schema
from hauberk.core.threat import MEMBERSHIP
from hauberk.numeric.gradients import gradients_of, labels_from
from hauberk.targets import from_sklearn, from_torch

STAMP = Stamp(clock=lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC), seed=0)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Data:
    def __init__(self, train, test, classes: int, layout: str, schema=None) -> None:
        self.train, self.test = (Split(x.numpy(), y.numpy()) for x, y in (train, test))
        self.spec = DatasetSpec(
            name="made",
            layout=layout,
            shape=tuple(train[0].shape[1:]),
            classes=tuple(str(index) for index in range(classes)),
            digest="",
            bounds=(0.0, 1.0),
            train=len(train[1]),
            test=len(test[1]),
            schema=schema,
        )


def heads(entries) -> dict[str, Measurement]:
    return {row.name: row for row in entries if isinstance(row, Measurement) and row.role == "headline"}


# --- inversion


@pytest.fixture(scope="module")
def shapes():
    """Images of two bars; the model compares with them."""
    bars = torch.full((2, 1, 8, 8), 0.2)
    bars[0, :, :, 2:4], bars[1, :, 5:7, :] = 0.9, 0.9
    y = torch.arange(120) % 2
    x = (bars[y] + 0.05 * torch.randn(120, 1, 8, 8, generator=rng())).clamp(0, 1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with torch.no_grad():
        net[1].weight.copy_((bars - bars.mean(0)).flatten(1))
        net[1].bias.zero_()
    return from_torch(net, bounds=(0, 1), shape=(1, 8, 8), classes=2), Data(
        (x[:80], y[:80]), (x[80:], y[80:]), 2, "chw"
    )


@pytest.mark.parametrize("attack", [MIFace(steps=60), LabelOnlyInversion(rounds=30)], ids=["mi_face", "label_only"])
def test_inversion_finds_what_the_class_looks_like(shapes, attack):
    target, data = shapes
    entries = list(examine_inversion(target, data, attack, MEMBERSHIP, stamp=STAMP))
    found = heads(entries)["inversion_similarity"]
    (control,) = [row for row in entries if row.name == "inversion_similarity" and row.role == "control"]
    if isinstance(attack, MIFace):
        assert found.value > control.value + 0.05
    else:
        assert found.value > 0.3
    assert entries == list(examine_inversion(target, data, attack, MEMBERSHIP, stamp=STAMP))


def test_inversion_stays_in_bounds_and_reaches_the_class(shapes):
    target, _ = shapes
    classes = torch.tensor([0, 1])
    found = MIFace(steps=40).invert(target, classes, torch.full((1, 8, 8), 0.5), rng())
    assert found.min() >= 0
    assert found.max() <= 1
    assert torch.equal(target.predict(found).argmax(1), classes)


# --- attribute inference


def table(n: int, seed: int, leak: float = 1.0):
    """Column 0 is hidden: it decides the class together with column 1; column 2 is noise."""
    gen = rng(seed)
    hidden = torch.randint(3, (n,), generator=gen).float()
    other, noise = torch.rand(n, generator=gen), torch.rand(n, generator=gen)
    y = ((leak * hidden + 3 * other + 0.6 * noise) > 2.7).long()
    return torch.stack((hidden, other, noise), 1), y


@pytest.fixture(scope="module")
def tabular():
    schema = Schema(columns=(Column(name="h", sensitive=True), Column(name="o"), Column(name="n")), label="y")
    return Data(table(500, 0), table(600, 1), 2, "row", schema)


@pytest.fixture(scope="module")
def forest(tabular):
    model = RandomForestClassifier(n_estimators=10, random_state=0).fit(*tabular.train)
    return from_sklearn(model, bounds=(0, 3))


class Rule:
    """A model that answers the hidden column itself in its confidence."""

    def __init__(self) -> None:
        from hauberk.core.protocols import TargetSpec

        self.spec = TargetSpec(name="rule", kind="test", shape=(3,), classes=2, bounds=(0.0, 3.0))

    def predict(self, x):
        return torch.stack((x[:, 0], torch.zeros(len(x))), 1)


@pytest.mark.parametrize(
    "attack", [AttributeBlackBox(), AttributeConfidence(), AttributeConfidence(prior=True), AttributeTree()]
)
def test_attribute_attacks_beat_chance_on_an_overfitted_forest(forest, tabular, attack):
    train = [torch.from_numpy(part) for part in tabular.train]
    known = [torch.from_numpy(part) for part in tabular.test]
    hidden = Hidden(0, (0.0, 1.0, 2.0), *train, *known)
    guesses = attack.infer(forest, hidden, rng())
    assert float((guesses == train[0][:, 0]).double().mean()) > 0.38
    assert torch.equal(guesses, attack.infer(forest, hidden, rng()))


def test_the_model_is_set_beside_the_same_learner_without_it(tabular):
    entries = list(examine_attributes(Rule(), tabular, AttributeBlackBox(), MEMBERSHIP, (0,), stamp=STAMP))
    found = heads(entries)
    assert found["attribute_inference_gain"].low > 0.2
    assert 'column "h"' in found["attribute_inference_gain"].note
    assert found["attribute_inference_member_gap"].low < 0 < found["attribute_inference_member_gap"].high
    nothing = list(examine_attributes(Rule(), tabular, AttributeBlackBox(), MEMBERSHIP, (2,), stamp=STAMP))
    gain = heads(nothing)["attribute_inference_gain"]
    assert gain.low <= 0.03, "a number the model does not answer is not gained"


def test_the_hidden_value_is_not_looked_at(tabular):
    x, y = (torch.from_numpy(part) for part in tabular.train)
    hidden = Hidden(0, (0.0, 1.0, 2.0), x, y, x, y)
    assert torch.equal(hidden.without(x), x[:, 1:])
    changed = Hidden(0, (0.0, 1.0, 2.0), hidden.guessed(0.0), y, x, y)
    first, second = (AttributeConfidence().infer(Rule(), one, rng()) for one in (hidden, changed))
    assert torch.equal(first, second)


def test_no_sensitive_column_is_said(tabular):
    (gap,) = examine_attributes(Rule(), tabular, AttributeBlackBox(), MEMBERSHIP, (), stamp=STAMP)
    assert isinstance(gap, Skipped)
    assert "sensitive" in gap.reason


# --- gradients


def dense() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.Sigmoid(), nn.Linear(12, 4))


@pytest.fixture(scope="module")
def federated():
    x, y = torch.rand(40, 1, 4, 4, generator=rng(5)), torch.arange(40) % 4
    target = from_torch(dense(), bounds=(0, 1), shape=(1, 4, 4), classes=4, mean=(0.3,), std=(0.5,))
    return target, Data((x[:20], y[:20]), (x[20:], y[20:]), 4, "chw")


def test_a_linear_layers_gradient_holds_its_input(federated):
    found = heads(examine_gradients(*federated, AnalyticGradient(), MEMBERSHIP, stamp=STAMP))
    assert found["gradient_leakage_recovered"].value == 1
    entries = list(examine_gradients(*federated, AnalyticGradient(), MEMBERSHIP, stamp=STAMP))
    (ratio,) = [row for row in entries if row.name == "gradient_leakage_psnr"]
    assert ratio.value > 60


@pytest.mark.parametrize(
    "attack", [GradientInversion(match="distance", steps=120), GradientInversion(steps=250, smooth=0.0)]
)
def test_a_search_rebuilds_one_example(federated, attack):
    found = heads(examine_gradients(*federated, attack, MEMBERSHIP, stamp=STAMP, clients=2))
    assert found["gradient_leakage_recovered"].value == 1


def test_noise_on_the_gradient_protects(federated):
    found = heads(examine_gradients(*federated, AnalyticGradient(), MEMBERSHIP, stamp=STAMP, noise=1.0))
    assert found["gradient_leakage_recovered"].value < 0.5


@pytest.mark.parametrize("labels", [[2], [0, 0, 3], [1, 2, 3]])
def test_labels_are_read_off_the_last_bias(labels):
    net = dense()
    x, y = torch.rand(len(labels), 1, 4, 4, generator=rng(1)), torch.tensor(labels)
    sent = gradients_of(net, nn.functional.cross_entropy(net(x), y))
    assert labels_from(net, sent, len(labels)).tolist() == labels


def test_a_network_without_a_linear_layer_is_refused(federated):
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 4)

        def forward(self, x):
            return self.conv(x).flatten(1)

    target = from_torch(Flat(), shape=(1, 4, 4), classes=4)
    (gap,) = examine_gradients(target, federated[1], AnalyticGradient(), MEMBERSHIP, stamp=STAMP)
    assert (gap.kind, "linear layer" in gap.reason) == ("power", True)
    conv = from_torch(
        nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(32, 4)), shape=(1, 4, 4), classes=4
    )
    (gap,) = examine_gradients(conv, federated[1], AnalyticGradient(), MEMBERSHIP, stamp=STAMP)
    assert "does not see the input" in gap.reason


def test_rebuilt_records_are_matched_whatever_their_order():
    true = torch.rand(3, 5, generator=rng())
    assert matched(true.flip(0), true, 1.0).min() > 100
    assert matched(true[:1].expand(3, 5), true, 1.0)[0] > 100


# --- reconstruction


def test_the_one_unknown_record_is_read_off_a_linear_model():
    x = torch.rand(60, 5, generator=rng(), dtype=torch.float64)
    y = (x[:, 0] + 0.5 * torch.randn(60, generator=rng(1), dtype=torch.float64) > 0.5).long()
    net = nn.Linear(5, 2).double()
    penalty = 0.1
    optimizer = torch.optim.LBFGS(net.parameters(), max_iter=2000, tolerance_grad=1e-12, tolerance_change=0.0)

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y, reduction="sum") + penalty / 2 * net.weight.square().sum()
        loss.backward()
        return loss

    for _ in range(5):
        optimizer.step(closure)
    found, label = InformedReconstruction(penalty=penalty).complete(net, x[1:], y[1:], (0.0, 1.0))
    assert torch.allclose(found.double(), x[0], atol=1e-2)
    assert label == int(y[0])
    with pytest.raises(MissingPower, match="linear"):
        InformedReconstruction().complete(dense(), torch.rand(2, 16), y[:2], (0.0, 1.0))


# --- memorisation


def test_copied_rows_are_found_and_fresh_ones_are_not():
    train, held = torch.rand(300, 6, generator=rng(1)), torch.rand(300, 6, generator=rng(2))
    fresh = torch.rand(100, 6, generator=rng(3))
    copied = torch.cat((train[5:15], train[20:30] + 1e-3, fresh))
    entries = list(examine_rows("g", copied, train, held, MEMBERSHIP, stamp=STAMP))
    found = heads(entries)
    assert found["memorised_exact"].value == pytest.approx(10 / 120)
    assert found["memorised_near"].value >= 20 / 120
    assert "0 ~ 5" in found["memorised_exact"].note
    clean = heads(examine_rows("g", fresh, train, held, MEMBERSHIP, stamp=STAMP))
    assert clean["memorised_near"].low < 0.03
    assert clean["memorisation_auc"].low < 0.5 < clean["memorisation_auc"].high
    (gap,) = examine_rows("g", fresh, train, held[:5], MEMBERSHIP, stamp=STAMP)
    assert "too few" in gap.reason


def test_copied_texts_are_found_and_common_phrases_are_not():
    train = ["the quick brown fox jumps over the lazy dog near the old river bank today", "all else is different here"]
    made = [
        "The quick brown fox jumps over the lazy dog near the old river bank, today!",
        train[0],
        "an entirely new sentence that shares no long run of words with anything seen before",
    ]
    found = heads(examine_texts("g", made, train, made[2:], MEMBERSHIP, stamp=STAMP))
    assert found["memorised_exact"].value == pytest.approx(1 / 3)
    assert found["memorised_near"].value == pytest.approx(2 / 3)
    assert "1 ~ 0" in found["memorised_exact"].note
    assert train[0] not in str(found), "records are named by index, never by value"
