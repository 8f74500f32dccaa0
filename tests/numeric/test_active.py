"""Records shrink whole."""

from dataclasses import dataclass

import torch

from hauberk.numeric.active import take
from hauberk.numeric.losses import Aim


@dataclass(frozen=True, slots=True)
class Pair:
    x: torch.Tensor
    aim: Aim
    radius: float


def test_every_tensor_keeps_the_same_rows_and_the_rest_stays():
    pair = Pair(torch.arange(6.0).reshape(3, 2), Aim(torch.tensor([7, 8, 9])), 0.5)
    kept = take(pair, torch.tensor([2, 0]))
    assert kept.x.tolist() == [[4.0, 5.0], [0.0, 1.0]]
    assert kept.aim.labels.tolist() == [9, 7]
    assert kept.aim.wanted is None
    assert kept.radius == 0.5
    assert len(pair.x) == 3
