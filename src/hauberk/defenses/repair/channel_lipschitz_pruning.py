"""Channel Lipschitz pruning: channels that may react far more strongly than their neighbours are cut off."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from hauberk.core.card import Card
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.repairing import bench, channels, silence

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class ChannelLipschitzPruning:
    """Silence channels whose weights have a spectral norm far above their layer's mean.

    Zheng et al. 2022, arXiv:2208.03111, §4. Made for networks with batch normalisation, whose scale is counted in.

    deviations: above the layer's mean, beyond which a channel goes (the paper's u).
    """

    card: ClassVar[Card] = Card(
        title="Channel Lipschitz pruning",
        summary="Cuts off channels of unusual spectral norm; needs no data, and a network with batch normalisation.",
        paper="Zheng et al. 2022, arXiv:2208.03111, §4",
        needs=("module",),
        threats=("AML.T0018", "OWASP-ML10"),
        extra="models",
    )

    deviations: float = 3.0

    def apply(
        self,
        target: Target,
        data: Split,
        threat: Threat,  # noqa: ARG002
        rng: torch.Generator,  # noqa: ARG002
        *,
        attack: EvasionAttack | None = None,  # noqa: ARG002
        progress: Progress | None = None,  # noqa: ARG002
    ) -> Target:
        """Return the pruned model; the rows are not looked at. Raises MissingPower."""
        work = bench(target, data)
        followers = _followers(work.module)
        for layer in channels(work.module):
            bounds = _bounds(layer, followers.get(layer))
            silence(layer, bounds > bounds.mean() + self.deviations * bounds.std())
        return work.done("channels pruned")


def _followers(module: nn.Module) -> dict[nn.Module, nn.BatchNorm2d]:
    """Find the batch normalisation that comes right after a convolution in the order of definition."""
    ordered = [part for part in module.modules() if not list(part.children())]
    pairs = itertools.pairwise(ordered)
    return {first: second for first, second in pairs if isinstance(second, nn.BatchNorm2d)}


def _bounds(layer: nn.Conv2d | nn.Linear, norm: nn.BatchNorm2d | None) -> Tensor:
    """Bound each output channel's Lipschitz constant by the spectral norm of its weights: (channels,)."""
    weight = layer.weight.detach()
    bounds = (
        torch.stack([torch.linalg.matrix_norm(one.flatten(1), 2) for one in weight])
        if weight.ndim > 2
        else weight.norm(dim=1)
    )
    if norm is not None and norm.running_var is not None and norm.weight is not None:
        bounds = bounds * (norm.weight.detach() / (norm.running_var + norm.eps).sqrt()).abs()
    return bounds
