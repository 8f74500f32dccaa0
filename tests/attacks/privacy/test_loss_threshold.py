"""Membership inference: high on an overfitted model, near guessing on one that generalises, and honest about both."""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from hauberk.attacks.examining_privacy import examine_privacy
from hauberk.attacks.privacy.loss_threshold import LossThreshold
from hauberk.core.encoding import canonical, decode_entry
from hauberk.core.errors import TargetOutput
from hauberk.core.evidence import Measurement, Skipped
from hauberk.core.protocols import Split
from hauberk.core.threat import MEMBERSHIP

RNG = torch.Generator()


class Table:
    """A target that looks its scores up: the input is the row's index."""

    def __init__(self, scores: torch.Tensor, spec) -> None:
        self._scores, self.spec = scores, spec

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        return self._scores[x[:, 0].long()]


def headline(entries) -> dict[str, Measurement]:
    return {entry.name: entry for entry in entries if isinstance(entry, Measurement) and entry.role == "headline"}


def lookup(scores: list[list[float]], answers: str, table_net) -> Table:
    spec = msgspec.structs.replace(table_net.spec, answers=answers, classes=len(scores[0]))
    return Table(torch.tensor(scores), spec)


def test_scores_are_minus_the_cross_entropy(table_net) -> None:
    logits = [[0.3, -1.0, 2.0], [5.0, 0.0, 0.0], [-3.0, 1.0, 1.0]]
    x, y = torch.arange(3.0)[:, None], torch.tensor([2, 0, 0])
    wanted = -nn.functional.cross_entropy(torch.tensor(logits).double(), y, reduction="none")
    found = LossThreshold(batch=2).score(lookup(logits, "logits", table_net), x, y, RNG)
    assert found.tolist() == pytest.approx(wanted.tolist(), rel=1e-6)
    probabilities = torch.tensor(logits).softmax(1).tolist()
    found = LossThreshold().score(lookup(probabilities, "probabilities", table_net), x, y, RNG)
    assert found.tolist() == pytest.approx(wanted.tolist(), rel=1e-5)


def test_very_sure_answers_are_still_told_apart(table_net) -> None:
    target = lookup([[30.0, 0.0], [60.0, 0.0], [200.0, 0.0], [300.0, 0.0]], "logits", table_net)
    found = LossThreshold().score(target, torch.arange(4.0)[:, None], torch.zeros(4, dtype=torch.long), RNG)
    assert found[0] < found[1] < found[2] < found[3] <= 0
    assert float(found[1]) == pytest.approx(-math.exp(-60))


def test_a_probability_of_zero_is_a_large_finite_loss(table_net) -> None:
    target = lookup([[0.0, 1.0], [1.0, 0.0]], "probabilities", table_net)
    found = LossThreshold().score(target, torch.arange(2.0)[:, None], torch.zeros(2, dtype=torch.long), RNG)
    assert -1000 < float(found[0]) < -100
    assert float(found[1]) == pytest.approx(0.0, abs=1e-200)


@pytest.fixture(scope="module")
def noisy(digits):
    """Half of the training labels are wrong, so that only memory can fit them."""
    y = digits.train.y.copy()
    wrong = np.random.default_rng(1).permutation(len(y))[: len(y) // 2]
    y[wrong] = (y[wrong] + 1 + np.random.default_rng(2).integers(0, 9, len(wrong))) % 10
    z = digits.test.y.copy()
    wrong = np.random.default_rng(3).permutation(len(z))[: len(z) // 2]
    z[wrong] = (z[wrong] + 1 + np.random.default_rng(4).integers(0, 9, len(wrong))) % 10
    return type(digits)(Split(digits.train.x, y), Split(digits.test.x, z), digits.spec)


def test_an_overfitted_model_gives_its_members_away(noisy, make_net, stamp) -> None:
    def wide() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 10))

    found = headline(
        examine_privacy(make_net(noisy, wide, steps=1500), noisy, LossThreshold(), MEMBERSHIP, stamp=stamp)
    )
    assert found["membership_auc"].low > 0.75
    assert found["membership_advantage"].low > 0.3
    assert found["membership_auc"].indicators[0].passed
    assert found["membership_auc"].indicators[1].passed
    assert found["membership_tpr_at_1pct_fpr"].high < 1


