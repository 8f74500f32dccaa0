"""Database reconstruction: who knows all training records but one reads the last one off a linear model's weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from hauberk.core.card import Card
from hauberk.core.errors import MissingPower
from hauberk.numeric.gradients import before_first_layer, first_layer_input, gradients_of

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class InformedReconstruction:
    """Solve for the missing record from the optimality of the weights: all gradients sum to zero.

    Balle et al. 2022, arXiv:2201.04845, §4 (generalised linear models). The missing record's gradient is minus the sum
    of all others' (and of the penalty's), and a linear layer's gradient holds its input. Exact for a linear model
    trained to its optimum; how far the weights are from it bounds the error.

    penalty: of the training, as weight · ½ |W|² on the summed loss; biases are not penalised.
    """

    card: ClassVar[Card] = Card(
        title="Informed reconstruction (database reconstruction)",
        summary="Recovers the one training record the attacker does not know, exactly, from linear models.",
        paper="Balle et al. 2022, arXiv:2201.04845, §4",
        needs=("module",),
        inputs=("row", "chw"),
        threats=("AML.T0024.001",),
        extra="models",
    )

    penalty: float = 0.0

    def complete(self, module: nn.Module, x: Tensor, y: Tensor, bounds: tuple[float, float]) -> tuple[Tensor, int]:
        """Return the missing record (*shape) and its label, from the others x (n, *shape), y (n,).

        Raises MissingPower for a module that is not one linear layer of its input.
        """
        linear = [part for part in module.modules() if isinstance(part, nn.Linear)]
        values = sum(p.numel() for p in module.parameters())
        if len(linear) != 1 or linear[0].bias is None or values != sum(p.numel() for p in linear[0].parameters()):
            raise MissingPower("the model is not one linear layer with a bias", fix="attack linear models with it")
        with torch.enable_grad():
            loss = cross_entropy(module(x), y, reduction="sum")
            loss = loss + self.penalty / 2 * linear[0].weight.square().sum()
            missing = [-gradient for gradient in gradients_of(module, loss)]
        # dL/db of the record is p − one-hot: its label is the one negative entry.
        bias = missing[[p.ndim for p in module.parameters() if p.requires_grad].index(1)]
        found = before_first_layer(module, first_layer_input(module, missing), tuple(x.shape[1:]), bounds)
        return found, int(bias.argmin())
