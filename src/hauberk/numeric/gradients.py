"""Gradients as a federated client sends them, and what they say without any search."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

Tensor = torch.Tensor


def gradients_of(module: nn.Module, loss: Tensor, *, create_graph: bool = False) -> list[Tensor]:
    """Return the gradient of a scalar loss by each trainable parameter; zeros where it does not depend on it."""
    own = [parameter for parameter in module.parameters() if parameter.requires_grad]
    found = torch.autograd.grad(loss, own, create_graph=create_graph, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(own, found, strict=True)]


def labels_from(module: nn.Module, sent: Sequence[Tensor], count: int) -> Tensor:
    """Read the labels (count,) off the last linear layer's bias gradient, which is mean(p − one-hot).

    For one example the negative entry is its label (Zhao et al. 2020, arXiv:2001.02610, §3.2). For more, the most
    negative entry is taken and one example's share added to it, in turn (Wainakh et al. 2022, arXiv:2105.09369).
    Raises ValueError where the last layer has no bias.
    """
    place = _last_bias(module)
    left = sent[place].detach().clone()
    labels = []
    for _ in range(count):
        label = int(left.argmin())
        labels.append(label)
        left[label] += 1 / count
    return torch.tensor(sorted(labels))


def first_layer_input(module: nn.Module, sent: Sequence[Tensor]) -> Tensor:
    """Return an input (d,) of the first linear layer, exactly: a row of its weight's gradient over its bias's.

    dL/dW = Σ δ xᵀ and dL/db = Σ δ, so for one example every row is the input, and for a batch a unit that a single
    example excited still shows it (Phong et al. 2017, eprint 2017/715; Fowl et al. 2022, arXiv:2110.13057). The unit
    of the largest bias gradient is taken. Raises ValueError where there is no linear layer with a bias.
    """
    names = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
    for name, part in module.named_modules():
        if isinstance(part, nn.Linear) and part.bias is not None:
            dot = f"{name}." if name else ""
            weight, bias = sent[names.index(f"{dot}weight")], sent[names.index(f"{dot}bias")]
            unit = int(bias.abs().argmax())
            if float(bias[unit].abs()) == 0:
                break
            return weight[unit] / bias[unit]
    raise ValueError("no linear layer with a bias was excited")


def before_first_layer(module: nn.Module, seen: Tensor, shape: tuple[int, ...], bounds: tuple[float, float]) -> Tensor:
    """Return the input (*shape) that the first linear layer sees as `seen` (d,), where what stands before it scales
    each value by itself, as standardising does. Raises ValueError where the layer does not see the input itself.
    """
    low, high = (_first_seen(module, torch.full((1, *shape), bound).to(seen)) for bound in bounds)
    if low.shape != seen.shape or seen.numel() != torch.Size(shape).numel() or bool((low == high).any()):
        raise ValueError("the first linear layer does not see the input itself")
    share = (seen - low) / (high - low)
    return (bounds[0] + share * (bounds[1] - bounds[0])).reshape(shape)


def _first_seen(module: nn.Module, x: Tensor) -> Tensor:
    """Return what the first linear layer sees of one input (d,)."""
    caught: list[Tensor] = []

    def look(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        caught.append(given[0].detach())

    first = next(part for part in module.modules() if isinstance(part, nn.Linear))
    handle = first.register_forward_pre_hook(look)
    try:
        with torch.no_grad():
            module(x)
    finally:
        handle.remove()
    return caught[0].reshape(-1)


def _last_bias(module: nn.Module) -> int:
    names = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
    linear = [name for name, part in module.named_modules() if isinstance(part, nn.Linear) and part.bias is not None]
    if not linear:
        raise ValueError("the labels are read off a last linear layer with a bias, and there is none")
    dot = f"{linear[-1]}." if linear[-1] else ""
    return names.index(f"{dot}bias")
