"""EAD keeps what its rule calls nearest: by the norm, or by the elastic net; a ball's own norm goes before both."""

import torch

from hauberk.attacks.evasion.ead import EAD
from hauberk.core.threat import Ball, Threat
from hauberk.numeric.balls import size


def elastic(move, threshold):
    return (threshold * move.abs() + move.square()).flatten(1).sum(1)


def test_the_rules_keep_different_errors_of_one_search(digits_plain, rng):
    target, x, y = digits_plain.target, digits_plain.x[:60], digits_plain.y[:60]
    free = Threat(name="any distance")
    by_norm, by_net = (EAD(steps=100, rule=rule).run(target, x, y, free, rng) for rule in ("norm", "elastic"))
    for found in (by_norm, by_net):
        assert bool((target.predict(found).argmax(1) != y).all())
    assert bool((elastic(by_net - x, 0.01) <= elastic(by_norm - x, 0.01) + 1e-6).all())
    assert bool((size(by_norm - x, "l1") <= size(by_net - x, "l1") + 1e-6).all())
    assert float((elastic(by_norm - x, 0.01) / elastic(by_net - x, 0.01)).mean()) > 1.02


def test_in_a_ball_its_norm_counts(digits_plain, rng):
    target, x, y = digits_plain.target, digits_plain.x[:30], digits_plain.y[:30]
    threat = Threat(name="t", ball=Ball("l1", 4.0))
    by_norm, by_net = (EAD(steps=60, rule=rule).run(target, x, y, threat, rng) for rule in ("norm", "elastic"))
    assert torch.equal(by_norm, by_net)