def test_a_model_that_generalises_does_not(digits, digits_net, stamp) -> None:
    entries = list(examine_privacy(digits_net, digits, LossThreshold(), MEMBERSHIP, stamp=stamp, seed=2))
    found = headline(entries)
    auc = found["membership_auc"]
    assert abs(auc.value - 0.5) < 0.06
    assert auc.low < 0.53
    assert (auc.method, auc.n, auc.population, auc.better) == ("delong", 1594, 1594, "lower")
    assert found["membership_tpr_at_1pct_fpr"].value < 0.04
    assert found["membership_tpr_at_1pct_fpr"].low <= 0.01
    assert digits_net.asked == 2 * 1594  # one query a sample for the attack, one for the accuracies
    assert all(decode_entry(canonical(entry)) == entry for entry in entries)
    skipped = [entry for entry in entries if isinstance(entry, Skipped)]
    assert [needed in entry.reason for entry, needed in zip(skipped, ("1000", "10000"), strict=True)] == [True, True]
    points = [entry for entry in entries if isinstance(entry, Measurement) and entry.role == "curve"]
    assert [point.at for point in points] == sorted(point.at for point in points)
    assert all(point.at * 797 >= 1 for point in points)
    assert all(a.value <= b.value for a, b in pairwise(points))


def test_the_same_seed_gives_the_same_evidence(table, table_net, stamp) -> None:
    first, second = (
        list(examine_privacy(table_net, table, LossThreshold(), MEMBERSHIP, stamp=stamp, seed=4)) for _ in range(2)
    )
    assert first == second


def test_a_query_budget_is_kept(table, table_net, stamp) -> None:
    threat = msgspec.structs.replace(MEMBERSHIP, queries=101)
    asked: list[int] = []

    class Counting(LossThreshold):
        def score(self, target, x, y, rng):
            asked.append(len(x))
            return super().score(target, x, y, rng)

    found = headline(examine_privacy(table_net, table, Counting(), threat, stamp=stamp))
    assert asked == [50, 50]
    assert found["membership_auc"].n == 100
    assert found["membership_auc"].population == 2 * 219


def test_labels_only_is_the_gap_attack_and_says_so(table, make_net, stamp) -> None:
    def big() -> nn.Module:
        return nn.Sequential(nn.Linear(30, 256), nn.ReLU(), nn.Linear(256, 2))

    entries = list(examine_privacy(make_net(table, big, "labels"), table, LossThreshold(), MEMBERSHIP, stamp=stamp))
    found = headline(entries)
    assert set(found) == {"membership_auc", "membership_advantage", "membership_balanced_accuracy"}
    assert "gap attack" in found["membership_auc"].note
    right = {entry.name: entry.value for entry in entries if entry.name.endswith("accuracy")}
    gap = right["member_accuracy"] - right["non_member_accuracy"]
    # The accuracies are taken on the very same samples, so the identities are exact.
    assert found["membership_advantage"].value == pytest.approx(gap)
    assert found["membership_auc"].value == pytest.approx(0.5 + gap / 2)


def test_a_shift_between_train_and_test_is_called_out(digits, digits_net, stamp) -> None:
    dim = Split(digits.test.x * 0.6, digits.test.y)
    shifted = type(digits)(digits.train, dim, digits.spec)
    auc = headline(examine_privacy(digits_net, shifted, LossThreshold(), MEMBERSHIP, stamp=stamp))["membership_auc"]
    assert auc.indicators[1].passed is False
    assert "not memory" in auc.indicators[1].detail


def test_no_training_data_or_a_broken_target_is_skipped(table, table_net, stamp) -> None:
    empty = type(table)(Split(table.train.x[:0], table.train.y[:0]), table.test, table.spec)
    entries = list(examine_privacy(table_net, empty, LossThreshold(), MEMBERSHIP, stamp=stamp))
    assert [(type(entry), entry.kind) for entry in entries] == [(Skipped, "scope")]

    class Broken:
        spec = table_net.spec

        def predict(self, x):
            raise TargetOutput("the model answered NaN", where="batch 0", fix="look at its weights")

    entries = list(examine_privacy(Broken(), table, LossThreshold(), MEMBERSHIP, stamp=stamp))
    assert [(type(entry), entry.kind) for entry in entries] == [(Skipped, "error")]
    assert (entries[0].reason, entries[0].fix) == ("batch 0: the model answered NaN", "look at its weights")


def test_an_attacker_who_is_told_labels_only_gets_labels_only(table, table_net, stamp) -> None:
    threat = msgspec.structs.replace(MEMBERSHIP, knowledge="decision")
    found = headline(examine_privacy(table_net, table, LossThreshold(), threat, stamp=stamp))
    assert "gap attack" in found["membership_auc"].note
    assert set(found) == {"membership_auc", "membership_advantage", "membership_balanced_accuracy"}
