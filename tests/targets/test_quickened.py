"""A quicker copy answers like the network it was made of, and is used only to search."""

import pytest
import torch
from torch import nn

from hauberk.attacks.counting import Ledger, view
from hauberk.attacks.evasion.pgd import PGD
from hauberk.core.threat import Ball, Threat
from hauberk.targets import from_torch

HALF = Threat(name="half", ball=Ball("linf", 0.5))


class Residual(nn.Module):
    """Batch norms in a skip, and one after a sum, which cannot be folded."""

    def __init__(self):
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
        self.second, self.norm2 = nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32)
        self.norm3, self.out = nn.BatchNorm2d(32), nn.Linear(32, 5)
        nn.init.normal_(self.out.weight, std=3.0)

    def forward(self, x):
        x = torch.relu(self.norm1(self.first(x)))
        x = self.norm3(x + self.norm2(self.second(x)))
        return self.out(x.mean((2, 3)))


class Wilful(Residual):
    """Cannot be traced: its way depends on its values."""

    def forward(self, x):
        return super().forward(x if float(x.detach().sum()) > -1e9 else -x)


def randomised(net):
    rng = torch.Generator().manual_seed(3)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            for values, low in ((part.running_mean, -1), (part.running_var, 0.2), (part.weight.data, 0.5)):
                values.copy_(low + torch.rand(values.shape, generator=rng))
    return net.eval()


@pytest.mark.parametrize(
    "make", [Residual, Wilful, lambda: nn.Sequential(Residual().first, Residual().norm1, nn.Flatten())]
)
def test_it_answers_alike_with_fewer_norms(make):
    torch.manual_seed(0)
    net = randomised(make())
    target = from_torch(net, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4), shape=(3, 8, 8))
    x = torch.rand(7, 3, 8, 8)
    target.predict(x)
    quick = target.search_copy(x)
    assert quick is not None and quick is not target
    assert torch.allclose(quick.forward(x), target.forward(x), rtol=1e-4, atol=1e-4)
    norms = [part for part in quick._prepared.modules() if isinstance(part, nn.BatchNorm2d)]
    assert len(norms) == {Residual: 1, Wilful: 3}.get(make, 0)
    assert target.search_copy(x) is quick


def test_a_small_network_has_none_and_a_plain_one_is_its_own():
    x = torch.rand(3, 1, 6, 6)
    assert from_torch(nn.Sequential(nn.Flatten(), nn.Linear(36, 2)), shape=(1, 6, 6)).search_copy(x) is None
    plain = from_torch(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(64, 2)), shape=(1, 6, 6))
    assert plain.search_copy(x) is plain
    shown = view(plain, "white-box", Ledger())
    assert shown.search_copy(x) is shown


def test_what_it_is_asked_is_counted_and_finds_what_the_network_itself_admits():
    torch.manual_seed(1)
    target = from_torch(randomised(Residual()), shape=(3, 8, 8))
    x = torch.rand(16, 3, 8, 8)
    y = target.predict(x).argmax(1)
    ledger = Ledger()
    found = PGD(steps=10).run(view(target, "white-box", ledger), x, y, HALF, torch.Generator().manual_seed(0))
    broken = target.predict(found).argmax(1) != y
    assert int(broken.sum()) >= 8
    assert ledger.gradients >= 16
