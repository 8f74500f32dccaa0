"""Book-keeping gives what vmap(grad) gives, layer type by layer type, and says what it cannot do."""

from __future__ import annotations

import contextlib
import copy

import pytest
import torch
from torch import nn

from hauberk.numeric.book_keeping import BookKeeping
from hauberk.numeric.clipped_sums import Flat, NotFinite, Unfit, cross_entropy
from hauberk.numeric.clipping import AdaptiveBound, Clipping
from hauberk.numeric.example_gradients import ExampleGradients, largest_gap
from hauberk.numeric.ghost_clipping import GhostClipping

B, CLASSES = 6, 5


def _vectors():
    return torch.randn(B, 8, generator=torch.Generator().manual_seed(1))


def _images():
    return torch.randn(B, 4, 9, 9, generator=torch.Generator().manual_seed(2))


def _tokens():
    return torch.randint(30, (B, 7), generator=torch.Generator().manual_seed(3))


class Attention(nn.Module):
    """Tokens, a residual connection, and projections over sequences."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(30, 12, padding_idx=0)
        self.ask, self.norm, self.out = nn.Linear(12, 12), nn.LayerNorm(12), nn.Linear(12, CLASSES)

    def forward(self, x):
        h = self.embed(x)
        h = h + torch.softmax(self.ask(h) @ h.mT / 4, -1) @ h
        return self.out(self.norm(h).mean(1))


class Wrapped(nn.Module):
    """A layer without a rule between two that have one."""

    def __init__(self, middle: nn.Module, width: int = 12) -> None:
        super().__init__()
        self.embed, self.middle, self.out = nn.Embedding(30, 12), middle, nn.Linear(width, CLASSES)

    def forward(self, x):
        h = self.embed(x)
        if isinstance(self.middle, nn.MultiheadAttention):
            h = h + self.middle(h, h, h, need_weights=False)[0]
        elif isinstance(self.middle, nn.LSTM | nn.GRU):
            h = self.middle(h)[0]
        else:
            h = self.middle(h)
        return self.out(h.mean(1))


class Twice(nn.Module):
    """One layer asked twice."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.out = nn.Linear(8, 8), nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.out(torch.relu(self.inner(torch.relu(self.inner(x)))))


class Lora(nn.Module):
    """A frozen layer with a trained low-rank change."""

    def __init__(self) -> None:
        super().__init__()
        self.base, self.down, self.up = nn.Linear(8, 8), nn.Linear(8, 2, bias=False), nn.Linear(2, 8, bias=False)
        self.out = nn.Linear(8, CLASSES)
        self.base.requires_grad_(False)
        self.out.weight.requires_grad_(False)

    def forward(self, x):
        return self.out(torch.relu(self.base(x) + self.up(self.down(x))))


def _conv(*layers, size):
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(size, CLASSES))


CASES = {
    "mlp": (
        lambda: nn.Sequential(nn.Linear(8, 16), nn.ReLU(inplace=True), nn.Linear(16, CLASSES, bias=False)),
        _vectors,
    ),
    "groups and padding": (
        lambda: _conv(
            nn.Conv2d(4, 8, 3, padding=1, groups=2),
            nn.GroupNorm(2, 8),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, 6, 3, stride=2, dilation=2, padding=2, padding_mode="circular"),
            nn.InstanceNorm2d(6, affine=True),
            size=150,
        ),
        _images,
    ),
    "conv1d": (lambda: _conv(nn.Conv1d(4, 6, 3, padding="same"), size=54), lambda: _images()[..., 0]),
    "conv3d": (
        lambda: _conv(nn.Conv3d(4, 6, (2, 3, 3), padding=1, bias=False), nn.ReLU(), size=6 * 4 * 81),
        lambda: _images()[:, :, None].repeat(1, 1, 3, 1, 1),
    ),
    "wide conv, sum by one product": (
        lambda: _conv(nn.Conv2d(4, 64, 9), size=64),
        _images,
    ),
    "attention": (Attention, _tokens),
    "multihead": (lambda: Wrapped(nn.MultiheadAttention(12, 3, batch_first=True)), _tokens),
    "encoder layer": (lambda: Wrapped(nn.TransformerEncoderLayer(12, 3, 20, 0.0, batch_first=True)), _tokens),
    "lstm": (lambda: Wrapped(nn.LSTM(12, 6, batch_first=True), 6), _tokens),
    "rms and prelu": (
        lambda: nn.Sequential(nn.Linear(8, 16), nn.RMSNorm(16), nn.PReLU(), nn.Linear(16, CLASSES)),
        _vectors,
    ),
    "sequence and in-place": (
        lambda: nn.Sequential(
            nn.Unflatten(1, (4, 2)), nn.Linear(2, 4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(16, CLASSES)
        ),
        _vectors,
    ),
    "twice": (Twice, _vectors),
    "lora": (Lora, _vectors),
    "weight norm": (
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)), nn.Tanh(), nn.Linear(8, CLASSES)),
        _vectors,
    ),
}


@pytest.fixture(params=CASES, ids=list(CASES))
def case(request):
    make, data = CASES[request.param]
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return request.param, make(), data(), torch.randint(CLASSES, (B,))


def _both(module, x, y, clipping, engine):
    quick, exact = Flat(module), Flat(module)
    found = engine.add(x, y, clipping, quick)
    known = ExampleGradients(module, cross_entropy, one_by_one=True).add(x, y, clipping, exact)
    return quick.buffer, exact.buffer, found, known


