"""What users hand to attacks by mistake: each a clear error or a sound result, for every kind of attack."""

import pytest
import torch
from torch import nn

from hauberk.core.errors import DataError, TargetError, TargetMemory, TargetOutput
from hauberk.core.plugins import build
from hauberk.core.protocols import TargetSpec
from hauberk.core.threat import LINF_0_1
from hauberk.targets import from_torch

ATTACKS = {
    "evasion.pgd": {"steps": 3},
    "evasion.apgd": {"steps": 4},
    "evasion.deepfool": {"steps": 3},
    "evasion.square": {"queries": 6},
    "evasion.hop_skip_jump": {"queries": 60},
}
GRADIENTS = ["evasion.pgd", "evasion.apgd", "evasion.deepfool"]
X = torch.rand(4, 1, 6, 6, generator=torch.Generator().manual_seed(0))
Y = torch.zeros(4, dtype=torch.long)


def run(name, net, x=X, y=Y, **known):
    target = net if hasattr(net, "spec") else from_torch(net, shape=(1, 6, 6), **known)
    attack = build("attacks", name, ATTACKS[name])
    return attack.run(target, x, y, LINF_0_1, torch.Generator().manual_seed(1))


def linear(classes):
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return nn.Sequential(nn.Flatten(), nn.Linear(36, classes))


class Answering(nn.Module):
    """Answers by a function of its own."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return self.answer(x.flatten(1)[:, :3])


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_model_that_answers_no_number(name, value):
    with pytest.raises(TargetOutput, match=r"NaN|infin"):
        run(name, Answering(lambda x: x + value))


@pytest.mark.parametrize("name", ATTACKS)
def test_a_model_of_a_wrong_shape(name):
    with pytest.raises(TargetOutput, match="shape"):
        run(name, Answering(lambda x: x.reshape(-1, 3, 1, 1)))


@pytest.mark.parametrize("name", ATTACKS)
def test_a_model_that_raises(name):
    with pytest.raises(TargetError, match="ZeroDivisionError"):
        run(name, Answering(lambda x: x / (1 // 0)))


@pytest.mark.parametrize("name", ATTACKS)
def test_labels_that_are_no_integers(name):
    with pytest.raises(DataError, match="integers"):
        run(name, linear(3), y=Y.float())


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("x", [X + 1, X * float("nan")], ids=["outside", "nan"])
def test_inputs_outside_the_bounds(name, x):
    with pytest.raises(DataError, match="outside the target's"):
        run(name, linear(3), x=x)


@pytest.mark.parametrize("name", ATTACKS)
def test_integer_inputs_are_taken_as_numbers(name):
    found = run(name, linear(3), x=X.round().long())
    assert float((found.float() - X.round()).abs().max()) <= LINF_0_1.ball.radius


@pytest.mark.parametrize("name", ATTACKS)
def test_one_class(name):
    class Single:
        spec = TargetSpec(name="single", kind="test", shape=(1, 6, 6), classes=1, bounds=(0, 1))

        def forward(self, x):
            return x.flatten(1)[:, :1]

        predict = forward

    with pytest.raises(DataError, match="one class"):
        run(name, Single())


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hundred_thousand_classes(name):
    net = linear(100_000)
    y = from_torch(net, shape=(1, 6, 6)).predict(X).argmax(1)
    found = run(name, net, y=y)
    assert float((found - X).abs().max()) <= LINF_0_1.ball.radius
    if name in GRADIENTS:
        assert bool((from_torch(net, shape=(1, 6, 6)).predict(found).argmax(1) != y).any())


@pytest.mark.parametrize("name", ATTACKS)
def test_a_model_without_slope(name):
    found = run(name, Answering(lambda x: x * 0), classes=3, answers="logits")
    assert torch.isfinite(found).all()
    assert float((found - X).abs().max()) <= LINF_0_1.ball.radius


class Small(nn.Module):
    """Has memory for `most` inputs."""

    def __init__(self, most):
        super().__init__()
        self.most, self.linear = most, linear(3)

    def forward(self, x):
        if len(x) > self.most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        return self.linear(x)


@pytest.mark.parametrize("name", ATTACKS)
def test_memory_for_one_input_only_gives_the_same_as_memory_enough(name):
    net = Small(4)
    enough = run(name, net)
    net.most = 1
    assert torch.allclose(run(name, net), enough, atol=1e-5)


@pytest.mark.parametrize("name", ATTACKS)
def test_memory_too_small_for_one_input(name):
    with pytest.raises(TargetMemory, match="memory is too small"):
        run(name, Small(0), classes=3, answers="logits")


def test_a_model_in_training_mode_is_asked_in_evaluation_mode_and_it_is_said():
    net = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(36, 3)).train()
    target = from_torch(net, shape=(1, 6, 6))
    assert torch.equal(target.predict(X), target.predict(X))
    assert any("training mode" in note for note in target.spec.notes)
    assert net.training
    assert not from_torch(net.eval(), shape=(1, 6, 6)).spec.notes
