"""Analytic gradient leakage: the first linear layer's gradient holds its input, without any search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from hauberk.core.card import Card
from hauberk.core.errors import MissingPower
from hauberk.numeric.gradients import before_first_layer, first_layer_input

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class AnalyticGradient:
    """Divide the first linear layer's weight gradient by its bias gradient: the input itself, for one example.

    Phong et al. 2017, eprint 2017/715, §3. For a network that begins with a linear layer, of one example a gradient.
    """

    card: ClassVar[Card] = Card(
        title="Analytic gradient leakage (linear layer)",
        summary="Reads a single example off the gradient of a first linear layer, exactly.",
        paper="Phong et al. 2017, eprint 2017/715, §3",
        needs=("module",),
        inputs=("row", "chw"),
        threats=("AML.T0024.001",),
        extra="models",
    )

    def reconstruct(
        self,
        module: nn.Module,
        sent: Sequence[Tensor],
        shape: tuple[int, ...],
        bounds: tuple[float, float],
        rng: torch.Generator,  # noqa: ARG002
    ) -> Tensor:
        """Return the input, shape (1, …). Raises MissingPower where the first layer is not linear."""
        try:
            flat = first_layer_input(module, sent)
            found = before_first_layer(module, flat, shape[1:], bounds)
        except ValueError as error:
            raise MissingPower(str(error), fix="use privacy.gradient_inversion") from error
        return found.expand(shape).clamp(*bounds)
