"""The running mean of weights: its horizon, its buffers, and that horizon 0 is the module itself."""

from __future__ import annotations

from torch import nn

from hauberk.defenses.weight_averaging import Averaged


def test_the_mean_forgets_the_beginning() -> None:
    module = nn.Linear(1, 1, bias=False)
    mean = Averaged(module, 0.1)
    for step in range(1, 401):
        nn.init.constant_(module.weight, float(step))
        mean.follow()
    # Weights t^10 of a polynomial mean: it lies at 10/11 of the way, plus what is still on it.
    assert 0.88 < float(mean.module.weight.detach()) / 400 < 0.93
    assert not mean.module.weight.requires_grad


def test_statistics_are_averaged_and_counters_copied() -> None:
    module = nn.BatchNorm1d(2)
    mean = Averaged(module, 1.0)
    module.running_mean.fill_(4.0)
    module.num_batches_tracked.fill_(7)
    mean.follow()
    assert mean.module.running_mean.tolist() == [2.0, 2.0]
    assert int(mean.module.num_batches_tracked) == 7
    assert mean.steps == 1


def test_horizon_zero_is_the_module_itself() -> None:
    module = nn.Linear(1, 1)
    mean = Averaged(module, 0.0)
    mean.follow()
    assert mean.module is module
    assert module.weight.requires_grad
