"""What a network makes of its inputs on the way: the inputs of each of its layers, as rows."""

from __future__ import annotations

import torch
from torch import nn

from hauberk.core.errors import MissingPower
from hauberk.core.protocols import Modular, Target

Tensor = torch.Tensor
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Features:
    """A copy of a target's network that shows its hidden activations; frozen, in evaluation mode.

    Shown are the inputs of every linear and convolutional layer but the first, those of the convolutions averaged over
    positions (Lee et al. 2018, arXiv:1807.03888, §2.2). last: of them the last alone. Raises MissingPower for a target
    without a module or with one layer.
    """

    def __init__(self, target: Target, *, last: bool = False) -> None:
        if not isinstance(target, Modular):
            raise MissingPower(f"{target.spec.name} cannot give its module", fix="load it as a torch model")
        self._net = target.module().eval().requires_grad_(False)
        layers = [part for part in self._net.modules() if isinstance(part, _LAYERS)]
        if len(layers) < 2:
            raise MissingPower(f"{target.spec.name} has no hidden layer", fix="choose a detector that looks at inputs")
        self._seen: list[Tensor] = []
        for layer in layers[-1:] if last else layers[1:]:
            layer.register_forward_pre_hook(self._note)

    def _note(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        value = inputs[0]
        self._seen.append(value.flatten(2).mean(2) if value.ndim > 2 else value)

    def __call__(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return logits (n, classes) and the rows (n, d) of each layer shown, under autograd."""
        self._seen.clear()
        logits: Tensor = self._net(x)
        rows = list(self._seen)
        self._seen.clear()
        return logits, rows

    def rows(self, x: Tensor, batch: int = 256) -> list[Tensor]:
        """Return the rows of x (n, *shape) layer by layer, in batches and without gradient."""
        with torch.no_grad():
            parts = [self(part)[1] for part in torch.split(x, batch)]
        return [torch.cat(layer) for layer in zip(*parts, strict=True)]


class Scale:
    """Rows brought to mean 0 and deviation 1 by what clean ones have."""

    def __init__(self, rows: Tensor) -> None:
        self._mean, self._spread = rows.mean(0), rows.std(0).clamp(min=1e-6)

    def __call__(self, rows: Tensor) -> Tensor:
        """Scale rows (n, d)."""
        return (rows - self._mean) / self._spread
