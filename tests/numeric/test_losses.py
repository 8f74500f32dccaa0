"""The losses: values by hand, slopes against autograd."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hauberk.numeric.losses import LOSSES, Aim, cross_entropy, dlr, dlr_towards, lead, margin


def slope_by_autograd(value, logits):
    (slope,) = torch.autograd.grad(value.sum(), logits)
    return slope


def plain_dlr(z, y):
    ordered = z.sort(dim=1, descending=True).values
    own = z.gather(1, y[:, None]).squeeze(1)
    other = z.masked_fill(torch.nn.functional.one_hot(y, z.shape[1]).bool(), -torch.inf).amax(1)
    return -(own - other) / (ordered[:, 0] - ordered[:, 2])


def plain_probability_margin(z, y):
    chances = z.softmax(1)
    other = chances.masked_fill(torch.nn.functional.one_hot(y, z.shape[1]).bool(), -torch.inf).amax(1)
    return other - chances.gather(1, y[:, None]).squeeze(1)


def plain_dlr_towards(z, y, t):
    ordered = z.sort(dim=1, descending=True).values
    rows = torch.arange(len(z))
    return -(z[rows, y] - z[rows, t]) / (ordered[:, 0] - ordered[:, : min(4, z.shape[1])][:, -2:].mean(1))


@given(st.integers(3, 12), st.integers(0, 2**31), st.sampled_from([0.1, 1.0, 20.0]))
@settings(max_examples=60, deadline=None)
def test_values_and_slopes_agree_with_autograd(classes, seed, scale):
    rng = torch.Generator().manual_seed(seed)
    z = (scale * torch.randn(6, classes, generator=rng, dtype=torch.float64)).requires_grad_()
    y = torch.randint(classes, (6,), generator=rng)
    t = (y + torch.randint(1, classes, (6,), generator=rng)) % classes
    plain = {
        "ce": torch.nn.functional.cross_entropy(z, y, reduction="none"),
        "dlr": plain_dlr(z, y),
        "margin": z.masked_fill(torch.nn.functional.one_hot(y, classes).bool(), -torch.inf).amax(1)
        - z.gather(1, y[:, None]).squeeze(1),
        "probability-margin": plain_probability_margin(z, y),
    }
    for name, value in plain.items():
        climb = LOSSES[name](z.detach(), Aim(y))
        assert torch.allclose(climb.value, value, rtol=1e-9, atol=1e-12)
        assert torch.allclose(climb.slope, slope_by_autograd(value, z), rtol=1e-7, atol=1e-10)
    wanted = plain_dlr_towards(z, y, t)
    climb = dlr_towards(z.detach(), y, t)
    assert torch.allclose(climb.value, wanted, rtol=1e-9)
    assert torch.allclose(climb.slope, slope_by_autograd(wanted, z), rtol=1e-7, atol=1e-10)
    reach = LOSSES["ce"](z.detach(), Aim(y, t))
    assert torch.allclose(reach.value, -torch.nn.functional.cross_entropy(z, t, reduction="none").detach())


def test_two_classes_fall_back_to_the_margin():
    z, y = torch.tensor([[2.0, 0.5], [0.0, 3.0]]), torch.tensor([0, 0])
    assert torch.equal(dlr(z, y).value, torch.tensor([-1.5, 3.0]))
    assert torch.equal(dlr(z, y).slope, margin(z, y).slope)
    assert torch.equal(dlr_towards(z, y, 1 - y).value, torch.tensor([-1.5, 3.0]))


def test_three_classes_have_a_dlr():
    z, y = torch.tensor([[3.0, 2.0, 1.0]]), torch.tensor([0])
    assert dlr(z, y).value.item() == pytest.approx(-0.5)
    assert dlr_towards(z, y, torch.tensor([2])).value.item() == pytest.approx(-2 / 1.5)
    assert float(dlr_towards(z, y, torch.tensor([2])).slope.abs().max()) > 0.1, "the lowest class can be climbed to"


def test_equal_logits_give_numbers():
    z, y = torch.zeros(1, 5), torch.tensor([2])
    for climb in (dlr(z, y), dlr_towards(z, y, y - 1), cross_entropy(z, y), margin(z, y)):
        assert bool(torch.isfinite(climb.value).all())
        assert bool(torch.isfinite(climb.slope).all())


def test_slope_of_a_sure_model_does_not_vanish_at_its_label():
    """In float32 softmax − 1 is exactly 0 here, and half of the slope would be lost."""
    z, y = torch.tensor([[40.0, 0.0]]), torch.tensor([0])
    slope = cross_entropy(z, y).slope
    assert slope[0, 1].item() > 0
    assert slope[0, 0].item() == pytest.approx(-slope[0, 1].item())


def test_lead_is_positive_exactly_on_errors():
    z = torch.tensor([[1.0, 2.0, 0.0], [3.0, 2.0, 0.0]])
    y = torch.tensor([0, 0])
    assert lead(z, y).tolist() == [1.0, -1.0]
    assert Aim(y, torch.tensor([2, 2]), strict=True).lead(z).tolist() == [-2.0, -3.0]
    assert Aim(y, torch.tensor([2, 2])).lead(z).tolist() == [1.0, -1.0]
