"""Private training: right sums, honest sampling, a budget that ends the run, and no layer that mixes examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.privacy_events import GaussianRelease, SampledRelease
from hauberk.defenses.private_plans import Plan, usual_delta
from hauberk.defenses.private_refusals import without_batch_norm
from hauberk.defenses.private_training import Hooks, fresh_copy, train_privately, within
from hauberk.numeric.accounting import epsilon
from hauberk.numeric.private_noise import NoiseSource

pytest.importorskip("dp_accounting")
KEY = bytes(16)


def _net(width: int = 16) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Tanh(), nn.Linear(width, 10))


@pytest.fixture(scope="module")
def rows(digits):
    return torch.from_numpy(np.array(digits.train.x)), torch.from_numpy(np.array(digits.train.y))


def _run(net, rows, plan, rate=1.0, **settings):
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=rate)
    return train_privately(net, *rows, plan, optimizer, source=NoiseSource(KEY), **settings)


@pytest.mark.parametrize(
    ("sampling", "mechanism"), [("poisson", "independent"), ("shuffled", "independent"), ("shuffled", "tree")]
)
@pytest.mark.parametrize("clipping", ["flat", "per_layer", "automatic", "adaptive"])
def test_every_kind_learns_with_little_noise(rows, digits, sampling, mechanism, clipping) -> None:
    net = _net()
    plan = Plan(1000, 100, 100, noise=0.1, clipping=clipping, sampling=sampling, mechanism=mechanism)
    made = _run(net, rows, plan, 3.0 if clipping != "adaptive" else 1.0)
    x, y = torch.from_numpy(np.array(digits.test.x)), torch.from_numpy(np.array(digits.test.y))
    assert float((net(x).argmax(1) == y).float().mean()) > 0.75
    assert made.gap is not None and made.gap < 1e-5
    assert made.steps == 100 and not made.why and not made.notes


def test_without_noise_and_clipping_a_step_is_sgd(rows) -> None:
    ours, plain = _net(), _net()
    plan = Plan(1000, 1, 1000, noise=0.0, clip=1e6, sampling="shuffled", memory=300)
    _run(ours, rows, plan, 0.5)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.5)
    nn.functional.cross_entropy(plain(rows[0]), rows[1]).backward()
    optimizer.step()
    for one, two in zip(ours.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-5)


def test_virtual_batches_change_memory_only(rows) -> None:
    nets = [_net(), _net()]
    for net, memory in zip(nets, (0, 7), strict=True):
        _run(net, rows, Plan(1000, 5, 60, noise=1.0, memory=memory))
    for one, two in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-5)


def test_poisson_batches_vary_and_may_be_empty() -> None:
    plan = Plan(50, 400, 1, noise=1.0)
    sizes = [len(batch) for batch in plan.batches(NoiseSource(KEY))]
    assert 0 in sizes and np.mean(sizes) == pytest.approx(1.0, abs=0.2)
    assert np.var(sizes) == pytest.approx(50 * 0.02 * 0.98, rel=0.3)


def test_an_empty_batch_is_a_step_of_noise(rows) -> None:
    made = _run(_net(), (rows[0][:50], rows[1][:50]), Plan(50, 30, 1, noise=1.0))
    assert any(math.isnan(loss) for loss in made.losses) and made.steps == 30


def test_shuffled_batches_are_not_accounted_as_poisson_samples() -> None:
    poisson, shuffled = (Plan(1000, 40, 100, noise=2.0, sampling=kind) for kind in ("poisson", "shuffled"))
    assert poisson.events() == (SampledRelease(rate=0.1, noise=2.0, count=40),)
    assert shuffled.events() == (GaussianRelease(noise=2.0, count=4),)
    assert shuffled.relation == "zero_out"
    seen = torch.cat(list(shuffled.batches(NoiseSource(KEY)))[:10])
    assert seen.sort().values.tolist() == list(range(1000))
    tree = Plan(1000, 40, 100, noise=2.0, mechanism="tree")
    assert tree.events()[0].noise == pytest.approx(2.0 / 2.0)  # 10 leaves: 4 nodes above each, root 2


def test_a_plan_is_calibrated_to_its_budget_with_what_was_spent_before() -> None:
    alone = Plan(1000, 100, 50).calibrated(2.0, 1e-4)
    assert 1.98 < epsilon(alone.events(), 1e-4).epsilon <= 2.0
    before = (GaussianRelease(noise=4.0),)
    after = Plan(1000, 100, 50).calibrated(2.0, 1e-4, before)
    assert after.noise > alone.noise
    assert epsilon((*before, *after.events()), 1e-4).epsilon <= 2.0


def test_the_budget_stops_the_run_and_keeps_the_model(rows) -> None:
    plan, steps = within(Plan(1000, 200, 100, noise=1.0), 3.0, 1e-4)
    assert 0 < steps < 200
    made = _run(_net(), rows, plan, limit=steps)
    assert made.steps == steps and "budget" in made.why
    assert epsilon(made.events, 1e-4).epsilon <= 3.0
    assert all(bool(p.isfinite().all()) for p in made.module.parameters())


@pytest.mark.parametrize(
    ("layer", "name"),
    [(nn.BatchNorm1d(16), "2"), (nn.Sequential(nn.InstanceNorm1d(16, track_running_stats=True)), "2.0")],
)
def test_layers_that_mix_examples_are_refused_by_name(rows, layer, name) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), layer, nn.Linear(16, 10))
    with pytest.raises(MissingPower) as caught:
        _run(net, rows, Plan(1000, 1, 10))
    assert caught.value.where == name and caught.value.fix


def test_batch_norm_is_replaced_and_frozen_batch_norm_stays(rows) -> None:
    net = nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(216, 10))
    fixed = without_batch_norm(net, groups=4)
    assert isinstance(fixed[1], nn.GroupNorm) and fixed[1].num_groups == 3
    assert _run(fixed, rows, Plan(1000, 2, 20, noise=1.0)).steps == 2


def test_a_network_that_mixes_examples_by_hand_is_noticed(rows) -> None:
    class Centred(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Linear(64, 10)

        def forward(self, x):
            flat = x.flatten(1)
            return self.out(flat - flat.mean(0))

    with pytest.raises(MissingPower, match="mixes examples"):
        _run(Centred(), rows, Plan(1000, 1, 10))


def test_frozen_networks_are_refused(rows) -> None:
    net = _net()
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    net.requires_grad_(False)
    with pytest.raises(MissingPower, match="no trainable"):
        train_privately(net, *rows, Plan(1000, 1, 10), optimizer, source=NoiseSource(KEY))


def test_unknown_layers_fall_back_and_say_so(rows) -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shift, self.out = nn.Parameter(torch.zeros(64)), nn.Linear(64, 10)

        def forward(self, x):
            return self.out(x.flatten(1) + self.shift)

    made = _run(Own(), rows, Plan(1000, 2, 20, noise=1.0))
    assert "exact slow way" in made.notes[0]


def test_a_quick_way_that_is_wrong_is_found_out_on_the_first_rows(rows) -> None:
    class Aside(nn.Module):
        """It asks one layer, and uses its weight a second time behind its back."""

        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Linear(64, 10)

        def forward(self, x):
            return self.out(x.flatten(1)) + nn.functional.linear(x.flatten(1) ** 2, self.out.weight)

    net = Aside()
    made = _run(net, rows, Plan(1000, 2, 20, noise=1.0))
    assert "differ from vmap(grad)" in made.notes[0] and made.steps == 2


def test_rows_without_a_gradient_count_as_zero_and_divergence_stops_the_run(rows) -> None:
    x, y = rows[0].clone(), rows[1]
    x[5:10] = float("inf")
    net = _net()
    made = _run(net, (x, y), Plan(1000, 1, 1000, noise=1.0, sampling="shuffled"))
    assert "5 gradients were not numbers" in made.notes[0]
    assert all(bool(p.isfinite().all()) for p in net.parameters())
    x[5:] = float("inf")
    broken = _net()
    made = _run(broken, (x, y), Plan(1000, 3, 1000, noise=1.0, sampling="shuffled"))
    assert "diverged" in made.why and made.steps == 1
    assert all(bool(p.isfinite().all()) for p in broken.parameters())


def test_ctrl_c_keeps_the_model_and_counts_the_step(rows) -> None:
    def stop(step, total, bound, rows):
        if step == 3:
            raise KeyboardInterrupt

    made = _run(_net(), rows, Plan(1000, 10, 100, noise=1.0), hooks=Hooks(watch=stop))
    assert made.steps == 4 and made.why == "stopped by the user"
    assert made.events[0].count == 4


def test_impossible_plans() -> None:
    for make in (
        lambda: Plan(0, 1, 1),
        lambda: Plan(10, 0, 1),
        lambda: Plan(10, 1, 11),
        lambda: Plan(10, 1, 1, clip=0),
    ):
        with pytest.raises(UsageError):
            make()
    assert usual_delta(1000) < 1 / 1000


def test_a_fresh_copy_keeps_no_weight() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token, self.scale = nn.Parameter(torch.full((1, 8), 7.0)), nn.Parameter(torch.full((8,), 7.0))
            self.inner, self.attention = nn.Linear(8, 8), nn.MultiheadAttention(8, 2)

    old = Own()
    made = fresh_copy(old, torch.Generator().manual_seed(0))
    zeros = {"attention.in_proj_bias", "attention.out_proj.bias"}
    for (name, one), two in zip(old.named_parameters(), made.parameters(), strict=True):
        assert name in zeros or not bool((one == two).any()), name
    again = fresh_copy(old, torch.Generator().manual_seed(0))
    assert all(torch.equal(one, two) for one, two in zip(made.parameters(), again.parameters(), strict=True))
