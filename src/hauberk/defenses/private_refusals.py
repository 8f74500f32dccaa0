"""Layers that differential privacy refuses, by name and with the remedy: those that mix examples."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from hauberk.core.errors import MissingPower
from hauberk.numeric.clipped_sums import ExampleLoss

_BATCH = nn.modules.batchnorm._BatchNorm
_INSTANCE = nn.modules.instancenorm._InstanceNorm
_TOLERANCE = 1e-3


def refuse_mixing(module: nn.Module) -> None:
    """Raise MissingPower for a network in which one example's gradient depends on others, naming layer and remedy."""
    for name, fault, fix in _faults(module):
        raise MissingPower(f"the layer {name} {fault}", where=name, fix=fix)


def _faults(module: nn.Module) -> Iterator[tuple[str, str, str]]:
    for name, part in module.named_modules():
        kind = type(part).__name__
        if isinstance(part, _BATCH):
            frozen = not part.training and not any(value.requires_grad for value in part.parameters())
            if not frozen:
                yield (
                    name,
                    f"({kind}) normalises over the batch, so that no example's influence can be bounded",
                    "put nn.GroupNorm(min(32, channels), channels) in its place (`hauberk.api.private_training."
                    "without_batch_norm` does it), or freeze it in evaluation mode with public statistics",
                )
        elif isinstance(part, _INSTANCE) and part.track_running_stats:
            yield name, f"({kind}) keeps running statistics of private data", "set track_running_stats=False"
        elif isinstance(part, nn.Embedding) and part.scale_grad_by_freq and part.weight.requires_grad:
            yield name, "scales gradients by how often tokens occur in the batch", "set scale_grad_by_freq=False"
        elif isinstance(part, nn.Embedding | nn.EmbeddingBag) and part.max_norm is not None:
            yield name, "renormalises its weights while it is asked", "leave max_norm out"
        elif part.__class__.__module__.startswith("torch.nn.utils.parametrizations") and "Spectral" in kind:
            yield name, "updates a power iteration on every pass", "remove spectral_norm"


def refuse_coupled(module: nn.Module, loss: ExampleLoss, x: torch.Tensor, y: torch.Tensor) -> None:
    """Raise MissingPower where an example's loss changes with what else is in the batch, whatever layer does it.

    x (b, …), y (b, …): a few rows, b ≥ 2. Found by asking for one example alone and among the others.
    """
    was = module.training
    module.eval()
    try:
        with torch.no_grad():
            together = loss(module, x, y).double()
            alone = loss(module, x[:1], y[:1]).double()
    finally:
        module.train(was)
    if together.shape != (len(y),) or alone.shape != (1,):
        raise MissingPower(
            f"the loss gives {tuple(together.shape)} for {len(y)} examples",
            fix='give one number each: reduction="none"',
        )
    gap = float((together[0] - alone[0]).abs())
    if gap > _TOLERANCE * max(1.0, float(alone[0].abs())):
        raise MissingPower(
            f"an example's loss is {float(alone[0]):.4g} alone and {float(together[0]):.4g} among {len(y)}: "
            "the network or the loss mixes examples",
            fix="look for a mean, a norm or a softmax over the batch dimension",
        )


def without_batch_norm(module: nn.Module, groups: int = 32) -> nn.Module:
    """Put group normalisation in the place of batch normalisation, in place, and return the module.

    groups: at most so many, the largest number below it that divides the channels. Weights and biases are kept; running
    statistics are gone, so that the network must be trained again.
    """
    for name, part in module.named_children():
        if isinstance(part, _BATCH):
            channels = part.num_features
            count = max(k for k in range(1, min(groups, channels) + 1) if channels % k == 0)
            made = nn.GroupNorm(count, channels, eps=part.eps, affine=part.affine)
            if part.affine:
                made.load_state_dict({"weight": part.weight.detach(), "bias": part.bias.detach()})
            setattr(module, name, made)
        else:
            without_batch_norm(part, groups)
    return module
