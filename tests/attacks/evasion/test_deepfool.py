"""DeepFool: the exact distance to a hyperplane, small norms on a net, cut to the ball where there is one."""

import pytest
import torch

from hauberk.attacks.evasion.deepfool import DeepFool
from hauberk.attacks.evasion.pgd import PGD
from hauberk.core.errors import UsageError
from hauberk.core.threat import LINF_0_1, Ball, Threat
from hauberk.numeric.balls import region, size

FREE = Threat(name="any distance")


def distances(target, x, y, norm):
    """Distance of each x to the nearest face of its class's cell: min over k of gap / ‖w_k − w_y‖ in the dual norm."""
    weight, scores = target.net.weight.detach().double(), target.predict(x).double()
    gap = scores.gather(1, y[:, None]) - scores
    slope = weight[None] - weight[y][:, None]
    dual = torch.linalg.vector_norm(slope, {"linf": 1, "l2": 2, "l1": torch.inf}[norm], dim=2)
    return (gap / dual).masked_fill(torch.nn.functional.one_hot(y, scores.shape[1]).bool(), torch.inf).amin(1)


@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
@pytest.mark.parametrize("classes", [2, 5])
def test_on_a_linear_model_it_is_the_distance_to_the_nearest_face(make_linear, rng, norm, classes):
    target = make_linear(20, classes, bounds=(-50.0, 50.0))
    x = torch.randn(60, 20, generator=rng)
    y = target.predict(x).argmax(1)
    found = DeepFool(norm=norm, overshoot=1e-3).run(target, x, y, FREE, rng)
    assert bool((target.predict(found).argmax(1) != y).all())
    moved = size((found - x).double(), norm)
    assert torch.allclose(moved, 1.001 * distances(target, x, y, norm), rtol=2e-4, atol=1e-5)


def test_on_a_net_it_breaks_all_with_less_than_pgd_needs(digits_plain, rng):
    target, x, y = digits_plain.target, digits_plain.x, digits_plain.y
    found = DeepFool().run(target, x, y, FREE, rng)
    assert (target.predict(found).argmax(1) != y).float().mean() > 0.95
    assert bool(((found >= 0) & (found <= 1)).all())
    median = float(size(found - x, "l2").median())
    walked = PGD(steps=40).run(target, x, y, Threat(name="t", ball=Ball("l2", median)), rng)
    # PGD at DeepFool's median radius breaks about half: the norms are of the right size.
    assert 0.3 < (target.predict(walked).argmax(1) != y).float().mean() < 0.75


def test_it_is_cut_to_the_threats_ball(digits_plain, rng):
    target, x, y = digits_plain.target, digits_plain.x, digits_plain.y
    found = DeepFool().run(target, x, y, LINF_0_1, rng)
    assert bool(region(LINF_0_1.ball, x, (0, 1)).contains(found).all())
    assert (target.predict(found).argmax(1) != y).any()


def test_samples_already_wrong_come_back_unchanged(make_linear, rng):
    target = make_linear(6, 3)
    x = torch.rand(20, 6, generator=rng)
    y = (target.predict(x).argmax(1) + 1) % 3
    assert torch.equal(DeepFool().run(target, x, y, FREE, rng), x)


def test_a_flat_model_gives_numbers(make_plain, rng):
    class Flat(torch.nn.Module):
        def forward(self, x):
            return x.flatten(1).sum(1, keepdim=True) * torch.zeros(1, 3) + torch.tensor([1.0, 0.0, 0.0])

    x = torch.rand(4, 6, generator=rng)
    for norm in ("l2", "linf", "l1"):
        found = DeepFool(norm=norm).run(make_plain(Flat(), (6,), 3), x, torch.zeros(4, dtype=torch.long), FREE, rng)
        assert bool(torch.isfinite(found).all())


def test_a_targeted_threat_reaches_its_class(make_linear, rng):
    target = make_linear(20, 4, bounds=(-50.0, 50.0))
    x = torch.randn(40, 20, generator=rng)
    y = target.predict(x).argmax(1)
    found = DeepFool().run(target, x, y, Threat(name="t", target_class=3), rng)
    assert bool((target.predict(found).argmax(1) == 3).all())


def test_l0_is_refused(make_linear, rng):
    with pytest.raises(UsageError, match="linf, l2, l1"):
        DeepFool().run(
            make_linear(4, 2), torch.rand(1, 4), torch.tensor([0]), Threat(name="t", ball=Ball("l0", 1)), rng
        )
