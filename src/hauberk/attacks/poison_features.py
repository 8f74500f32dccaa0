"""What a network's last linear layer sees, and networks with that layer exchanged."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import nn

from hauberk.core.errors import MissingPower
from hauberk.core.protocols import Modular, Target

Tensor = torch.Tensor
BATCH = 512


def network_of(target: Target) -> nn.Module:
    """Return a copy of the target's network in eval mode, its parameters fixed; raises MissingPower without one."""
    if not isinstance(target, Modular):
        raise MissingPower(f"{target.spec.name} cannot give module", fix="reach the model as a torch module")
    return target.module().eval().requires_grad_(False)


class Extractor:
    """A network that also gives its features: the input of its last linear layer.

    Raises MissingPower where it has none, or where that does not give the logits.
    """

    def __init__(self, module: nn.Module, like: Tensor) -> None:
        self.module = module
        found = [name for name, part in module.named_modules() if isinstance(part, nn.Linear)]
        if not found:
            raise _none()
        self.name = found[-1]
        with torch.no_grad():
            logits = module(like[:2])
            features = self(like[:2])
        if features.ndim != 2 or self.head.out_features != logits.shape[1]:
            raise _none()
        self.width = features.shape[1]

    @property
    def head(self) -> nn.Linear:
        """The last linear layer."""
        return cast(nn.Linear, self.module.get_submodule(self.name))

    def __call__(self, x: Tensor) -> Tensor:
        """Compute features (n, d) under autograd."""
        with self._caught() as seen:
            self.module(x)
        if not seen:
            raise _none()
        return seen[-1]

    def still(self, x: Tensor) -> Tensor:
        """Compute features (n, d) in batches, without gradient."""
        if not len(x):
            return torch.zeros(0, self.width)
        with torch.no_grad():
            return torch.cat([self(part) for part in torch.split(x, BATCH)])

    def with_head(self, weight: Tensor, bias: Tensor) -> nn.Module:
        """Return a copy of the network whose last layer has these weights (classes, d) and biases (classes,)."""
        module = copy.deepcopy(self.module)
        head = cast(nn.Linear, module.get_submodule(self.name))
        with torch.no_grad():
            head.weight.copy_(weight)
            head.bias = nn.Parameter(bias.clone(), requires_grad=False)  # the layer may have had none
        return module

    @contextmanager
    def _caught(self) -> Iterator[list[Tensor]]:
        seen: list[Tensor] = []
        handle = self.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            yield seen
        finally:
            handle.remove()


def _none() -> MissingPower:
    return MissingPower(
        "the network does not end in a linear layer on features (n, d)", fix="poison it with an attack without features"
    )
