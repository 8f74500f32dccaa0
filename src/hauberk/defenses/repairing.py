"""What repairs of backdoored models share: a copy to work on, its prunable channels, and clean rows as tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import nn

from hauberk.core.errors import DataError, MissingPower
from hauberk.core.protocols import Modular, Split, Target

Tensor = torch.Tensor


class Bench(NamedTuple):
    """A model to be repaired. module: a copy of its own, trainable. x (n, *shape), y (n,): clean rows."""

    target: Modular
    module: nn.Module
    x: Tensor
    y: Tensor

    def done(self, name: str) -> Target:
        """Return the target around the repaired module, which says what was done to it."""
        return self.target.rebuild(self.module.eval().requires_grad_(False), f"{self.target.spec.name} ({name})")


def bench(target: Target, data: Split) -> Bench:
    """Take a copy of the model and the clean rows; raises MissingPower, or DataError where there are none."""
    if not isinstance(target, Modular):
        raise MissingPower(f"{target.spec.name} cannot give its module", fix="load it as a torch model")
    if not len(data.y):
        raise DataError("a repair needs some clean labelled rows", fix="give rows whose origin is known")
    x, y = torch.from_numpy(np.array(data.x)), torch.from_numpy(np.array(data.y))
    return Bench(target, target.module(), x, y)


def channels(module: nn.Module) -> Iterator[nn.Conv2d | nn.Linear]:
    """Go through the layers whose outputs can be pruned: all convolutions, and linear layers but the last."""
    layers = [part for part in module.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    yield from layers[:-1]


def silence(layer: nn.Conv2d | nn.Linear, which: Tensor) -> None:
    """Make output channels (bool over the layer's outputs) give 0 for every input."""
    with torch.no_grad():
        layer.weight[which] = 0.0
        if layer.bias is not None:
            layer.bias[which] = 0.0


def accuracy(module: nn.Module, x: Tensor, y: Tensor) -> float:
    """Measure the share of right answers on x (n, *shape), y (n,), in evaluation mode."""
    module.eval()
    with torch.no_grad():
        right = [(module(part).argmax(1) == label) for part, label in parts(x, y)]
    return float(torch.cat(right).double().mean())


def parts(x: Tensor, y: Tensor, size: int = 256) -> Iterator[tuple[Tensor, Tensor]]:
    """Cut rows into batches in order."""
    return cast("Iterator[tuple[Tensor, Tensor]]", zip(torch.split(x, size), torch.split(y, size), strict=True))
