"""The transfer family: each option fools other models more than plain steps do, and costs what it says."""

from dataclasses import replace

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from hauberk.attacks.counting import Ledger, view
from hauberk.attacks.driver import Driving
from hauberk.attacks.evasion.bim import BIM
from hauberk.attacks.evasion.transfer import PRESETS, Transfer
from hauberk.core.errors import UsageError
from hauberk.core.threat import Ball, Threat
from hauberk.numeric.balls import region

BALL = Threat(name="t", ball=Ball("linf", 0.2))
DRIVING = Driving(early_stop=False, precision="float32")


def deep():
    layers = []
    for before in (1, 16, 16, 16, 16):
        layers += [nn.Conv2d(before, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024, 10))


def dense():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def flat():
    return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10))


@pytest.fixture(scope="module")
def models():
    """A deep stand-in, two other models, and digits all are right about."""
    data, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    x = torch.from_numpy(data / 16).float().reshape(-1, 1, 8, 8)[order]
    y = torch.from_numpy(labels).long()[order]

    def fitted(make, steps):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            net = make()
        rng = torch.Generator().manual_seed(1)
        optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
        for _ in range(steps):
            rows = torch.randint(1400, (64,), generator=rng)
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            optimizer.step()
        return net.eval()

    own, others, x, y = fitted(deep, 150), (fitted(dense, 250), fitted(flat, 250)), x[1400:], y[1400:]
    right = torch.stack([net(x).argmax(1) == y for net in (own, *others)]).all(0)
    return own, others, x[right], y[right]


def fooled(attack, models, make_plain):
    own, others, x, y = models
    target = make_plain(own, (1, 8, 8), 10)
    found = replace(attack, driving=DRIVING).run(target, x, y, BALL, torch.Generator().manual_seed(0))
    assert bool(region(BALL.ball, x, (0.0, 1.0)).contains(found).all())
    return sum(float((net(found).argmax(1) != y).float().mean()) for net in others) / len(others)


@pytest.mark.parametrize(
    "attack",
    [
        Transfer(),
        Transfer(nesterov=True),
        Transfer(diversity=0.5, smallest=0.75),
        Transfer(translation=3),
        Transfer(neighbours=3),
        Transfer(amplification=5.0, decay=0.0),
    ],
    ids=["MI", "NI", "DI", "TI", "VMI", "PI"],
)
def test_each_option_fools_other_models_more_than_plain_steps(attack, models, make_plain):
    assert fooled(attack, models, make_plain) > fooled(BIM(), models, make_plain) + 0.01


def test_without_momentum_it_is_the_basic_iterative_method(digits_plain, rng):
    x, y = digits_plain.x[:40], digits_plain.y[:40]
    plain = BIM(driving=Driving(early_stop=False, precision="float32")).run(digits_plain.target, x, y, BALL, rng)
    free = Transfer(decay=0.0, driving=DRIVING).run(digits_plain.target, x, y, BALL, rng)
    errs = digits_plain.target.predict(plain).argmax(1) != y
    assert torch.equal(errs, digits_plain.target.predict(free).argmax(1) != y)
    assert float((plain - free).abs().amax(1).mean()) < 0.05


@pytest.mark.parametrize(("attack", "looks"), [(Transfer(steps=4), 4), (Transfer(steps=4, neighbours=3), 13)])
def test_it_costs_its_steps_and_its_neighbours(digits_plain, rng, attack, looks):
    ledger = Ledger()
    x, y = digits_plain.x[:20], digits_plain.y[:20]
    replace(attack, driving=DRIVING).run(view(digits_plain.target, "white-box", ledger), x, y, BALL, rng)
    assert (ledger.queries, ledger.gradients) == (20 * looks, 20 * looks)


def test_scales_look_at_darker_copies(make_plain, rng):
    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen = []

        def forward(self, x):
            self.seen.append(float(x.detach().amax()))
            return torch.stack((x.flatten(1).sum(1), -x.flatten(1).sum(1)), 1)

    net = Watched()
    x = torch.full((3, 1, 4, 4), 0.8)
    Transfer(steps=1, scales=3, driving=DRIVING).run(make_plain(net, (1, 4, 4), 2), x, torch.zeros(3).long(), BALL, rng)
    assert net.seen == pytest.approx([0.8, 0.4, 0.2])


def test_a_sample_leaves_only_where_it_is_asked_to(digits_plain, rng):
    def calls(early):
        ledger = Ledger()
        attack = Transfer(driving=Driving(early_stop=early, precision="float32"))
        attack.run(view(digits_plain.target, "white-box", ledger), digits_plain.x, digits_plain.y, BALL, rng)
        return ledger.gradients

    assert calls(True) < calls(False) == 10 * len(digits_plain.y)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_runs_and_errs(digits_plain, name):
    x, y = digits_plain.x[:30], digits_plain.y[:30]
    attack = replace(PRESETS[name], translation=min(3, PRESETS[name].translation))
    attack = replace(attack, neighbours=min(2, attack.neighbours), driving=DRIVING)
    first, second = (attack.run(digits_plain.target, x, y, BALL, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first, second)
    assert (digits_plain.target.predict(first).argmax(1) != y).float().mean() > 0.3


def test_what_needs_images_or_linf_says_so(make_linear, digits_plain, rng):
    target, x, y = make_linear(6, 3), torch.rand(2, 6), torch.zeros(2).long()
    for attack in (Transfer(diversity=0.5), Transfer(translation=3), Transfer(amplification=2.0)):
        with pytest.raises(UsageError, match="need"):
            attack.run(target, x, y, BALL, rng)
    with pytest.raises(UsageError, match="linf"):
        Transfer(amplification=2.0).run(
            digits_plain.target, digits_plain.x, digits_plain.y, Threat(name="t", ball=Ball("l2", 1.0)), rng
        )
