"""Universal perturbation: one move for all, judged on inputs it was not made from."""

import pytest
import torch

from hauberk.attacks.counting import Ledger, view
from hauberk.attacks.evasion.universal import Universal, moved
from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.threat import Ball, Threat
from hauberk.numeric.balls import region

WIDE = {"linf": Threat(name="linf", ball=Ball("linf", 0.3)), "l2": Threat(name="l2", ball=Ball("l2", 2.0))}


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(("method", "least"), [("gradient", 0.4), ("faces", 0.07)])
def test_it_fools_on_held_out_inputs_far_more_often_than_noise(digits_plain, rng, norm, method, least):
    target, x, y, threat = digits_plain.target, digits_plain.x, digits_plain.y, WIDE[norm]
    move = Universal(method=method).perturbation(target, x[:100], y[:100], threat, rng)
    noise = region(threat.ball, torch.zeros(1, 1, 8, 8), (-1, 1)).scatter(rng)[0]

    def rate(move):
        found = moved(x[100:], move, threat, (0, 1))
        assert bool(region(threat.ball, x[100:], (0, 1)).contains(found).all())
        return float((target.predict(found).argmax(1) != y[100:]).float().mean())

    assert rate(move) > max(least, 3 * rate(noise))


def test_all_inputs_move_alike_and_on_a_linear_model_along_its_weights(make_linear, rng):
    target = make_linear(20, 2)
    target.net.bias.data.zero_()
    x = 0.5 + 0.05 * torch.randn(80, 20, generator=rng)
    y = target.predict(x).argmax(1)
    x, y = x[y == y[0]], y[y == y[0]]
    found = Universal().run(target, x, y, Threat(name="t", ball=Ball("linf", 0.1)), rng)
    assert torch.allclose(found - x, (found - x)[:1].expand_as(x), atol=1e-6)
    row = target.net.weight.detach()[1 - y[0]] - target.net.weight.detach()[y[0]]
    assert float((found - x)[0] @ row) > 0.95 * 0.1 * float(row.abs().sum())


def test_a_target_class_is_reached_by_most_held_out_inputs(digits_plain, rng):
    threat = Threat(name="t", ball=Ball("linf", 0.35), target_class=8)
    move = Universal().perturbation(digits_plain.target, digits_plain.x[:100], digits_plain.y[:100], threat, rng)
    found = moved(digits_plain.x[100:], move, threat, (0, 1))
    assert float((digits_plain.target.predict(found).argmax(1) == 8).float().mean()) > 0.5


def test_its_steps_are_its_cost_and_a_budget_goes_before_them(digits_plain, rng):
    x, y = digits_plain.x[:64], digits_plain.y[:64]
    for queries, cost in ((None, 10 * 32), (3, 3 * 64)):
        ledger, threat = Ledger(), Threat(name="t", ball=Ball("linf", 0.1), queries=queries)
        Universal(steps=10, batch=32).run(view(digits_plain.target, "white-box", ledger), x, y, threat, rng)
        assert ledger.queries == cost


def test_what_it_cannot_do_it_says(digits_plain, rng):
    target, x, y = digits_plain.target, digits_plain.x[:4], digits_plain.y[:4]
    with pytest.raises(UsageError, match="linf, l2"):
        Universal().run(target, x, y, Threat(name="t"), rng)
    with pytest.raises(MissingPower):
        Universal().run(view(target, "score", Ledger()), x, y, WIDE["l2"], rng)
