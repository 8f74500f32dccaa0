"""σ-zero, VFGA, JSMA and SparseFool: the fewest changes on linear models, their budgets, and how they rank."""

import pytest
import torch

from hauberk.attacks.counting import Ledger, view
from hauberk.attacks.evasion.jsma import JSMA, best_pair, saliency
from hauberk.attacks.evasion.sigma_zero import SigmaZero
from hauberk.attacks.evasion.sparsefool import SparseFool
from hauberk.attacks.evasion.vfga import VFGA
from hauberk.core.errors import UsageError
from hauberk.core.threat import Ball, Threat
from hauberk.numeric.balls import region, size

FREE = Threat(name="free")
ATTACKS = [SigmaZero(), VFGA(), JSMA(way="both"), JSMA(pair=False), SparseFool(), SparseFool(norm="l1")]


def name(attack):
    return type(attack).__name__


def fewest(target, x, y):
    """How many values of a two-class linear model must go to a bound: the largest gains first."""
    weight, scores = target.net.weight.detach(), target.predict(x)
    rows = weight[1 - y] - weight[y]
    gain = torch.where(rows > 0, rows * (1 - x), -rows * x).sort(1, descending=True).values
    gap = scores.gather(1, y[:, None]) - scores.gather(1, 1 - y[:, None])
    return (gain.cumsum(1) <= gap).sum(1) + 1


@pytest.mark.parametrize("attack", ATTACKS[:5], ids=name)
def test_on_a_linear_model_it_needs_hardly_more_than_the_fewest_changes(make_linear, rng, attack):
    target = make_linear(30, 2)
    x = torch.rand(60, 30, generator=rng)
    y = target.predict(x).argmax(1)
    best = fewest(target, x, y)
    able = best <= 20
    found = attack.run(target, x, y, FREE, rng)
    assert bool((target.predict(found).argmax(1) != y)[able].all())
    changed = size(found - x, "l0")
    assert bool((changed >= best)[able].all())
    assert float((changed - best)[able].mean()) < (2.0 if isinstance(attack, JSMA) and attack.pair else 1.0)


def test_in_l1_sparsefool_finds_the_nearest_error_of_a_linear_model(make_linear, rng):
    target = make_linear(30, 2, bounds=(-9.0, 9.0))
    x = torch.rand(60, 30, generator=rng)
    y = target.predict(x).argmax(1)
    found = SparseFool(norm="l1", beyond=1.0, overshoot=1e-3).run(target, x, y, FREE, rng)
    scores, row = target.predict(x), target.net.weight.detach().diff(dim=0)
    exact = scores.diff(dim=1).abs().squeeze(1) / row.abs().max()
    assert bool((target.predict(found).argmax(1) != y).all())
    assert torch.allclose(size(found - x, "l1"), exact, rtol=5e-3, atol=1e-4)


@pytest.mark.parametrize("attack", ATTACKS, ids=name)
def test_a_target_class_is_reached(make_linear, rng, attack):
    target = make_linear(30, 4)
    x = torch.rand(40, 30, generator=rng)
    y = target.predict(x).argmax(1)
    wanted = int(torch.bincount(y, minlength=4).argmax())
    found = attack.run(target, x, y, Threat(name="t", target_class=wanted), rng)
    assert float((target.predict(found).argmax(1) == wanted).float().mean()) > 0.9


@pytest.mark.parametrize("attack", ATTACKS[:5], ids=name)
def test_a_ball_is_kept_and_used(digits_plain, rng, attack):
    target, x, y = digits_plain.target, digits_plain.x, digits_plain.y
    threat = Threat(name="t", ball=Ball("l0", 6))
    found = attack.run(target, x, y, threat, rng)
    assert bool(region(threat.ball, x, (0, 1)).contains(found).all())
    assert float((target.predict(found).argmax(1) != y).float().mean()) > 0.4


def test_they_rank_as_measured(digits_plain, rng):
    """σ-zero and SparseFool lead, the greedy VFGA follows, and pairs are the dearest."""
    target, x, y = digits_plain.target, digits_plain.x, digits_plain.y

    def mean(attack):
        found = attack.run(target, x, y, FREE, rng)
        broken = target.predict(found).argmax(1) != y
        assert float(broken.float().mean()) > 0.95
        return float(size(found - x, "l0")[broken].mean())

    sigma, greedy, fool, pairs = (mean(attack) for attack in (SigmaZero(), VFGA(), SparseFool(), JSMA()))
    assert sigma < 1.1 * greedy
    assert fool < 1.1 * greedy
    assert max(sigma, greedy, fool) < pairs


def test_sparsefool_takes_needless_changes_back(make_linear, rng):
    """Aiming 3 walks beyond the boundary changes too much; what is taken back afterwards leaves the fewest."""
    target = make_linear(30, 2)
    x = torch.rand(60, 30, generator=rng)
    y = target.predict(x).argmax(1)
    short, long = (SparseFool(steps=steps, beyond=3.0).run(target, x, y, FREE, rng) for steps in (3, 30))
    assert float(size(long - x, "l0").mean()) < 0.8 * float(size(short - x, "l0").mean())


def test_vfga_spends_what_it_says(digits_plain, rng):
    ledger = Ledger()
    x, y = digits_plain.x[:20], digits_plain.y[:20]
    VFGA(steps=4, trials=3).run(view(digits_plain.target, "white-box", ledger), x, y, FREE, rng)
    assert ledger.gradients <= 20 * 4
    assert ledger.queries <= 20 * (4 * 7 + 1)


@pytest.mark.parametrize("attack", ATTACKS, ids=name)
def test_samples_already_wrong_come_back_unchanged(make_linear, rng, attack):
    target = make_linear(6, 3)
    x = torch.rand(20, 6, generator=rng)
    y = (target.predict(x).argmax(1) + 1) % 3
    assert torch.equal(attack.run(target, x, y, FREE, rng), x)


def test_other_bounds_count_in_shares_of_their_range(make_linear, rng):
    """The same model in values ten times as large is attacked alike."""
    target = make_linear(20, 2)
    wide = make_linear(20, 2, bounds=(0.0, 10.0))
    with torch.no_grad():
        wide.net.weight.div_(10)
    x = torch.rand(30, 20, generator=rng)
    y = target.predict(x).argmax(1)
    for attack in (SigmaZero(), SparseFool(), JSMA()):
        near, far = (size(attack.run(t, p, y, FREE, rng) - p, "l0") for t, p in ((target, x), (wide, 10 * x)))
        assert float((near - far).abs().mean()) < 0.3


def test_the_best_pair_is_the_one_a_full_search_finds(rng):
    a, b = torch.randn(50, 80, generator=rng), torch.randn(50, 80, generator=rng)
    free = torch.rand(50, 80, generator=rng) < 0.7
    found = best_pair(a, b, free)
    able = free.unsqueeze(2) & free.unsqueeze(1) & ~torch.eye(80, dtype=torch.bool)
    every = saliency(a.unsqueeze(2) + a.unsqueeze(1), b.unsqueeze(2) + b.unsqueeze(1), able).flatten(1).amax(1)
    assert torch.allclose(found.value, every)
    assert bool((found.which[:, 0] != found.which[:, 1]).all())
    assert bool(free.gather(1, found.which).all())


@pytest.mark.parametrize("attack", ATTACKS[:4], ids=name)
def test_another_norm_is_refused(make_linear, rng, attack):
    with pytest.raises(UsageError, match="works in l0"):
        attack.run(make_linear(4, 2), torch.rand(1, 4), torch.tensor([0]), Threat(name="t", ball=Ball("l2", 1)), rng)
