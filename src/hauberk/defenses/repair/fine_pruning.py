"""Fine-pruning: channels that sleep on clean inputs are cut off, then the model is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from hauberk.core.card import Card
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.plain_training import Course, fit
from hauberk.defenses.repairing import accuracy, bench, channels, parts, silence

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class FinePruning:
    """Silence the channels of the last prunable layer that clean inputs excite least, while accuracy lasts; fine-tune.

    Liu et al. 2018, arXiv:1805.12185, §4. It fails where trigger and classes share channels, as in small networks.

    cost: clean accuracy that pruning may cost. share: at most so many of the layer's channels. epochs, rate: of the
    fine-tuning after it.
    """

    card: ClassVar[Card] = Card(
        title="Fine-pruning",
        summary="Cuts off channels that clean inputs leave asleep, then trains on; for wide networks.",
        paper="Liu et al. 2018, arXiv:1805.12185, §4",
        needs=("module",),
        threats=("AML.T0018", "OWASP-ML10"),
        extra="models",
    )

    cost: float = 0.04
    share: float = 0.8
    epochs: int = 20
    rate: float = 1e-3

    def apply(
        self,
        target: Target,
        data: Split,
        threat: Threat,  # noqa: ARG002
        rng: torch.Generator,
        *,
        attack: EvasionAttack | None = None,  # noqa: ARG002
        progress: Progress | None = None,  # noqa: ARG002
    ) -> Target:
        """Return the pruned model; raises MissingPower, DataError."""
        work = bench(target, data)
        layers = list(channels(work.module))
        if layers:
            self._prune(work.module, layers[-1], work.x, work.y)
        dead = [layer.weight.flatten(1).abs().sum(1) == 0 for layer in layers]
        fit(work.module, work.x, work.y, Course(epochs=self.epochs, rate=self.rate), rng)
        for layer, which in zip(layers, dead, strict=True):
            silence(layer, which)  # fine-tuning would wake what was cut off
        return work.done("fine-pruned")

    def _prune(self, module: nn.Module, layer: nn.Conv2d | nn.Linear, x: Tensor, y: Tensor) -> None:
        least = accuracy(module, x, y) - self.cost
        order = _excited(module, layer, x, y).argsort()
        for channel in order[: int(self.share * len(order))]:
            kept = {name: value.clone() for name, value in layer.state_dict().items()}
            silence(layer, channel.reshape(1))
            if accuracy(module, x, y) < least:
                layer.load_state_dict(kept)
                return


def _excited(module: nn.Module, layer: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the mean positive output of each channel over clean inputs: (channels,)."""
    seen: list[Tensor] = []
    hook = layer.register_forward_hook(
        lambda _, __, out: seen.append(out.detach().relu().flatten(2).mean(2) if out.ndim > 2 else out.detach().relu())
    )
    module.eval()
    with torch.no_grad():
        for part, _ in parts(x, y):
            module(part)
    hook.remove()
    return torch.cat(seen).mean(0)
