"""Operators that reduce, normalise along an axis, or pick by size."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from hauberk.targets.onnx_operators.attributes import Attributes, Inputs, Operator, axes_of, need, whole

Reduction = Callable[[torch.Tensor, tuple[int, ...], bool], torch.Tensor]


def reduction(function: Reduction) -> Operator:
    """Make an operator of a reduction over axes, given as input or attribute; none of them means all."""

    def operator(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
        x = need(inputs[0])
        axes = axes_of(inputs, 1, attributes)
        if not axes:
            if attributes.number("noop_with_empty_axes"):
                return x
            axes = list(range(x.ndim))
        return function(x, tuple(axis % x.ndim for axis in axes), bool(attributes.number("keepdims", 1)))

    return operator


def product(x: torch.Tensor, axes: tuple[int, ...], keep: bool) -> torch.Tensor:
    """Multiply along axes, the last first so that the others keep their place."""
    for axis in sorted(axes, reverse=True):
        x = x.prod(axis, keepdim=keep)
    return x


def softmax(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Apply softmax along an axis; before opset 13 over all axes from it on."""
    return _along(functional.softmax, inputs, attributes)


def log_softmax(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Apply the logarithm of softmax likewise."""
    return _along(functional.log_softmax, inputs, attributes)


def _along(function: Callable[..., torch.Tensor], inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    x = need(inputs[0])
    if attributes.opset >= 13:
        return function(x, dim=attributes.number("axis", -1))
    flat = x.flatten(attributes.number("axis", 1) % x.ndim)
    return function(flat, dim=-1).reshape(x.shape)


def arg(function: Callable[..., torch.Tensor]) -> Operator:
    """Make an operator of argmax or argmin."""

    def operator(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
        return function(
            need(inputs[0]), dim=attributes.number("axis", 0), keepdim=bool(attributes.number("keepdims", 1))
        )

    return operator


def top_k(inputs: Inputs, attributes: Attributes) -> tuple[torch.Tensor, ...]:
    """Return the k largest (or smallest) values and their places."""
    k = whole(inputs[1])[0] if len(inputs) > 1 else attributes.number("k")
    largest, ordered = bool(attributes.number("largest", 1)), bool(attributes.number("sorted", 1))
    return tuple(torch.topk(need(inputs[0]), k, attributes.number("axis", -1), largest, ordered))


def cumulative_sum(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Sum up along an axis, from either end, with or without the value itself."""
    x, axis = need(inputs[0]), whole(inputs[1])[0]
    x = x.flip(axis) if attributes.number("reverse") else x
    total = x.cumsum(axis)
    total = total - x if attributes.number("exclusive") else total
    return total.flip(axis) if attributes.number("reverse") else total


OPERATORS: dict[str, Operator] = {
    "ArgMax": arg(torch.argmax),
    "ArgMin": arg(torch.argmin),
    "CumSum": cumulative_sum,
    "LogSoftmax": log_softmax,
    "ReduceL1": reduction(lambda x, axes, keep: x.abs().sum(axes, keepdim=keep)),
    "ReduceL2": reduction(lambda x, axes, keep: x.square().sum(axes, keepdim=keep).sqrt()),
    "ReduceLogSum": reduction(lambda x, axes, keep: x.sum(axes, keepdim=keep).log()),
    "ReduceLogSumExp": reduction(lambda x, axes, keep: x.logsumexp(axes, keepdim=keep)),
    "ReduceMax": reduction(lambda x, axes, keep: x.amax(axes, keepdim=keep)),
    "ReduceMean": reduction(lambda x, axes, keep: x.mean(axes, keepdim=keep)),
    "ReduceMin": reduction(lambda x, axes, keep: x.amin(axes, keepdim=keep)),
    "ReduceProd": reduction(product),
    "ReduceSum": reduction(lambda x, axes, keep: x.sum(axes, keepdim=keep)),
    "ReduceSumSquare": reduction(lambda x, axes, keep: x.square().sum(axes, keepdim=keep)),
    "Softmax": softmax,
    "TopK": top_k,
}
