"""Adversarial neuron pruning: channels whose small disturbance makes the model err are cut off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from hauberk.core.card import Card
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.repairing import accuracy, bench, channels, silence

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class AdversarialNeuronPruning:
    """Learn a mask over channels that keeps clean loss low while an adversary scales channels; cut off what it drops.

    Wu and Wang 2021, arXiv:2110.14430, §4. Channels a backdoor needs are the most sensitive to such scaling.

    steps: updates of the mask. budget: how far the adversary scales a channel, as a share. clean: weight of the clean
    loss against the adversary's. rate: of the mask. cost: clean accuracy that pruning may cost. batch: rows a step.
    """

    card: ClassVar[Card] = Card(
        title="Adversarial neuron pruning",
        summary="Cuts off channels that are most sensitive to disturbance; made for networks with batch normalisation.",
        paper="Wu and Wang 2021, arXiv:2110.14430, §4",
        needs=("module",),
        threats=("AML.T0018", "OWASP-ML10"),
        extra="models",
    )

    steps: int = 200
    budget: float = 0.4
    clean: float = 0.2
    rate: float = 0.2
    cost: float = 0.05
    batch: int = 128

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
        masks = self._masks(work.module.eval().requires_grad_(False), layers, work.x, work.y, rng)
        least = accuracy(work.module, work.x, work.y) - self.cost
        ranked = sorted(
            (float(value), place, channel)
            for place, mask in enumerate(masks)
            for channel, value in enumerate(mask.tolist())
        )
        for value, place, channel in ranked:
            kept = {name: part.clone() for name, part in layers[place].state_dict().items()}
            silence(layers[place], torch.tensor([channel]))
            if value >= 1 or accuracy(work.module, work.x, work.y) < least:
                layers[place].load_state_dict(kept)
                break
        return work.done("neurons pruned")

    def _masks(
        self, module: nn.Module, layers: list[nn.Conv2d | nn.Linear], x: Tensor, y: Tensor, rng: torch.Generator
    ) -> list[Tensor]:
        """Learn one factor in 0–1 for each channel: list of (channels,)."""
        masks = [torch.ones(len(layer.weight)) for layer in layers]
        for _ in range(self.steps):
            rows = torch.randint(len(x), (min(self.batch, len(x)),), generator=rng)
            scales = [torch.zeros_like(mask).requires_grad_() for mask in masks]
            worst = torch.autograd.grad(_loss(module, layers, masks, scales, x[rows], y[rows]), scales)
            pushed = [self.budget * part.sign() for part in worst]
            leaves = [mask.clone().requires_grad_() for mask in masks]
            still = [torch.zeros_like(mask) for mask in masks]
            loss = self.clean * _loss(module, layers, leaves, still, x[rows], y[rows])
            loss = loss + (1 - self.clean) * _loss(module, layers, leaves, pushed, x[rows], y[rows])
            slopes = torch.autograd.grad(loss, leaves)
            masks = [(mask - self.rate * slope).clamp(0, 1) for mask, slope in zip(masks, slopes, strict=True)]
        return masks


def _loss(
    module: nn.Module,
    layers: list[nn.Conv2d | nn.Linear],
    masks: list[Tensor],
    scales: list[Tensor],
    x: Tensor,
    y: Tensor,
) -> Tensor:
    """Compute the loss with every channel's output times mask · (1 + scale)."""
    hooks = [
        layer.register_forward_hook(_Scaled(mask * (1 + scale)))
        for layer, mask, scale in zip(layers, masks, scales, strict=True)
    ]
    try:
        loss: Tensor = cross_entropy(module(x), y)
    finally:
        for hook in hooks:
            hook.remove()
    return loss


class _Scaled:
    """A hook that multiplies a layer's outputs channel by channel."""

    def __init__(self, factor: Tensor) -> None:
        self._factor = factor

    def __call__(self, _: nn.Module, __: object, out: Tensor) -> Tensor:
        return out * self._factor.view(-1, *[1] * (out.ndim - 2))
