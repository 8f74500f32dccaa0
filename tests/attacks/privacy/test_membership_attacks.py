"""Every membership attack: the same seed gives the same score, inputs stay, and what each is for shows."""

from __future__ import annotations

import math

import pytest
import torch

from hauberk.attacks.examining_sequences import SequenceAttack
from hauberk.attacks.privacy.attack_p import AttackP
from hauberk.attacks.privacy.attack_r import AttackR
from hauberk.attacks.privacy.boundary_distance import BoundaryDistance
from hauberk.attacks.privacy.confidence_threshold import ConfidenceThreshold
from hauberk.attacks.privacy.difficulty_calibration import DifficultyCalibration
from hauberk.attacks.privacy.entropy_threshold import EntropyThreshold
from hauberk.attacks.privacy.label_noise import LabelNoise
from hauberk.attacks.privacy.lira import LiRA
from hauberk.attacks.privacy.loss_threshold import LossThreshold
from hauberk.attacks.privacy.modified_entropy import ModifiedEntropy
from hauberk.attacks.privacy.quantile_regression import QuantileRegression
from hauberk.attacks.privacy.rmia import RMIA
from hauberk.attacks.privacy.shadow_classifier import ShadowClassifier
from hauberk.attacks.references import halves
from hauberk.core import plugins
from hauberk.core.errors import MissingPower
from hauberk.core.protocols import MembershipAttack, ReferenceAttack, References
from hauberk.numeric.membership import log_odds
from hauberk.numeric.roc import area
from hauberk.targets import from_torch

WITH_MODELS = [AttackR(), DifficultyCalibration(), LiRA(), LiRA(mode="offline"), RMIA(), RMIA(mode="offline")]


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def auc(score: torch.Tensor, member: torch.Tensor) -> float:
    return area(score[member], score[~member]).value


def compared(attack, world, references=None) -> torch.Tensor:
    return attack.compare(world.target, world.x, world.y, references or world.references, rng())


def test_the_catalogue_has_only_attacks_of_known_kinds():
    found = [entry for entry in plugins.catalog("attacks") if entry.name.startswith("privacy.")]
    assert len(found) >= 13
    for entry in found:
        if entry.card.title.lower().find("membership") >= 0:
            attack = plugins.build("attacks", entry.name)
            assert isinstance(attack, MembershipAttack | ReferenceAttack | SequenceAttack), entry.name
        assert entry.card.paper
        assert entry.card.threats


@pytest.mark.parametrize("attack", WITH_MODELS, ids=repr)
def test_reference_models_beat_the_loss(world, attack):
    base = auc(LossThreshold().score(world.target, world.x, world.y, rng()), world.member)
    score = compared(attack, world)
    assert auc(score, world.member) > base + 0.1
    assert torch.equal(score, compared(attack, world))


@pytest.mark.parametrize("attack", [DifficultyCalibration(), RMIA(), RMIA(mode="offline"), LiRA(mode="offline")])
def test_one_reference_model_is_enough_for_what_it_was_not_trained_on(world, attack):
    none = References(
        world.references.models[:1], torch.zeros(1, len(world.y), dtype=torch.bool), world.x[:0], world.y[:0]
    )
    base = auc(LossThreshold().score(world.target, world.x, world.y, rng()), world.member)
    assert auc(compared(attack, world, none), world.member) > base + 0.05


@pytest.mark.parametrize("attack", [*WITH_MODELS, ShadowClassifier()], ids=repr)
def test_probabilities_and_logits_of_one_model_score_alike(make_world, attack):
    plain, soft = make_world(seed=4), make_world(seed=4, answers="probabilities")
    first, second = compared(attack, plain), compared(attack, soft)
    assert auc(first, plain.member) == pytest.approx(auc(second, soft.member), abs=0.01)


def test_every_record_in_every_model_is_refused(world):
    everywhere = world.references._replace(member=torch.ones_like(world.references.member))
    for attack in WITH_MODELS:
        with pytest.raises(MissingPower, match="outside of 0 reference models"):
            compared(attack, world, everywhere)
    with pytest.raises(MissingPower):
        compared(LiRA(mode="online"), world, everywhere._replace(member=~everywhere.member))


def test_lira_is_the_log_ratio_of_two_normals(lookup):
    def model(odds: float):
        return lookup(torch.tensor([[odds, 0.0]]).double())

    x, y = torch.zeros(1, 1), torch.zeros(1, dtype=torch.long)
    models = tuple(model(value) for value in (3.0, 5.0, 0.0, 2.0))
    member = torch.tensor([[True], [True], [False], [False]])
    found = LiRA(mode="online", variance="record").compare(
        model(4.0), x, y, References(models, member, x[:0], y[:0]), rng()
    )
    inside, outside = torch.distributions.Normal(4.0, math.sqrt(2)), torch.distributions.Normal(1.0, math.sqrt(2))
    wanted = inside.log_prob(torch.tensor(4.0)) - outside.log_prob(torch.tensor(4.0))
    assert float(found) == pytest.approx(float(wanted), rel=1e-6)


def test_offline_lira_of_one_variance_orders_as_difficulty_calibration(world):
    one, other = compared(LiRA(mode="offline"), world), compared(DifficultyCalibration(), world)
    assert torch.equal(one.argsort(), other.argsort())


def test_rmia_is_the_share_it_dominates(world):
    score = compared(RMIA(temperature=1.0), world)
    odds = torch.stack([log_odds(m.scores, world.y, "logits") for m in world.references.models]).sigmoid()
    inside = world.references.member
    evidence = ((odds * inside).sum(0) / inside.sum(0) + (odds * ~inside).sum(0) / (~inside).sum(0)) / 2
    ratio = log_odds(world.target.scores, world.y, "logits").sigmoid() / evidence
    wanted = (ratio[:, None] >= ratio[None, :]).double().mean(1)
    assert torch.allclose(score, wanted, atol=3 / len(wanted))
    assert len(torch.unique(score)) == len(torch.unique(ratio))