@pytest.mark.parametrize("kind", ["flat", "per_layer", "automatic"])
def test_every_layer_type_agrees_with_one_example_at_a_time(case, kind) -> None:
    _, module, x, y = case
    clipping = Clipping(kind, 0.7)
    quick, exact, found, known = _both(module, x, y, clipping, BookKeeping(module, cross_entropy))
    assert largest_gap(quick, exact) < 1e-5
    assert largest_gap(found.norms, known.norms) < 1e-5
    assert found.below == known.below
    assert torch.allclose(found.losses, known.losses, atol=1e-6)


def test_ghost_clipping_and_vmap_agree_too(case) -> None:
    _, module, x, y = case
    clipping = Clipping("flat", 0.7)
    quick, exact, _, _ = _both(module, x, y, clipping, GhostClipping(module, cross_entropy))
    assert largest_gap(quick, exact) < 1e-5
    mapped = Flat(module)
    ExampleGradients(module, cross_entropy).add(x, y, clipping, mapped)
    assert largest_gap(mapped.buffer, exact) < 1e-5


def test_the_module_is_left_as_it_was(case) -> None:
    _, module, x, y = case
    before = copy.deepcopy(module.state_dict())
    asked = [value.requires_grad for value in module.parameters()]
    with contextlib.suppress(Unfit):
        BookKeeping(module, cross_entropy).add(x, y, Clipping(), Flat(module))
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert asked == [value.requires_grad for value in module.parameters()]
    assert not any(part._forward_hooks for part in module.modules())
    assert all(value.grad is None for value in module.parameters())


def test_no_weighted_gradient_is_longer_than_the_bound() -> None:
    module = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, CLASSES))
    x, y = _vectors() * 100, torch.zeros(B, dtype=torch.int64)
    for kind in ("flat", "per_layer", "automatic"):
        for row in range(B):
            flat = Flat(module)
            BookKeeping(module, cross_entropy).add(x[row : row + 1], y[row : row + 1], Clipping(kind, 0.5), flat)
            assert float(flat.buffer.norm()) <= 0.5 * (1 + 1e-5)


def test_shared_parameters_and_networks_that_hold_their_own_go_the_slow_way() -> None:
    tied = Attention()
    tied.ask.weight = tied.norm.weight  # nonsense, but shared
    with pytest.raises(Unfit, match="share"):
        BookKeeping(tied, cross_entropy)

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shift, self.out = nn.Parameter(torch.zeros(8)), nn.Linear(8, CLASSES)

        def forward(self, x):
            return self.out(x + self.shift)

    with pytest.raises(Unfit, match="itself holds"):
        BookKeeping(Own(), cross_entropy)


def test_an_input_changed_in_place_later_is_noticed() -> None:
    class Later(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.out = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, CLASSES)

        def forward(self, x):
            h = self.first(x)
            z = self.second(h)
            h += 1
            return self.out(h + z)

    module = Later()
    with pytest.raises(Unfit, match="in place"):
        BookKeeping(module, cross_entropy).add(_vectors(), torch.zeros(B, dtype=torch.int64), Clipping(), Flat(module))


def test_gradients_that_are_no_numbers_add_nothing() -> None:
    module = nn.Sequential(nn.Linear(8, 4), nn.Linear(4, CLASSES))
    x, y = _vectors(), torch.zeros(B, dtype=torch.int64)
    x[2] = float("nan")
    flat = Flat(module)
    for engine in (BookKeeping(module, cross_entropy), ExampleGradients(module, cross_entropy)):
        with pytest.raises(NotFinite) as caught:
            engine.add(x, y, Clipping(), flat)
        assert caught.value.good.tolist() == [row != 2 for row in range(B)]
        assert not flat.buffer.any()


def test_bfloat16_keeps_the_bound() -> None:
    module = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, CLASSES))
    x, y = _vectors() * 30, torch.zeros(B, dtype=torch.int64)
    for row in range(B):
        flat = Flat(module)
        BookKeeping(module, cross_entropy, mixed=True).add(
            x[row : row + 1], y[row : row + 1], Clipping(bound=0.3), flat
        )
        assert float(flat.buffer.norm()) <= 0.3 * (1 + 1e-5)


def test_a_mean_loss_is_refused() -> None:
    module = nn.Linear(8, CLASSES)
    mean = nn.functional.cross_entropy
    with pytest.raises(ValueError, match="one number each"):
        BookKeeping(module, lambda net, x, y: mean(net(x), y)).add(
            _vectors(), torch.zeros(B, dtype=torch.int64), Clipping(), Flat(module)
        )


def test_the_adaptive_bound_finds_its_quantile_and_pays_for_the_count() -> None:
    norms = torch.linspace(0.0, 10.0, 1001)
    adaptive = AdaptiveBound(bound=0.1, quantile=0.5, count_noise=1.0)
    for _ in range(100):
        adaptive.follow(int((norms <= adaptive.bound).sum()), len(norms), 0.0)
    assert adaptive.bound == pytest.approx(5.0, rel=0.05)
    # (2 σ_b)⁻² + z_Δ⁻² = z⁻²
    raised = adaptive.gradient_noise(1.0)
    assert raised**-2 + 2.0**-2 == pytest.approx(1.0)
    with pytest.raises(ValueError, match="count"):
        adaptive.gradient_noise(3.0)
