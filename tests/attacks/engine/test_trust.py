from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from hauberk.attacks.control import breakable, train
from hauberk.attacks.engine import Plan, examine
from hauberk.attacks.evasion.pgd import PGD
from hauberk.attacks.landscape import SLICE
from hauberk.attacks.second_opinions import PACES, TRANSFER
from hauberk.attacks.trust import CLIMBS, CONTROL
from hauberk.core.errors import TargetError
from hauberk.core.evidence import Measurement

D = 12
WAYS = ("margin_towards_attack", "margin_towards_noise")


@pytest.fixture(scope="module")
def blobs(world):
    """Three clouds and the model that knows their centers: easy, smooth, breakable at a radius of about 0.4."""
    rng = torch.Generator().manual_seed(5)
    centers = torch.randn(3, D, generator=rng)
    y = torch.randint(0, 3, (160,), generator=rng)
    x = (centers[y] + 0.4 * torch.randn(160, D, generator=rng)).clamp(-4, 4)

    def scores(x):
        return -(x.unsqueeze(1) - centers).square().sum(2)

    return world.data_of(x, y), scores


def checks(target, data, threat, stamp, **more):
    plan = Plan(**{"attacks": (PGD(steps=10, pace=0.25),), "exhibits": 0, "chunk": 80, **more})
    rows = list(examine(target, data, threat, plan, stamp=stamp))
    headline = next(row for row in rows if isinstance(row, Measurement) and row.role == "headline")
    return headline, {row.name: row for row in headline.indicators}, rows


def failed(found):
    return {name for name, row in found.items() if row.passed is False}


def test_an_honest_model_passes_every_check(world, stamp, blobs):
    data, scores = blobs
    headline, found, rows = checks(world.Smooth(scores, world.spec_of(3)), data, world.threat(0.3), stamp)
    assert failed(found) == set()
    assert len(found) == 11
    assert "trusted" not in headline.note
    control = [row for row in rows if isinstance(row, Measurement) and row.role == "control"]
    assert len(control) == 1
    assert "weak control" in control[0].subject
    assert control[0].value < 0.5


def test_a_model_that_rounds_its_input_hides_its_gradients(world, stamp, blobs):
    data, scores = blobs

    class Rounded(world.Smooth):
        def forward(self, x):
            return scores((x * 4).round() / 4 + 0 * x.sum())

    target = Rounded(lambda x: scores((x * 4).round() / 4), world.spec_of(3))
    headline, found, _ = checks(target, data, world.threat(1.0), stamp)
    assert "gradients are there" in failed(found)
    assert "no black-box attack does better" in failed(found)
    assert "without a bound nothing is robust" in failed(found)
    assert headline.value > 0.9, "the white-box attack sees nothing"
    assert "an upper bound that should not be trusted" in headline.note
    assert "Square" in headline.note


def test_logits_times_ten_thousand_saturate(world, stamp, blobs):
    data, scores = blobs
    target = world.Smooth(lambda x: scores(x) * 1e4, world.spec_of(3))
    headline, found, _ = checks(target, data, world.threat(0.5), stamp)
    assert "scores are not saturated" in failed(found)
    assert "not be trusted" in headline.note


def test_probabilities_that_are_all_one_saturate_for_a_score_attack(world, stamp, blobs):
    data, scores = blobs
    target = world.Scores(lambda x: (scores(x) * 1e4).softmax(1), world.spec_of(3, "probabilities"))
    _, found, _ = checks(target, data, world.threat(0.1, knowledge="score", queries=60), stamp, attacks=())
    assert "scores are not saturated" in failed(found)


def test_a_random_model_is_told(world, stamp, blobs):
    data, scores = blobs
    noise = torch.Generator().manual_seed(1)
    target = world.Smooth(lambda x: scores(x) + torch.randn(len(x), 3, generator=noise), world.spec_of(3))
    _, found, _ = checks(target, data, world.threat(0.1), stamp)
    assert "the model answers the same twice" in failed(found)
    assert found["an answer does not depend on the batch"].passed is None


def test_a_model_that_looks_at_its_batch_is_told(world, stamp, blobs):
    data, scores = blobs
    target = world.Smooth(lambda x: scores(x - 0.3 * x.mean(0, keepdim=True)), world.spec_of(3))
    _, found, _ = checks(target, data, world.threat(0.1), stamp)
    assert "an answer does not depend on the batch" in failed(found)


def test_an_attack_that_does_nothing_is_found_out(world, stamp, blobs):
    data, scores = blobs
    target = world.Smooth(scores, world.spec_of(3))
    headline, found, _ = checks(target, data, world.threat(2.0), stamp, attacks=(world.Idle(),))
    assert {
        "without a bound nothing is robust",
        "random noise does no better",
        "the attack breaks a weak control model",
    } <= failed(found)
    assert headline.value > 0.9