def test_views_are_asked_about_too(lookup):
    seen = []

    class Watching:
        spec = lookup(torch.zeros(1, 2)).spec

        def predict(self, x):
            seen.append(len(x))
            return x.flatten(1)[:, :2]

    x, y = torch.rand(6, 1, 4, 4), torch.zeros(6, dtype=torch.long)
    references = References((Watching(),), torch.zeros(1, 6, dtype=torch.bool), x[:0], y[:0])
    for augment, views in (("none", 1), ("mirror", 2), ("shift", 5)):
        seen.clear()
        LiRA(augment=augment).compare(Watching(), x, y, references, rng())
        assert sum(seen) == 2 * views * 6


@pytest.mark.parametrize("learner", ["logistic", "forest", "neighbours", "network"])
def test_shadow_classifiers_learn_what_a_threshold_knows(make_world, learner):
    world = make_world(lift=4.0, seed=2)
    base = auc(LossThreshold().score(world.target, world.x, world.y, rng()), world.member)
    score = compared(ShadowClassifier(learner=learner), world, world.few(4))
    assert auc(score, world.member) > base - 0.04
    assert torch.equal(score, compared(ShadowClassifier(learner=learner), world, world.few(4)))


def test_thresholds_of_each_class_help_where_classes_differ(lookup):
    n = 2000
    gen = torch.Generator().manual_seed(1)
    y = torch.randint(2, (2 * n,), generator=gen)
    member = torch.arange(2 * n) < n
    odds = 6.0 * y + 1.0 * member + torch.randn(2 * n, generator=gen)
    logits = torch.zeros(2 * n, 2)
    logits[torch.arange(2 * n), y] = odds
    x = torch.arange(2 * n).float()[:, None]
    target, audited = lookup(logits), torch.arange(2 * n) < 3 * n // 2
    known = References((), torch.zeros(0, int(audited.sum())).bool(), x[~audited], y[~audited])
    score = AttackP().compare(target, x[audited], y[audited], known, rng())
    together = AttackP(per_class=False).compare(target, x[audited], y[audited], known, rng())
    assert auc(score, member[audited]) > auc(together, member[audited]) + 0.1
    plain = ConfidenceThreshold().score(target, x[audited], y[audited], rng())
    assert auc(together, member[audited]) == pytest.approx(auc(plain, member[audited]), abs=1e-3)


def test_quantile_regression_learns_difficulty_from_the_record(lookup):
    n = 3000
    gen = torch.Generator().manual_seed(3)
    hardness = torch.randn(n, generator=gen)
    member = torch.arange(n) < n // 3
    y = torch.zeros(n, dtype=torch.long)
    logits = torch.stack((3 * hardness + member + 0.5 * torch.randn(n, generator=gen), torch.zeros(n)), 1)
    x = torch.stack((torch.arange(n).float(), hardness), 1)
    audited = torch.arange(n) < 2 * n // 3
    target = lookup(logits)
    known = References((), torch.zeros(0, int(audited.sum())).bool(), x[~audited], y[~audited])
    score = QuantileRegression(steps=1200).compare(target, x[audited], y[audited], known, rng())
    plain = ConfidenceThreshold().score(target, x[audited], y[audited], rng())
    assert auc(score, member[audited]) > auc(plain, member[audited]) + 0.1
    few = known._replace(x=known.x[:9], y=known.y[:9])
    with pytest.raises(MissingPower, match="too few"):
        QuantileRegression().compare(target, x[audited], y[audited], few, rng())


def test_entropies_know_what_they_are_named_for(lookup):
    logits = torch.tensor([[9.0, 0.0, 0.0], [1.0, 0.9, 0.8], [9.0, 0.0, 0.0]])
    y = torch.tensor([0, 0, 1])
    x, target = torch.arange(3.0)[:, None], lookup(logits)
    entropy = EntropyThreshold().score(target, x, y, rng())
    assert entropy[0] == entropy[2]
    assert entropy[0] > entropy[1]
    modified = ModifiedEntropy().score(target, x, y, rng())
    assert modified[0] > modified[1] > modified[2]
    margins = ConfidenceThreshold(margin=True).score(target, x, y, rng())
    assert margins.tolist() == pytest.approx([9.0, 0.1, -9.0], abs=1e-6)


class Line(torch.nn.Module):
    """Class 1 above x0 = 0.5."""

    def forward(self, x):
        return torch.stack((0.5 - x[:, 0], x[:, 0] - 0.5), 1)


def test_label_only_attacks_know_the_distance():
    target = from_torch(Line(), bounds=(0, 1), shape=(2,), classes=2)
    x = torch.tensor([[0.55, 0.5], [0.7, 0.5], [0.95, 0.5], [0.3, 0.5], [0.9, 0.2]])
    y = torch.tensor([1, 1, 1, 0, 0])
    far = BoundaryDistance(queries=400).score(target, x, y, rng())
    assert far.tolist() == pytest.approx([0.05, 0.2, 0.45, 0.2, 0.0], abs=0.03)
    noise = LabelNoise(draws=40, levels=(0.1, 0.3)).score(target, x, y, rng())
    assert noise[0] < noise[1] < noise[2]
    assert noise[4] < noise.min() + 1e-9
    flips = LabelNoise().score(target, torch.ones(2, 2), torch.tensor([1, 1]), rng())
    assert (flips <= 1).all()


def test_halves_name_who_was_in():
    assert halves(10, 2, 0).sum() == 10
