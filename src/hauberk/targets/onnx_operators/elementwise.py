"""Operators that work value by value: arithmetic, comparison, activation."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
from torch.nn import functional

from hauberk.targets.onnx_operators.attributes import Attributes, Inputs, Operator, Unsupported, given, need

TYPES = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    16: torch.bfloat16,
}
"""ONNX TensorProto.DataType → torch."""


def unary(function: Callable[[torch.Tensor], torch.Tensor]) -> Operator:
    """Make an operator of a function of one tensor."""
    return lambda inputs, _: function(need(inputs[0]))


def binary(function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Operator:
    """Make an operator of a function of two tensors."""
    return lambda inputs, _: function(need(inputs[0]), need(inputs[1]))


def folded(function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Operator:
    """Make an operator of any number of tensors from a function of two."""
    return lambda inputs, _: reduce(function, [need(item) for item in inputs])


def scaled(function: Callable[..., torch.Tensor], *names: tuple[str, float]) -> Operator:
    """Make an operator of a function whose numbers are attributes (name, default), given in order."""
    return lambda inputs, attributes: function(
        need(inputs[0]), *(attributes.real(name, default) for name, default in names)
    )


def division(inputs: Inputs, _: Attributes) -> torch.Tensor:
    """Divide; whole numbers are truncated toward zero, as ONNX says."""
    left, right = need(inputs[0]), need(inputs[1])
    return left / right if left.is_floating_point() else torch.div(left, right, rounding_mode="trunc")


def modulo(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Take the remainder with the divisor's sign, or C's fmod where the attribute says so."""
    left, right = need(inputs[0]), need(inputs[1])
    return torch.fmod(left, right) if attributes.number("fmod") else torch.remainder(left, right)


def power(inputs: Inputs, _: Attributes) -> torch.Tensor:
    """Raise to a power in the base's type."""
    base = need(inputs[0])
    return torch.pow(base, need(inputs[1])).to(base.dtype)


