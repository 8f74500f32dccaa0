"""Bounds of networks: sound on every input tried, exact where that is known, and refused by name where unknown."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.threat import Ball
from hauberk.numeric.interval_bounds import interval_bounds
from hauberk.numeric.linear_bounds import area_of, certified, margins, output_bounds, work
from hauberk.numeric.linear_bounds_bends import relu, sigmoid, tanh
from hauberk.numeric.linear_bounds_graph import graph_of
from hauberk.numeric.linear_bounds_steps import Interval

WIDE = (-10.0, 10.0)


class Residual(nn.Module):
    """Normalised input, batch norm, a short cut, every kind of pooling, reshaping."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.second, self.last = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x):
        x = (x - 0.4) / torch.tensor([0.3]).view(1, 1, 1, 1)
        h = torch.relu(self.norm(self.first(x)))
        h = nn.functional.leaky_relu(h - self.second(h), 0.1)
        h = nn.functional.max_pool2d(nn.functional.pad(h, (1, 1, 1, 1)), 3, 2)
        h = nn.functional.avg_pool2d(h, 2).mean((2, 3))
        return self.last(2 * h.reshape(len(h), -1) + 1)


def built(name: str) -> tuple[nn.Module, torch.Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        nets = {
            "relu": (nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)), (6,)),
            "bent": (nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 8), nn.Sigmoid(), nn.Linear(8, 4)), (6,)),
            "conv": (
                nn.Sequential(
                    nn.Conv2d(1, 4, 3, stride=2, padding=1),
                    nn.ReLU(inplace=True),
                    nn.MaxPool2d(2),
                    nn.Flatten(),
                    nn.Dropout(),
                    nn.Linear(16, 4),
                ),
                (1, 8, 8),
            ),
            "residual": (Residual(), (1, 8, 8)),
        }
        net, shape = nets[name]
        x = torch.rand(5, *shape)
    return net.eval().requires_grad_(False), x


NETS = ("relu", "bent", "conv", "residual")


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(("norm", "radius"), [("linf", 0.1), ("l2", 0.5), ("l1", 1.0)])
@pytest.mark.parametrize("method", ["ibp", "crown-ibp", "crown"])
def test_no_input_of_the_ball_leaves_the_bounds(name, norm, radius, method):
    net, x = built(name)
    y, rng = net(x).argmax(1), torch.Generator().manual_seed(0)
    area, graph = area_of(Ball(norm, radius), x, WIDE), graph_of(net, x)
    low = margins(graph, area, y, method)
    box = output_bounds(graph, area, method)
    for turn in range(60):
        move = torch.randn(x.shape, generator=rng)
        if norm == "linf":
            move = move.sign() * radius if turn % 2 else (torch.rand(x.shape, generator=rng) * 2 - 1) * radius
        elif norm == "l2":
            move = radius * move / move.flatten(1).norm(dim=1).reshape(-1, *[1] * (x.ndim - 1))
        else:
            place = torch.randint(x[0].numel(), (len(x), 1), generator=rng)
            move = torch.zeros(len(x), x[0].numel()).scatter(1, place, radius * (1 - turn % 2 * 2)).reshape(x.shape)
        logits = net(x + move)
        lead = logits.gather(1, y[:, None]) - logits
        assert bool((lead >= low - 1e-4).all())
        assert bool((logits >= box.lower - 1e-4).all())
        assert bool((logits <= box.upper + 1e-4).all())


@pytest.mark.parametrize("name", NETS)
def test_the_dearer_bound_is_the_tighter_and_a_point_is_exact(name):
    net, x = built(name)
    y, graph = net(x).argmax(1), graph_of(net, x)
    small = area_of(Ball("linf", 0.02), x, WIDE)
    loose, tight = (margins(graph, small, y, method).sum() for method in ("ibp", "crown"))
    assert float(tight) > float(loose)
    none = area_of(Ball("linf", 0.0), x, WIDE)
    exact = net(x).gather(1, y[:, None]) - net(x)
    for method in ("ibp", "crown-ibp", "crown"):
        assert torch.allclose(margins(graph, none, y, method), exact, atol=1e-4)