def test_an_attack_with_too_few_steps_is_found_out(world, stamp, blobs):
    data, scores = blobs
    target = world.Smooth(scores, world.spec_of(3))
    weak = PGD(steps=2, pace=0.2, random_start=False)
    _, found, _ = checks(target, data, world.threat(0.9), stamp, attacks=(weak,))
    assert "more steps change nothing" in failed(found)


def test_a_check_that_cannot_be_made_says_so_and_the_rest_goes_on(world, stamp, blobs):
    data, scores = blobs
    target = world.Smooth(scores, world.spec_of(3))
    plan = Plan(attacks=(PGD(steps=5),), exhibits=0, chunk=128)
    running = examine(target, data, world.threat(0.2), plan, stamp=stamp)
    for _ in range(2):
        next(running)  # both chunks are done: 160 samples by 128

    def alone(x):
        if len(x) == 1:
            raise TargetError("no single inputs, please")
        return scores(x)

    target.function = alone
    headline = next(row for row in running if isinstance(row, Measurement) and row.role == "headline")
    found = {row.name: row for row in headline.indicators}
    assert found["an answer does not depend on the batch"].passed is None
    assert "no single inputs" in found["an answer does not depend on the batch"].detail
    assert found["gradients are there"].passed is True


def test_what_is_known_to_be_breakable_is(world, blobs):
    data, _ = blobs
    control = train(data, world.spec_of(3))
    x, y = torch.from_numpy(data.test.x), torch.from_numpy(data.test.y)
    right = control.predict(x).argmax(1) == y
    assert float(right.float().mean()) > 0.9
    x, y = x[right], y[right]
    counts = [int(breakable(control, x, y, world.threat(radius)).sum()) for radius in (0.001, 0.3, 1.0, 8.0)]
    assert counts[0] <= 2
    assert counts == sorted(counts)
    assert counts[-1] == len(x)
    # The exact linf radius of a linear model without a box: its margin over the 1-norm of the difference of weights.
    logits, w = control.forward(x), control.weight
    exact = torch.stack(
        [
            torch.where(
                y == j, torch.inf, (logits.gather(1, y[:, None])[:, 0] - logits[:, j]) / (w[y] - w[j]).abs().sum(1)
            )
            for j in range(3)
        ]
    ).amin(0)
    inside = (x.abs() < 3).all(1)  # where the box does not bind at this radius
    known = breakable(control, x, y, world.threat(0.4))
    assert torch.equal(known[inside], (exact < 0.4)[inside])


def test_the_dear_checks_are_made_in_the_larger_profiles_and_pass_on_an_honest_model(world, stamp, blobs):
    data, scores = blobs
    _, quick, _ = checks(world.Smooth(scores, world.spec_of(3)), data, world.threat(0.3), stamp)
    target = world.Smooth(scores, world.spec_of(3))
    _, found, rows = checks(target, data, world.threat(0.3), stamp, profile="standard")
    assert set(found) - set(quick) == {PACES, TRANSFER, SLICE}
    assert failed(found) == set()
    ways = {name: [row.value for row in rows if getattr(row, "name", "") == name] for name in WAYS}
    assert ways[WAYS[0]][0] == ways[WAYS[1]][0] > 0, "both ways begin at the clean input"
    assert ways[WAYS[0]] == sorted(ways[WAYS[0]], reverse=True), "an honest slope falls all the way"
    assert ways[WAYS[0]][8] < ways[WAYS[1]][8], "and faster than a random one"
    assert found[TRANSFER].passed and "agrees on" in found[TRANSFER].detail


def test_a_copy_gives_away_a_model_whose_gradients_lead_nowhere(world, stamp, blobs):
    data, scores = blobs

    class Astray(world.Smooth):
        def forward(self, x):
            return scores(x.detach()) + 0.01 * (
                torch.sin(400 * x).sum(1, keepdim=True) * torch.tensor([1.0, -1.0, 0.5])
            )

    target = Astray(scores, world.spec_of(3))
    headline, found, _ = checks(target, data, world.threat(0.8), stamp, profile="standard")
    assert TRANSFER in failed(found)
    assert "upper bound" in headline.note


@dataclass(frozen=True)
class Shy:
    """Gives back what it was given."""

    card = PGD.card
    steps: int = 4

    def run(self, target, x, y, threat, rng):
        return x.clone()


def test_an_attack_that_returns_nothing_for_what_it_did_not_break_is_not_said_to_stand_still(world, stamp, blobs):
    data, scores = blobs
    _, found, _ = checks(world.Smooth(scores, world.spec_of(3)), data, world.threat(0.3), stamp, attacks=(Shy(),))
    assert found[CLIMBS].passed is None
    assert failed(found) >= {CONTROL}
