"""The inner maximisation: it climbs, stays in ball and box, and reaches the corner a linear loss has."""

from __future__ import annotations

import pytest
import torch

from hauberk.core.errors import UsageError
from hauberk.core.threat import Ball, Patch, Threat
from hauberk.defenses.inner_maximisation import Inner, around, ascend, onward
from hauberk.numeric.balls import size


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(("norm", "radius"), [("linf", 0.1), ("l2", 0.5), ("l1", 2.0), ("l0", 3.0)])
@pytest.mark.parametrize("start", ["random", "near", "clean"])
def test_a_linear_loss_is_climbed_inside_the_ball(norm, radius, start) -> None:
    x, slope = torch.rand(5, 1, 4, 4, generator=rng()), torch.randn(1, 4, 4, generator=rng())
    where = around(Threat(name="t", ball=Ball(norm, radius)), x, (0.0, 1.0))
    found = ascend(lambda z: (z * slope).sum(), where, rng(), Inner(20, start=start))
    assert bool((size(found - x, norm) <= radius * (1 + 1e-5)).all())
    assert bool(((found >= 0) & (found <= 1)).all())
    assert bool((((found - x) * slope).flatten(1).sum(1) > 0).all())
    assert not found.requires_grad
    if norm == "linf":
        corner = (x + radius * slope.sign()).clamp(0, 1)
        assert torch.allclose(found, corner, atol=1e-6)


def test_strides_and_no_steps() -> None:
    assert Inner(7).stride == pytest.approx(2.5 / 7)
    assert Inner(1).stride == 1.0
    assert Inner(1, 1.25).stride == 1.25
    where = around(Threat(name="t", ball=Ball("linf", 0.1)), torch.full((1, 3), 0.5), (0.0, 1.0))
    assert torch.equal(ascend(torch.sum, where, rng(), Inner(0, start="clean")), where.center)
    assert torch.allclose(onward(where.center, torch.ones(1, 3), where, 0.5), torch.full((1, 3), 0.55))


def test_a_threat_without_a_ball_is_refused() -> None:
    for threat in (Threat(name="t"), Threat(name="t", patch=Patch((2, 2)))):
        with pytest.raises(UsageError, match="no ball"):
            around(threat, torch.zeros(1, 3), (0.0, 1.0))
