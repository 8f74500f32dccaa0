"""The certificate against poison: what it says holds against rows really changed, and what it cannot prove is said."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from hauberk.attacks.certifying_poisoning import ALONG, examine_partitions
from hauberk.attacks.partitioned_training import Partitions
from hauberk.attacks.poisoning.badnets import BadNets
from hauberk.attacks.poisoning.gradient_matching import GradientMatching
from hauberk.attacks.poisoning.label_flip import LabelFlip
from hauberk.attacks.recording import Samples, samples
from hauberk.core.errors import UsageError
from hauberk.core.evidence import Measurement, Skipped
from hauberk.core.progress import Silent
from hauberk.core.project import ModelSection
from hauberk.core.threat import Threat
from hauberk.numeric.partitions import buckets, elected, proven
from hauberk.targets.hints import Hints
from hauberk.targets.scikit import Scikit


def threat(rate: float | None = 0.003) -> Threat:
    return Threat(name="t", family="poisoning", poison_rate=rate, target_class=3)


@pytest.fixture(scope="module")
def linear(digits):
    model = LogisticRegression(max_iter=300).fit(digits.train.x.reshape(len(digits.train.x), -1), digits.train.y)
    section = ModelSection(source="linear", bounds=(0.0, 1.0), shape=(1, 8, 8))
    return Scikit.open(section, Path(), Hints(made=model))


@pytest.fixture(scope="module")
def entries(linear, digits, stamp):
    attacks = (BadNets(), LabelFlip(), GradientMatching())
    return list(examine_partitions(linear, digits, attacks, threat(), parts=25, stamp=stamp))


def figures(entries, role="headline"):
    return [entry for entry in entries if isinstance(entry, Measurement) and entry.role == role]


def test_the_proof_lies_below_the_vote_and_below_what_poison_leaves(entries):
    found = {row.name: row for row in figures(entries)}
    proof, vote = found["poison_proven_accuracy"], found["partitioned_accuracy"]
    assert 0.2 < proof.value < vote.value
    assert vote.value > 0.7
    assert proof.low < proof.value < proof.high
    under = [row for row in figures(entries) if row.name == "partitioned_accuracy_poisoned"]
    assert len(under) == 2
    assert all(row.value >= proof.value for row in under)
    assert all(row.indicators[0].passed for row in under)
    assert "partitioned_backdoor_success" in found


def test_the_curve_falls_from_the_vote_to_nothing(entries):
    curve = [row for row in figures(entries, "curve") if row.along == ALONG]
    found = {row.name: row for row in figures(entries)}
    assert curve[0].at == 0
    assert curve[0].value == found["partitioned_accuracy"].value
    assert curve[-1].value == 0
    assert all(one.value >= two.value for one, two in itertools.pairwise(curve))


def test_more_rows_than_any_vote_withstands_are_named(linear, digits, stamp):
    entries = list(examine_partitions(linear, digits, (LabelFlip(),), threat(0.05), parts=5, stamp=stamp))
    (proof,) = (row for row in figures(entries) if row.name == "poison_proven_accuracy")
    assert proof.value == 0
    assert "at most 2" in proof.note
    (after,) = (row for row in figures(entries) if row.name == "partitioned_accuracy_poisoned")
    assert not after.indicators  # a check of nothing would pass whatever happened


def test_an_attack_that_needs_a_model_is_said_to_be_left_out(entries):
    gaps = [entry for entry in entries if isinstance(entry, Skipped)]
    assert [gap.subject.endswith("poisoning.gradient_matching") for gap in gaps] == [True]


def test_learners_without_a_changed_row_stay_bit_for_bit(linear, digits):
    """The premise of the proof: put one row in, take one out, relabel one; only their own learners may differ."""
    cut, train = Partitions(linear, 10, 2, 0), samples(digits.train)
    x, y = train.x[:400], train.y[:400].clone()
    inputs = {"test": torch.from_numpy(digits.test.x[:60])}
    before = cut.votes(Samples(x, y), inputs, Silent())["test"]
    y[7] = (y[7] + 1) % 10
    kept = torch.arange(400) != 30
    mixed = torch.randperm(400, generator=torch.Generator().manual_seed(0))
    new = Samples(torch.cat([x[kept], train.x[500:501]])[mixed], torch.cat([y[kept], train.y[500:501]])[mixed])
    after = cut.votes(new, inputs, Silent())["test"]
    touched = buckets(torch.stack([x[7], x[30], train.x[500]]), 20).unique()
    may = torch.zeros(20, dtype=torch.bool)
    may[cut.spread[touched].flatten()] = True
    assert torch.equal(before[:, ~may], after[:, ~may])
    assert not torch.equal(before, after)
    held = proven(before, cut.spread, 10)
    same = elected(before, 10) == elected(after, 10)
    assert bool(same[held >= 3].all())


def test_shares_of_one_class_or_none_answer_it(linear, digits):
    cut = Partitions(linear, 4, 1, 0)
    rows = Samples(torch.from_numpy(digits.train.x[:2]), torch.tensor([5, 5]))
    votes = cut.votes(rows, {"test": torch.from_numpy(digits.test.x[:3])}, Silent())["test"]
    assert set(votes.flatten().tolist()) <= {0, 5}
    assert 5 in votes


@pytest.mark.parametrize(("parts", "degree"), [(1, 1), (5, 0)])
def test_faulty_partitions_are_refused(linear, digits, stamp, parts, degree):
    with pytest.raises(UsageError, match="partitions"):
        list(examine_partitions(linear, digits, (), threat(), parts=parts, degree=degree, stamp=stamp))


def test_more_partitions_than_rows_are_skipped(linear, digits, stamp):
    (gap,) = examine_partitions(linear, digits, (), threat(), parts=900, stamp=stamp)
    assert isinstance(gap, Skipped)
    assert "900 partitions" in gap.reason


def test_a_model_that_cannot_be_trained_is_skipped(linear, digits, stamp):
    class Fixed:
        spec = linear.spec

        def predict(self, x):
            return linear.predict(x)

    (gap,) = examine_partitions(Fixed(), digits, (), threat(), parts=5, stamp=stamp)
    assert isinstance(gap, Skipped)
    assert gap.kind == "power"


def test_a_threat_without_rate_is_refused(linear, digits, stamp):
    with pytest.raises(UsageError, match="poison rate"):
        list(examine_partitions(linear, digits, (), threat(None), parts=5, stamp=stamp))
