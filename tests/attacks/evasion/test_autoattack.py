"""AutoAttack: its published stages, that none of them alone is stronger, and that every break is a plain one."""

import pytest
import torch

from hauberk.attacks.cascade import assault
from hauberk.attacks.chunks import streams
from hauberk.attacks.counting import Ledger, view
from hauberk.attacks.driver import Driving
from hauberk.attacks.evasion.autoattack import AutoAttack
from hauberk.core.plugins import build
from hauberk.core.threat import LINF_0_1, Ball, Threat
from hauberk.numeric.balls import region
from hauberk.targets import from_torch

PRECISE = Driving(precision="float32")
BALLS = {"linf": 0.1, "l2": 0.5, "l1": 2.0}


def small(version="standard"):
    return AutoAttack(version, steps=10, queries=100, driving=PRECISE)


def spelled(version, norm):
    keep = ("loss", "steps", "restarts", "targets", "queries")
    rows = []
    for name, settings in AutoAttack(version).stages(norm):
        draws = settings["driving"]["draws"] if "driving" in settings else 1
        words = [f"{key}={settings[key]}" for key in keep if key in settings]
        rows.append(" ".join([name.removeprefix("evasion."), *words, *([f"draws={draws}"] if draws > 1 else [])]))
    return rows


def test_the_stages_are_the_published_ones():
    assert spelled("standard", "linf") == [
        "apgd loss=ce steps=100 restarts=1 targets=1",
        "apgd loss=dlr-targets steps=100 restarts=1 targets=9",
        "fab steps=100 targets=9",
        "square queries=5000",
    ]
    assert spelled("standard", "l1")[:2] == [
        "apgd loss=ce steps=100 restarts=5 targets=1",
        "apgd loss=dlr-targets steps=100 restarts=1 targets=5",
    ]
    assert spelled("plus", "l2") == [
        "apgd loss=ce steps=100 restarts=5 targets=1",
        "apgd loss=dlr steps=100 restarts=5 targets=1",
        "fab steps=100 targets=0",
        "square queries=5000",
        "apgd loss=dlr-targets steps=100 restarts=1 targets=9",
        "fab steps=100 targets=9",
    ]
    assert spelled("rand", "linf") == [
        "apgd loss=ce steps=100 restarts=1 targets=1 draws=20",
        "apgd loss=dlr steps=100 restarts=1 targets=1 draws=20",
    ]


@pytest.mark.parametrize("norm", BALLS)
def test_no_stage_alone_breaks_more(digits_plain, norm):
    target, x, y = digits_plain.target, digits_plain.x[:60], digits_plain.y[:60]
    threat = Threat(name="t", ball=Ball(norm, BALLS[norm]))

    def robust(attack, seed=0):
        found = attack.run(target, x, y, threat, torch.Generator().manual_seed(seed))
        assert bool(region(threat.ball, x, (0.0, 1.0)).contains(found).all())
        return int((target.predict(found).argmax(1) == y).sum())

    whole = robust(small())
    assert 0 < whole < len(y)
    for name, settings in small().stages(norm)[:3]:
        assert whole <= robust(build("attacks", name, settings)) + 1, "but for the draw of its start"


def test_what_is_not_broken_comes_back_clean_and_wrong_ones_stay(digits_plain, rng):
    target, x, y = digits_plain.target, digits_plain.x[:30], digits_plain.y[:30].clone()
    y[:5] = (y[:5] + 1) % 10
    found = small().run(target, x, y, LINF_0_1, rng)
    robust = target.predict(found).argmax(1) == y
    assert torch.equal(found[robust], x[robust])
    assert torch.equal(found[:5], x[:5])


def test_a_break_that_only_the_search_sees_does_not_count(digits_plain, rng):
    """A target whose plain answer never errs: forward, which the gradient attacks see, is another model."""

    class TwoFaced:
        spec = digits_plain.target.spec

        def forward(self, x):
            return digits_plain.target.forward(x)

        def predict(self, x):
            return torch.nn.functional.one_hot(torch.full((len(x),), 3), 10).float()

    x, y = digits_plain.x[:20], torch.full((20,), 3)
    assert torch.equal(small("rand").run(TwoFaced(), x, y, LINF_0_1, rng), x)


@pytest.mark.parametrize("version", ["standard", "plus", "rand"])
@pytest.mark.parametrize("classes", [2, 3])
def test_few_classes(make_linear, rng, version, classes):
    target = make_linear(12, classes)
    x = torch.rand(20, 12, generator=rng)
    y = target.predict(x).argmax(1)
    found = small(version).run(target, x, y, Threat(name="t", ball=Ball("linf", 0.5)), rng)
    assert (target.predict(found).argmax(1) != y).float().mean() > 0.9


def test_a_targeted_threat_reaches_its_class(make_linear, rng):
    target = make_linear(12, 4)
    x = torch.rand(30, 12, generator=rng)
    y = target.predict(x).argmax(1)
    threat = Threat(name="t", ball=Ball("linf", 0.5), target_class=2)
    found = small().run(target, x, y, threat, rng)
    assert (target.predict(found).argmax(1) == 2).float().mean() > 0.9


@pytest.mark.parametrize("queries", [1, 4, 40, 400])
def test_its_stages_share_a_budget(digits_plain, rng, queries):
    ledger, x = Ledger(), digits_plain.x[:10]
    threat = Threat(name="t", ball=Ball("linf", 1e-4), queries=queries)
    small().run(view(digits_plain.target, "white-box", ledger), x, digits_plain.y[:10], threat, rng)
    assert ledger.queries <= 10 * queries


def test_a_target_that_knows_its_shape_from_the_first_answer_only(digits_plain, rng):
    x, y = digits_plain.x[:6], digits_plain.y[:6]
    target = from_torch(digits_plain.target.net, bounds=(0.0, 1.0))
    assert small().run(target, x, y, LINF_0_1, rng).shape == x.shape
    target = from_torch(digits_plain.target.net, bounds=(0.0, 1.0))
    assert small().run(target, x[:0], y[:0], LINF_0_1, rng).shape == (0, 1, 8, 8)


def test_an_evaluation_can_run_it(digits_plain):
    """The examiner's cascade hands it a counted view and finds the same breaks."""
    x, y = digits_plain.x[:20], digits_plain.y[:20]
    done = assault(digits_plain.target, (small(),), x, y, LINF_0_1, streams(0, 1))
    assert int((done.stage > 0).sum()) == int((digits_plain.target.predict(done.x).argmax(1) != y).sum()) > 0
    assert done.strays == 0
