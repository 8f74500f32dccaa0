"""CROWN's lines through a chain: they hold, are tighter than intervals, reach the weights, refuse what is none."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hauberk.core.errors import MissingPower
from hauberk.core.threat import Ball
from hauberk.numeric.crown_chain import crown_leads
from hauberk.numeric.interval_bounds import box_of, worst_case


def made() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(2, 6, 3, stride=2, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(inplace=True),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(24, 16),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(16, 16),
            nn.ReLU(),
            nn.Linear(16, 4),
        )
        module[1].running_mean.uniform_(-0.5, 0.5)
        nn.init.uniform_(module[1].weight, -2, 2)
    return module.eval()


def cases(radius: float):
    rng = torch.Generator().manual_seed(1)
    x, y = torch.rand(6, 2, 8, 8, generator=rng), torch.randint(4, (6,), generator=rng)
    return x, y, box_of(Ball("linf", radius), x, (0.0, 1.0)), rng


@pytest.mark.parametrize("radius", [0.0, 0.02, 0.2])
def test_no_point_of_the_box_leads_by_more(radius: float) -> None:
    module = made()
    _, y, box, rng = cases(radius)
    found = crown_leads(module, *box, y)
    assert float(found.detach().gather(1, y[:, None]).abs().max()) < 1e-5
    for _ in range(300):
        share = torch.rand(box.lower.shape, generator=rng).round()
        with torch.no_grad():
            logits = module(box.lower + share * (box.upper - box.lower))
        leads = logits - logits.gather(1, y[:, None])
        assert bool((leads <= found + 1e-5).all())
    if radius == 0:
        assert torch.allclose(found, leads, atol=1e-5)


def test_it_is_tighter_than_intervals_and_alike_to_the_bounds_of_certificates() -> None:
    from hauberk.numeric.linear_bounds import area_of, margins
    from hauberk.numeric.linear_bounds_graph import graph_of

    module = made().requires_grad_(False)
    x, y, box, _ = cases(0.05)
    found, loose = crown_leads(module, *box, y), worst_case(module, *box, y)
    assert float((loose - found).detach().mean()) > 0.05
    peer = -margins(graph_of(module, x), area_of(Ball("linf", 0.05), x, (0.0, 1.0)), y, "crown-ibp")
    assert torch.allclose(found, peer, atol=0.02 * float(peer.abs().max()))


def test_gradients_reach_every_weight() -> None:
    module = made()
    _, y, box, _ = cases(0.05)
    nn.functional.cross_entropy(crown_leads(module, *box, y), y).backward()
    assert all(bool(parameter.grad.abs().sum() > 0) for parameter in module.parameters() if parameter.ndim > 1)


class Short(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.first(x)) + x)


@pytest.mark.parametrize(
    ("module", "word"),
    [
        (Short(), "no chain"),
        (nn.Sequential(nn.Linear(4, 3), nn.Tanh()), "no rule for Tanh"),
        (
            type("Late", (nn.Sequential,), {"forward": lambda self, x: self[0](x) * 2})(nn.Linear(4, 3)),
            "end in a layer",
        ),
    ],
)
def test_what_is_no_chain_is_refused(module, word) -> None:
    x = torch.zeros(2, 4)
    with pytest.raises(MissingPower, match=word):
        crown_leads(module, x, x + 1, torch.tensor([0, 1]))
