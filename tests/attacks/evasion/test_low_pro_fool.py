"""LowProFool comes near the least importance-weighted move a linear model allows, whatever the columns' units."""

import pytest
import torch

from hauberk.attacks.evasion.low_pro_fool import LowProFool, importance
from hauberk.core.schema import Column
from hauberk.core.threat import Constraints, Threat
from hauberk.targets import from_torch

UNITS = torch.tensor([1.0, 100.0, 0.1, 1.0])


class Net(torch.nn.Module):
    """Two classes, a plane between them, in columns of any unit."""

    def __init__(self, weight, units):
        super().__init__()
        self.weight, self.units = weight, units

    def forward(self, x):
        z = (x / self.units - 0.5) @ self.weight
        return torch.stack((-z, z), 1)


@pytest.mark.parametrize("units", [torch.ones(4), UNITS], ids=["one unit", "several"])
def test_it_comes_near_the_least_weighted_move(units):
    rng = torch.Generator().manual_seed(0)
    weight = torch.tensor([1.0, -1.5, 2.0, 0.7])
    target = from_torch(Net(weight, units), bounds=(0, 100), shape=(4,), classes=2)
    x = (0.3 + 0.4 * torch.rand(80, 4, generator=rng)) * units
    y = target.predict(x).argmax(1)
    columns = tuple(Column(name=str(i), low=0, high=float(unit)) for i, unit in enumerate(units))
    threat = Threat(name="t", constraints=Constraints(columns=columns))
    found = LowProFool().run(target, x, y, threat, torch.Generator())
    assert bool((target.predict(found).argmax(1) != y).all())
    heavy = importance(x, y)
    spent = ((found - x) / units * heavy).norm(dim=1)
    least = ((x / units - 0.5) @ weight).abs() / (weight / heavy).norm()
    assert float((spent / least).min()) > 0.999
    assert float((spent / least).median()) < 1.25
