"""Dataset inference on noisy rows: the owner's model is recognised, independent ones are not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hauberk.core.errors import DataError, MissingPower
from hauberk.core.protocols import TargetSpec
from hauberk.defenses.dataset_inference import infer
from hauberk.defenses.plain_training import Course, fit


class Net:
    def __init__(self, module: nn.Module, answers: str = "logits") -> None:
        self.module = module
        self.spec = TargetSpec(name="s", kind="test", shape=(20,), classes=2, bounds=(-9.0, 9.0), answers=answers)

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            scores = self.module(x)
        return scores if self.spec.answers == "logits" else scores.softmax(1)


def rows(seed: int, n: int = 150) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 20, generator=rng)
    return x, ((x[:, 0] + 0.7 * torch.randn(n, generator=rng)) > 0).long()


def trained(x: torch.Tensor, y: torch.Tensor, seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 2))
    fit(net, x, y, Course(epochs=40), torch.Generator().manual_seed(seed))
    return net


def test_the_owners_rows_are_recognised_and_others_not() -> None:
    own, unseen = rows(0), rows(1)
    net = trained(*own, seed=0)
    for answers in ("logits", "probabilities"):
        found = infer(Net(net, answers), own, unseen)
        assert found.p < 1e-6
        assert found.lead > 0
    independent = [infer(Net(trained(*rows(10 + seed), seed=seed)), own, unseen).p for seed in range(6)]
    assert min(independent) > 0.005


def test_bad_input_is_refused() -> None:
    with pytest.raises(MissingPower):
        infer(Net(nn.Identity(), "labels"), rows(0), rows(1))
    with pytest.raises(DataError, match="3 own and 150 unseen"):
        infer(Net(nn.Identity()), rows(0, 3), rows(1))