@pytest.mark.parametrize("name", NETS)
def test_intervals_agree_with_those_of_the_module_run_on_a_box(name):
    net, x = built(name)
    area = area_of(Ball("linf", 0.05), x, WIDE)
    ours, theirs = output_bounds(graph_of(net, x), area, "ibp"), interval_bounds(net, *area.box)
    assert torch.allclose(ours.lower, theirs.lower, atol=1e-4)
    assert torch.allclose(ours.upper, theirs.upper, atol=1e-4)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_linear_models_get_the_closed_form(norm):
    weight = torch.tensor([[1.0, -2.0, 0.5], [0.0, 1.0, 1.0]])
    net = nn.Linear(3, 2, bias=False)
    net.weight.data = weight
    x = torch.tensor([[0.3, -0.2, 0.1]])
    gap = weight[0] - weight[1]
    dual = {"linf": gap.abs().sum(), "l2": gap.norm(), "l1": gap.abs().max()}[norm]
    found = margins(graph_of(net.requires_grad_(False), x), area_of(Ball(norm, 0.1), x, WIDE), torch.tensor([0]))
    assert float(found[0, 1]) == pytest.approx(float(x[0] @ gap - 0.1 * dual), abs=1e-6)
    assert float(found[0, 0]) == 0


def test_bounds_of_the_input_cut_the_ball():
    net = nn.Linear(1, 2, bias=False)
    net.weight.data = torch.tensor([[1.0], [0.0]])
    x = torch.tensor([[0.05]])
    cut = area_of(Ball("linf", 0.2), x, (0.0, 1.0))
    assert float(margins(graph_of(net.requires_grad_(False), x), cut, torch.tensor([0]))[0, 1]) == 0.0


def test_one_hidden_unit_is_exact_where_its_sign_is_known():
    """A net of three units against all corners: convex along each axis, its least margin lies at a corner."""
    net, _ = built("relu")
    x = torch.full((1, 6), 3.0)
    y = net(x).argmax(1)
    corners = torch.tensor(list(itertools.product((-0.01, 0.01), repeat=6))) + x
    truth = (net(corners)[:, y] - net(corners)).amin(0)
    low = margins(graph_of(net, x), area_of(Ball("linf", 0.01), x, WIDE), y)[0]
    assert bool((low <= truth + 1e-5).all())
    assert bool((low >= truth - 0.02).all())


def test_certified_counts_rivals_and_clearance():
    net = nn.Linear(1, 3, bias=False)
    net.weight.data = torch.tensor([[1.0], [0.9], [-1.0]])
    x, y = torch.tensor([[0.5]]), torch.tensor([0])
    graph = graph_of(net.requires_grad_(False), x)
    assert bool(certified(graph, area_of(Ball("linf", 0.1), x, WIDE), y)[0])
    assert not bool(certified(graph, area_of(Ball("linf", 0.5), x, WIDE), y)[0])
    only_last = torch.tensor([[False, False, True]])
    assert bool(certified(graph, area_of(Ball("linf", 0.49), x, WIDE), y, only_last)[0])


@pytest.mark.parametrize("make", [relu, lambda: relu(0.2), tanh, sigmoid])
def test_lines_hold_their_function_between_them(make):
    bend, rng = make(), torch.Generator().manual_seed(1)
    ends = (torch.rand(400, 2, generator=rng) * 12 - 6).sort(1).values
    ends[:20, 1] = ends[:20, 0]
    box = Interval(ends[:, 0], ends[:, 1])
    line = bend.lines(box)
    for share in torch.linspace(0, 1, 41):
        x = box.lower + share * (box.upper - box.lower)
        assert bool((line.low_slope * x + line.low_offset <= bend.value(x) + 1e-5).all())
        assert bool((line.high_slope * x + line.high_offset >= bend.value(x) - 1e-5).all())


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 2)), "gelu"),
        (nn.Sequential(nn.Linear(4, 4), nn.Softmax(1), nn.Linear(4, 2)), "softmax"),
        (nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2)).train(), "training mode"),
    ],
)
def test_what_has_no_bounds_is_named(net, words):
    with pytest.raises(MissingPower, match=words):
        graph_of(net if "training" in words else net.eval(), torch.rand(3, 4))


def test_products_and_python_that_depends_on_values_are_refused():
    class Square(nn.Module):
        def forward(self, x):
            return x * x

    class Asks(nn.Module):
        def forward(self, x):
            return x if float(x.sum()) > 0 else -x

    for net in (Square(), Asks()):
        with pytest.raises(MissingPower):
            graph_of(net, torch.rand(2, 3))
    with pytest.raises(UsageError, match="l0"):
        area_of(Ball("l0", 2), torch.rand(1, 2), WIDE)


def test_a_softmax_at_the_end_is_left_out():
    net, x = built("relu")
    soft = nn.Sequential(net, nn.Softmax(1))
    area, y = area_of(Ball("linf", 0.05), x, WIDE), net(x).argmax(1)
    assert torch.equal(margins(graph_of(soft, x), area, y), margins(graph_of(net, x), area, y))
    assert work(graph_of(soft, x), area) > 0
