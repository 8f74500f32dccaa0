"""CROWN's lines pulled back through a chain of layers, with gradients for the weights: tighter bounds to train with."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn.grad import conv2d_input

from hauberk.core.errors import MissingPower
from hauberk.numeric.interval_bounds import interval_bounds
from hauberk.numeric.interval_box import Box

Tensor = torch.Tensor


class Link(NamedTuple):
    """One layer of a chain, and the box of what it is given."""

    layer: nn.Module
    before: Box


class Pull(NamedTuple):
    """A linear function of a layer's input that lies below the margins: coefficients (m, *shape), constant (m,)."""

    over: Tensor
    constant: Tensor


def crown_leads(module: nn.Module, lower: Tensor, upper: Tensor, y: Tensor) -> Tensor:
    """Bound how far each other class may lead the label over the box: (n, classes), the label's own column 0.

    Intermediate bounds are intervals, the last one is pulled back by lines: CROWN-IBP, Zhang et al. 2020,
    arXiv:1906.06316, section 3.2. As `interval_bounds.worst_case`, and mostly tighter. The module, in evaluation mode,
    must be a chain: each layer's output the next one's input, as in a Sequential, preprocessing in front allowed.
    Raises MissingPower for any other, and for layers without a rule.
    """
    chain, classes = _chain(module, lower, upper)
    n = len(y)
    own = nn.functional.one_hot(y, classes).to(lower)
    over = (own.unsqueeze(1) - torch.eye(classes, dtype=own.dtype, device=own.device)).flatten(0, 1)
    pull = Pull(over, over.new_zeros(len(over)))
    for link in reversed(chain):
        pull = _pulled(link, pull, classes)
    first = chain[0].before
    middle, reach = (part.repeat_interleave(classes, 0) for part in (first.center, first.reach))
    least = pull.constant + (pull.over * middle - pull.over.abs() * reach).flatten(1).sum(1)
    return -least.reshape(n, classes)


def _chain(module: nn.Module, lower: Tensor, upper: Tensor) -> tuple[list[Link], int]:
    """Listen to the layers while a box goes through; raises MissingPower where they are no chain."""
    chain: list[Link] = []
    last: list[Tensor] = []

    def enters(layer: nn.Module, inputs: tuple[object, ...]) -> None:
        given = inputs[0]
        if not isinstance(given, Box):
            return
        if last and given.lower is not last[-1]:
            raise MissingPower("the network is no chain of layers", fix="use training.interval_bound_propagation")
        chain.append(Link(layer, Box(given.lower, given.upper)))  # the box itself may be changed in place by the layer

    def leaves(_: nn.Module, __: tuple[object, ...], output: object) -> None:
        if isinstance(output, Box):
            last.append(output.lower)

    parts = [part for part in module.modules() if not any(True for _ in part.children())]
    hooks = [part.register_forward_pre_hook(enters) for part in parts]
    hooks += [part.register_forward_hook(leaves) for part in parts]
    try:
        bounds = interval_bounds(module, lower, upper)
    finally:
        for hook in hooks:
            hook.remove()
    if not chain or last[-1] is not bounds.lower:
        raise MissingPower("the network does not end in a layer", fix="use training.interval_bound_propagation")
    return chain, bounds.lower.shape[1]


def _pulled(link: Link, pull: Pull, classes: int) -> Pull:
    """Write the linear function of a layer's output as one of its input."""
    layer, over, shape = link.layer, pull.over, link.before.shape
    if isinstance(layer, nn.Linear):
        return Pull(over @ layer.weight, pull.constant + (0.0 if layer.bias is None else over @ layer.bias))
    if isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros" and not isinstance(layer.padding, str):
        back = conv2d_input(  # type: ignore[no-untyped-call]
            [len(over), *shape[1:]], layer.weight, over, layer.stride, layer.padding, layer.dilation, layer.groups
        )
        return Pull(back, pull.constant + (0.0 if layer.bias is None else over.sum((2, 3)) @ layer.bias))
    if isinstance(layer, nn.ReLU):
        return _rectified(link.before, pull, classes)
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        return _normed(layer, pull)
    if isinstance(layer, nn.Flatten | nn.Unflatten | nn.Identity | nn.Dropout | nn.Dropout2d):
        return Pull(over.reshape(len(over), *shape[1:]), pull.constant)
    if isinstance(layer, nn.AvgPool2d | nn.AdaptiveAvgPool2d):
        zero = torch.zeros(len(over), *shape[1:], dtype=over.dtype, device=over.device, requires_grad=True)
        (back,) = torch.autograd.grad(layer(zero), zero, over, create_graph=True)
        return Pull(back, pull.constant)
    raise MissingPower(
        f"CROWN-IBP has no rule for {type(layer).__name__}", fix="use training.interval_bound_propagation"
    )


def _rectified(before: Box, pull: Pull, classes: int) -> Pull:
    """Put a line below max(0, x) where it counts for, and one above where it counts against.

    Above: through (l, 0) and (u, u). Below: x or 0, whichever leaves the smaller area.
    """
    low, high = before.lower, before.upper
    steep = high.clamp(min=0) / (high.clamp(min=0) - low.clamp(max=0)).clamp(min=1e-12)
    flat = torch.where(low >= 0, 1.0, torch.where(high <= 0, 0.0, (high > -low).to(low)))
    steep, flat, shift = (part.repeat_interleave(classes, 0) for part in (steep, flat, -steep * low.clamp(max=0)))
    up, down = pull.over.clamp(min=0), pull.over.clamp(max=0)
    return Pull(up * flat + down * steep, pull.constant + (down * shift).flatten(1).sum(1))


def _normed(layer: nn.BatchNorm1d | nn.BatchNorm2d, pull: Pull) -> Pull:
    if layer.running_mean is None or layer.running_var is None:
        raise MissingPower("a batch norm without running statistics has no bounds")
    scale = (layer.running_var + layer.eps).rsqrt()
    scale = scale if layer.weight is None else scale * layer.weight
    shift = -layer.running_mean * scale
    shift = shift if layer.bias is None else shift + layer.bias
    channels = (1, -1, *(1 for _ in pull.over.shape[2:]))
    moved = (pull.over * shift.view(channels)).flatten(1).sum(1)
    return Pull(pull.over * scale.view(channels), pull.constant + moved)
