"""Quantisation: weights and activations of the model are rounded to a few levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import nn

from hauberk.core.card import Card
from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.protocols import Differentiable, EvasionAttack, Modular, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.transforming import Paired
from hauberk.defenses.transforming_training import tensors

Tensor = torch.Tensor
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_CALIBRATED = 256
"""Training samples whose largest activations say how far a layer's levels must reach."""


@dataclass(frozen=True, slots=True)
class Quantisation:
    """Round the weights and the inputs of every linear and convolutional layer.

    Weights are spread symmetrically per output channel, activations between the least and the greatest a layer met on
    training samples. Falls to: a straight-through gradient (Gupta & Ajanthan 2020, arXiv:2003.13511); rounding may
    even amplify an attack through the layers (Lin et al. 2019). bits: of weights and activations, 2–8.
    """

    card: ClassVar[Card] = Card(
        title="Quantisation of the model",
        summary="Rounds weights and activations; saves memory, hides gradients, and falls to one that ignores it.",
        paper="Lin et al. 2019, arXiv:1904.08444; broken by Gupta & Ajanthan 2020, arXiv:2003.13511",
        needs=("gradients", "module"),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    bits: int = 4

    def apply(
        self,
        target: Target,
        data: Split,
        threat: Threat,  # noqa: ARG002
        rng: torch.Generator,
        *,
        attack: EvasionAttack,  # noqa: ARG002
        progress: Progress,  # noqa: ARG002
    ) -> Target:
        """Return the target with a rounded network.

        Raises MissingPower for a target without a module or without such layers, UsageError for bits outside 2–8.
        """
        if not isinstance(target, Modular):
            raise MissingPower(f"{target.spec.name} cannot give its module", fix="load it as a torch model")
        if not 2 <= self.bits <= 8:
            raise UsageError(f"bits is {self.bits}", fix="choose 2 to 8")
        x, _ = tensors(data, "quantisation", fewest=1)
        target.predict(x[:2])
        chosen = x[torch.randperm(len(x), generator=rng)[:_CALIBRATED]]
        pair = [self._network(target, chosen, smooth=smooth) for smooth in (False, True)]
        deployed, smooth = (
            cast(Differentiable, target.rebuild(module, f"{target.spec.name} at {self.bits} bits")) for module in pair
        )
        return Paired(deployed, smooth, target)

    def _network(self, target: Modular, x: Tensor, *, smooth: bool) -> nn.Module:
        module = target.module().eval().requires_grad_(False)
        layers = [_Rounded(part, self.bits) for part in module.modules() if isinstance(part, _LAYERS)]
        if not layers:
            raise MissingPower(f"{target.spec.name} has no linear or convolutional layer", fix="give a network")
        module = _exchanged(module, {id(layer.inner): layer for layer in layers})
        with torch.no_grad():
            module(x)
        for layer in layers:
            layer.settle(smooth)
        return module


def _exchanged(module: nn.Module, by: dict[int, _Rounded]) -> nn.Module:
    """Put the rounded layers in the places of the plain ones; returns the module."""
    if id(module) in by:
        return by[id(module)]
    for part in list(module.modules()):
        for name, child in list(part.named_children()):
            if id(child) in by and not isinstance(part, _Rounded):
                setattr(part, name, by[id(child)])
    return module


class _Rounded(nn.Module):
    """A layer that learns the range of its inputs until it is settled, and rounds from then on."""

    def __init__(self, inner: nn.Module, bits: int) -> None:
        super().__init__()
        self.inner, self.bits, self.learning, self.smooth = inner, bits, True, False
        self.low, self.high = 0.0, 0.0

    def settle(self, smooth: bool) -> None:
        """Round the weights, and from now on the inputs; smooth: pass the gradient straight through."""
        weight = cast(Tensor, self.inner.weight)
        most = weight.abs().flatten(1).amax(1).clamp(min=1e-12).reshape(-1, *[1] * (weight.ndim - 1))
        step = most / (2 ** (self.bits - 1) - 1)
        weight.data = (weight / step).round() * step
        self.learning, self.smooth = False, smooth

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to rounded inputs."""
        if self.learning:
            self.low, self.high = min(self.low, float(x.min())), max(self.high, float(x.max()))
        else:
            x = self._rounded(x)
        out: Tensor = self.inner(x)
        return out

    def _rounded(self, x: Tensor) -> Tensor:
        step = max(self.high - self.low, 1e-12) / (2**self.bits - 1)
        inside = x.clamp(self.low, self.high)
        exact = self.low + step * ((inside - self.low) / step).round()
        return torch.add(inside, (exact - inside).detach()) if self.smooth else exact