def clip(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Clip to bounds given as inputs (opset 11) or attributes (before)."""
    x = need(inputs[0])
    low, high = given(inputs, 1), given(inputs, 2)
    if "min" in attributes:
        low = torch.tensor(attributes.real("min"), dtype=x.dtype, device=x.device)
    if "max" in attributes:
        high = torch.tensor(attributes.real("max"), dtype=x.dtype, device=x.device)
    return x if low is None and high is None else torch.clamp(x, low, high)


def mean(inputs: Inputs, _: Attributes) -> torch.Tensor:
    """Average any number of tensors."""
    return reduce(torch.add, [need(item) for item in inputs]) / len(inputs)


def cast(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Change the type."""
    kind = attributes.number("to")
    if kind not in TYPES:
        raise Unsupported(f"Cast to type {kind}")
    return need(inputs[0]).to(TYPES[kind])


def cast_like(inputs: Inputs, _: Attributes) -> torch.Tensor:
    """Change the type to that of the second input."""
    return need(inputs[0]).to(need(inputs[1]).dtype)


def prelu(inputs: Inputs, _: Attributes) -> torch.Tensor:
    """Leak by a learned slope that broadcasts."""
    x = need(inputs[0])
    return torch.where(x >= 0, x, x * need(inputs[1]))


def gelu(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Apply the Gaussian error linear unit."""
    return functional.gelu(need(inputs[0]), approximate=attributes.text("approximate", "none"))


def elu(x: torch.Tensor, alpha: float) -> torch.Tensor:
    """Apply the exponential linear unit."""
    return functional.elu(x, alpha)


def selu(x: torch.Tensor, alpha: float, gamma: float) -> torch.Tensor:
    """Apply the scaled exponential linear unit."""
    return gamma * torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))


def hard_sigmoid(x: torch.Tensor, alpha: float, beta: float) -> torch.Tensor:
    """Apply max(0, min(1, αx + β))."""
    return torch.clamp(alpha * x + beta, 0, 1)


def thresholded(x: torch.Tensor, alpha: float) -> torch.Tensor:
    """Keep what is above α."""
    return torch.where(x > alpha, x, torch.zeros_like(x))


def swish(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Apply x · sigmoid(αx)."""
    x = need(inputs[0])
    return x * torch.sigmoid(attributes.real("alpha", 1.0) * x)


def where(inputs: Inputs, _: Attributes) -> torch.Tensor:
    """Choose by condition."""
    return torch.where(need(inputs[0]).bool(), need(inputs[1]), need(inputs[2]))


def quantize(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Quantise, keeping values in float so that a straight-through gradient can pass (Bengio et al. 2013)."""
    x, scale, zero = need(inputs[0]), need(inputs[1]), given(inputs, 2)
    kind = zero.dtype if zero is not None else torch.uint8
    limits = torch.iinfo(kind)
    scale, offset = _along(scale, x, attributes), _along(zero.float(), x, attributes) if zero is not None else 0.0
    exact = x / scale
    rounded = exact + (torch.round(exact) - exact).detach()
    return torch.clamp(rounded + offset, limits.min, limits.max)


def dequantize(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Undo `quantize`."""
    x, scale, zero = need(inputs[0]), need(inputs[1]), given(inputs, 2)
    offset = _along(zero.float(), x, attributes) if zero is not None else 0.0
    return (x.float() - offset) * _along(scale, x, attributes)


def _along(values: torch.Tensor, x: torch.Tensor, attributes: Attributes) -> torch.Tensor:
    """Shape a per-axis vector so that it broadcasts along its axis."""
    if values.numel() == 1:
        return values.reshape(())
    shape = [1] * x.ndim
    shape[attributes.number("axis", 1)] = -1
    return values.reshape(shape)


OPERATORS: dict[str, Operator] = {
    "Abs": unary(torch.abs),
    "Acos": unary(torch.acos),
    "Add": binary(torch.add),
    "And": binary(torch.logical_and),
    "Asin": unary(torch.asin),
    "Atan": unary(torch.atan),
    "Cast": cast,
    "CastLike": cast_like,
    "Ceil": unary(torch.ceil),
    "Celu": scaled(functional.celu, ("alpha", 1.0)),
    "Clip": clip,
    "Cos": unary(torch.cos),
    "Cosh": unary(torch.cosh),
    "DequantizeLinear": dequantize,
    "Div": division,
    "Elu": scaled(elu, ("alpha", 1.0)),
    "Equal": binary(torch.eq),
    "Erf": unary(torch.erf),
    "Exp": unary(torch.exp),
    "Floor": unary(torch.floor),
    "Gelu": gelu,
    "Greater": binary(torch.gt),
    "GreaterOrEqual": binary(torch.ge),
    "HardSigmoid": scaled(hard_sigmoid, ("alpha", 0.2), ("beta", 0.5)),
    "HardSwish": unary(functional.hardswish),
    "Identity": unary(lambda x: x),
    "IsInf": unary(torch.isinf),
    "IsNaN": unary(torch.isnan),
    "LeakyRelu": scaled(functional.leaky_relu, ("alpha", 0.01)),
    "Less": binary(torch.lt),
    "LessOrEqual": binary(torch.le),
    "Log": unary(torch.log),
    "Max": folded(torch.maximum),
    "Mean": mean,
    "Min": folded(torch.minimum),
    "Mish": unary(functional.mish),
    "Mod": modulo,
    "Mul": binary(torch.mul),
    "Neg": unary(torch.neg),
    "Not": unary(torch.logical_not),
    "Or": binary(torch.logical_or),
    "PRelu": prelu,
    "Pow": power,
    "QuantizeLinear": quantize,
    "Reciprocal": unary(torch.reciprocal),
    "Relu": unary(functional.relu),
    "Round": unary(torch.round),
    "Selu": scaled(selu, ("alpha", 1.67326319217681884765625), ("gamma", 1.05070102214813232421875)),
    "Sigmoid": unary(torch.sigmoid),
    "Sign": unary(torch.sign),
    "Sin": unary(torch.sin),
    "Sinh": unary(torch.sinh),
    "Softplus": unary(functional.softplus),
    "Softsign": unary(functional.softsign),
    "Sqrt": unary(torch.sqrt),
    "Sub": binary(torch.sub),
    "Sum": folded(torch.add),
    "Swish": swish,
    "Tan": unary(torch.tan),
    "Tanh": unary(torch.tanh),
    "ThresholdedRelu": scaled(thresholded, ("alpha", 1.0)),
    "Where": where,
    "Xor": binary(torch.logical_xor),
}
