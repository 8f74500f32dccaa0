"""Shadow attack: its penalties' slope, and that what it finds is smoother and greyer than without them."""

import torch

from hauberk.attacks.evasion.shadow import Shadow
from hauberk.core.threat import Threat

FREE = Threat(name="free")


def penalties(attack, move):
    rough = move.diff(dim=2).abs().sum((1, 2, 3)) + move.diff(dim=3).abs().sum((1, 2, 3))
    pixels = move.shape[2] * move.shape[3]
    size = move.abs().mean((2, 3)).square().sum(1)
    colour = sum((move[:, a] - move[:, b]).square().sum((1, 2)) for a in range(3) for b in range(a)) / pixels
    return attack.smooth * rough / pixels + attack.faint * size + attack.grey * colour


def test_the_slope_is_that_of_the_penalties(rng):
    attack = Shadow(smooth=0.7, faint=1.3, grey=0.4)
    move = torch.randn(4, 3, 5, 6, generator=rng).requires_grad_()
    (slope,) = torch.autograd.grad(penalties(attack, move).sum(), move)
    assert torch.allclose(attack._slope(move.detach()), slope, atol=1e-6)


def test_it_breaks_with_smoother_changes_than_without_penalties(digits_plain, rng):
    target, x, y = digits_plain.target, digits_plain.x, digits_plain.y

    def roughness(attack):
        found = attack.run(target, x, y, FREE, rng)
        assert float((target.predict(found).argmax(1) != y).float().mean()) > 0.25
        move = found - x
        return float((move.diff(dim=2).abs().mean() + move.diff(dim=3).abs().mean()) / move.abs().mean())

    assert roughness(Shadow(smooth=3.0)) < roughness(Shadow(smooth=0.0, faint=0.0, grey=0.0)) - 0.05
