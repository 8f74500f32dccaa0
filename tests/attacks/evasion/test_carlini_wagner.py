"""C&W where clean values lie at a bound of the box, which in tanh space is infinitely far away."""

import pytest
import torch

from hauberk.attacks.evasion.carlini_wagner import CarliniWagner
from hauberk.core.threat import Threat
from hauberk.numeric.balls import size


@pytest.mark.parametrize(("norm", "within"), [("linf", 1.05), ("l2", 1.05), ("l0", 1.0)])
def test_values_at_a_bound_leave_it_as_quickly_as_others(make_linear, rng, norm, within):
    """All values are 0 and can only grow: the optimum of a linear model of two classes is known in each norm."""
    target = make_linear(40, 2)
    x = torch.zeros(1, 40)
    with torch.no_grad():
        target.net.bias.copy_(torch.tensor([6.0, -6.0]))
    weight = (target.net.weight[1] - target.net.weight[0]).detach()
    useful = weight.clamp(min=0)
    gap = 12.0
    most = useful.sort(descending=True).values.cumsum(0)
    best = {
        "linf": gap / float(useful.sum()),
        "l2": gap / float(useful.norm()),
        "l0": float((most < gap).sum() + 1),
    }[norm]
    found = CarliniWagner(norm=norm, steps=50).run(target, x, torch.tensor([0]), Threat(name="free"), rng)
    assert int(target.predict(found).argmax(1)) == 1
    far = float(size(found - x, norm))
    assert best * 0.999 <= far <= best * within
