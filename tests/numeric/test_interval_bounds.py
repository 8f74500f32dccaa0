"""Interval bounds: they hold every output, are exact where they must be, and refuse what they do not know."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as f

from hauberk.core.errors import MissingPower
from hauberk.core.threat import Ball
from hauberk.numeric.interval_bounds import box_of, interval_bounds, worst_case, worst_logits


class Residual(nn.Module):
    """Batch norm, in-place activations that others see, pooling, a short cut, dropout, concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.norm, self.drop, self.relu = nn.BatchNorm2d(8), nn.Dropout(), nn.ReLU(inplace=True)
        self.last = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.first((x - 0.5) / 0.25))
        inner = self.second(self.relu(x))
        inner += x  # x was rectified in place
        inner = f.avg_pool2d(f.gelu(inner), 2)
        both = torch.cat((inner.amax((2, 3)), f.adaptive_avg_pool2d(inner, 1).flatten(1)), 1)
        return self.last(self.drop(both.view(both.size(0), -1)))


def made(kind, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = kind()
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.uniform_(-1, 1)
                part.running_var.uniform_(0.5, 2)
                nn.init.uniform_(part.weight, -1, 1)
    return module.eval()


def dense(activation: nn.Module):
    return lambda: nn.Sequential(nn.Flatten(), nn.Linear(48, 20), activation, nn.Linear(20, 5))


ACTIVATIONS = (
    *(nn.ReLU(), nn.LeakyReLU(), nn.Tanh(), nn.Sigmoid(), nn.ELU(), nn.Softplus(), nn.GELU(), nn.SiLU(), nn.Hardtanh()),
    nn.GELU(approximate="tanh"),
)


@pytest.mark.parametrize("kind", [Residual, *map(dense, ACTIVATIONS)])
def test_no_output_of_the_box_lies_outside(kind) -> None:
    module, rng = made(kind), torch.Generator().manual_seed(1)
    x = torch.rand(6, 3, 4, 4, generator=rng)
    box = box_of(Ball("linf", 0.1), x, (0.0, 1.0))
    bounds = interval_bounds(module, *box)
    for _ in range(200):
        share = torch.rand(x.shape, generator=rng).round()  # corners are where extremes lie
        with torch.no_grad():
            found = module(box.lower + share * (box.upper - box.lower))
        assert bool(((found >= bounds.lower - 1e-5) & (found <= bounds.upper + 1e-5)).all())
    point = interval_bounds(module, x, x)
    with torch.no_grad():
        assert torch.allclose(point.lower, module(x), atol=1e-5)
        assert torch.allclose(point.upper, module(x), atol=1e-5)


def test_one_affine_layer_is_exact() -> None:
    module = nn.Linear(2, 1)
    module.weight.data, module.bias.data = torch.tensor([[2.0, -3.0]]), torch.tensor([0.5])
    bounds = interval_bounds(module, torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 2.0]]))
    assert (bounds.lower.item(), bounds.upper.item()) == (2 * 0 - 3 * 2 + 0.5, 2 * 1 - 3 * 1 + 0.5)


def test_products_powers_and_quotients() -> None:
    class Arithmetic(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack((x * x, x**2, 1 - x, -x / 2, x.abs(), x * (1 - x), x.clamp(0, 0.5)), 1)

    bounds = interval_bounds(Arithmetic(), torch.tensor([-1.0]), torch.tensor([2.0]))
    assert bounds.lower.tolist() == [[-2.0, 0.0, -1.0, -1.0, 0.0, -2.0, 0.0]]
    assert bounds.upper.tolist() == [[4.0, 4.0, 2.0, 0.5, 2.0, 4.0, 0.5]]


def test_gradients_reach_the_weights() -> None:
    module = made(dense(nn.ReLU()))
    x = torch.full((2, 3, 4, 4), 0.5)
    bounds = interval_bounds(module, x - 0.1, x + 0.1)
    f.cross_entropy(worst_logits(bounds, torch.tensor([0, 1])), torch.tensor([0, 1])).backward()
    assert all(bool(parameter.grad.abs().sum() > 0) for parameter in module.parameters())


def test_the_worst_corner_and_the_box() -> None:
    bounds = interval_bounds(nn.Identity(), torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[3.0, 4.0, 5.0]]))
    assert worst_logits(bounds, torch.tensor([1])).tolist() == [[3.0, 1.0, 5.0]]
    x = torch.tensor([[0.05, 0.5]])
    assert torch.allclose(box_of(Ball("l2", 0.1), x, (0, 1)).lower, torch.tensor([[0.0, 0.4]]))
    assert box_of(Ball("l0", 1), x, (0, 1)).upper.tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize(
    ("module", "word"),
    [
        (nn.Softmax(1), "softmax"),
        (nn.BatchNorm1d(2).train(), "training mode"),
        (nn.Dropout().train(), "at random"),
        (nn.LeakyReLU(-1.0), "falls"),
        (nn.LayerNorm(2), "layer_norm"),
    ],
)
def test_what_has_no_rule_is_refused(module, word) -> None:
    x = torch.zeros(3, 2)
    call = (
        module
        if not isinstance(module, nn.Bilinear)
        else type("Two", (nn.Module,), {"forward": lambda _, z: module(z, z)})()
    )
    with pytest.raises(MissingPower, match=word):
        interval_bounds(call, x, x + 1)
    with pytest.raises(ValueError, match="above"):
        interval_bounds(nn.Identity(), x + 1, x)


def test_the_worst_case_is_tighter_with_a_last_linear_layer_and_holds() -> None:
    module, rng = made(dense(nn.ReLU())), torch.Generator().manual_seed(2)
    x, y = torch.rand(8, 3, 4, 4, generator=rng), torch.randint(5, (8,), generator=rng)
    box = box_of(Ball("linf", 0.05), x, (0.0, 1.0))
    found = worst_case(module, *box, y)
    loose = worst_logits(interval_bounds(module, *box), y)
    loose = loose - loose.gather(1, y.unsqueeze(1))
    assert bool((found <= loose + 1e-5).all())
    assert float((loose - found).detach().mean()) > 0.01
    assert torch.equal(found.gather(1, y.unsqueeze(1)), torch.zeros(8, 1))
    for _ in range(200):
        share = torch.rand(x.shape, generator=rng).round()
        with torch.no_grad():
            logits = module(box.lower + share * (box.upper - box.lower))
        assert bool((logits - logits.gather(1, y.unsqueeze(1)) <= found + 1e-5).all())
    without = nn.Sequential(module, nn.Tanh())
    assert worst_case(without, *box, y).shape == (8, 5)
