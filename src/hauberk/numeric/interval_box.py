"""A box of tensors that goes through torch functions as a tensor would: the rules of interval arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, cast

import torch
from torch.nn import functional as f

from hauberk.core.errors import MissingPower

Tensor = torch.Tensor
Rule: TypeAlias = Callable[..., object]


class Box:
    """All tensors between `lower` and `upper`, element by element; it goes through a module like a tensor.

    Gowal et al. 2018, arXiv:1810.12715, section 3. torch hands every function called with a Box to
    `__torch_function__`, so Python code in a forward, short cuts and preprocessing run as they are. Bounds keep their
    autograd graph. They are exact in real numbers for one affine or monotone step; float32 rounding is not accounted
    for: where a proof must hold to the last bit, run module and box in float64.
    Raises MissingPower for an operation without a rule.
    """

    def __init__(self, lower: Tensor, upper: Tensor) -> None:
        self.lower, self.upper = lower, upper

    @classmethod
    def __torch_function__(
        cls,
        function: Callable[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Answer a torch function that was called with a Box."""
        name = getattr(function, "__name__", str(function))
        return _rule(name)(*args, **(kwargs or {}))

    def __getattr__(self, name: str) -> object:
        """Give a method of tensors, such as `flatten` or `relu`."""
        if name.startswith("__"):
            raise AttributeError(name)
        rule = _rule(name)
        return lambda *args, **kwargs: rule(self, *args, **kwargs)

    def become(self, other: Box) -> Box:
        """Change in place, as everyone who holds this box would see a tensor change; the bounds are not written to."""
        self.lower, self.upper = other.lower, other.upper
        return self

    @property
    def shape(self) -> torch.Size:
        """Shape of either bound."""
        return self.lower.shape

    @property
    def ndim(self) -> int:
        """Dimensions of either bound."""
        return self.lower.ndim

    @property
    def dtype(self) -> torch.dtype:
        """Type of the bounds."""
        return self.lower.dtype

    @property
    def device(self) -> torch.device:
        """Device of the bounds."""
        return self.lower.device

    @property
    def center(self) -> Tensor:
        """Middle of the box."""
        return (self.lower + self.upper) / 2

    @property
    def reach(self) -> Tensor:
        """Half the width of the box, 0 or more."""
        return (self.upper - self.lower) / 2

    def __len__(self) -> int:
        return len(self.lower)

    def __add__(self, other: object) -> Box:
        return _add(self, other)

    def __radd__(self, other: object) -> Box:
        return _add(self, other)

    def __sub__(self, other: object) -> Box:
        return _sub(self, other)

    def __rsub__(self, other: object) -> Box:
        return _add(_neg(self), other)

    def __neg__(self) -> Box:
        return _neg(self)

    def __iadd__(self, other: object) -> Box:
        return self.become(_add(self, other))

    def __isub__(self, other: object) -> Box:
        return self.become(_sub(self, other))

    def __imul__(self, other: object) -> Box:
        return self.become(_mul(self, other))

    def __mul__(self, other: object) -> Box:
        return _mul(self, other)

    def __rmul__(self, other: object) -> Box:
        return _mul(self, other)

    def __truediv__(self, other: object) -> Box:
        return _div(self, other)

    def __pow__(self, power: object) -> Box:
        return _pow(self, power)

    def __matmul__(self, other: object) -> Box:
        return _matmul(self, other)

    def __getitem__(self, place: object) -> Box:
        return Box(self.lower[cast(slice, place)], self.upper[cast(slice, place)])


# --- rules


def _rule(name: str) -> Rule:
    within = name.endswith("_") and not name.startswith("_")
    found = _RULES.get(name.removesuffix("_") if within else name)
    if found is None:
        raise MissingPower(f"interval bounds have no rule for {name}", fix="use a network of layers that have one")
    return _in_place(found) if within else found


def _in_place(rule: Rule) -> Rule:
    def changed(x: Box, *args: object, **kwargs: object) -> Box:
        return x.become(cast(Box, rule(x, *args, **kwargs)))

    return changed


def _each(function: Callable[..., Tensor]) -> Rule:
    """Make the rule of a function that never falls: bounds go through by themselves."""

    def rule(x: Box, *args: object, **kwargs: object) -> Box:
        return Box(function(x.lower, *args, **kwargs), function(x.upper, *args, **kwargs))

    return rule


def _method(name: str) -> Rule:
    def rule(x: Box, *args: object, **kwargs: object) -> object:
        low, high = (getattr(part, name)(*args, **kwargs) for part in (x.lower, x.upper))
        if isinstance(low, tuple | list):
            return tuple(Box(a, b) for a, b in zip(low, high, strict=True))
        return Box(low, high)

    return rule


def _fact(name: str) -> Rule:
    """Make the rule of what is the same for both bounds, such as a size."""
    return lambda x, *args, **kwargs: getattr(x.lower, name)(*args, **kwargs)


def _affine(function: Callable[..., Tensor]) -> Rule:
    """Make the rule of W·x + b: W·center + b ± |W|·reach (equation 6 of the paper)."""

    def rule(x: Box, weight: Tensor, bias: Tensor | None = None, *args: object, **kwargs: object) -> Box:
        if any(isinstance(part, Box) for part in cast(tuple[object, ...], (weight, bias))):
            raise MissingPower("interval bounds have no rule for weights that depend on the input")
        middle = function(x.center, weight, bias, *args, **kwargs)
        reach = function(x.reach, weight.abs(), None, *args, **kwargs)
        return Box(middle - reach, middle + reach)

    return rule


def _add(x: object, other: object, *, alpha: float = 1) -> Box:
    if not isinstance(x, Box):
        return _add(other, x) if alpha == 1 else _add(_mul(other, alpha), x)
    if isinstance(other, Box):
        scaled = other if alpha == 1 else _mul(other, alpha)
        return Box(x.lower + scaled.lower, x.upper + scaled.upper)
    step = cast(Tensor, other) if alpha == 1 else cast(Tensor, other) * alpha
    return Box(x.lower + step, x.upper + step)


def _neg(x: Box) -> Box:
    return Box(-x.upper, -x.lower)


def _sub(x: object, other: object, *, alpha: float = 1) -> Box:
    return _add(x, _neg(other) if isinstance(other, Box) else -cast(Tensor, other), alpha=alpha)


def _mul(x: object, other: object) -> Box:
    """Multiply; the ends of a product of two intervals are among the products of their ends."""
    if not isinstance(x, Box):
        return _mul(other, x)
    if not isinstance(other, Box):
        ends = (x.lower * cast(Tensor, other), x.upper * cast(Tensor, other))
        return Box(torch.minimum(*ends), torch.maximum(*ends))
    corners = torch.stack([a * b for a in (x.lower, x.upper) for b in (other.lower, other.upper)])
    return Box(corners.amin(0), corners.amax(0))


def _div(x: object, other: object) -> Box:
    if isinstance(other, Box):
        if bool(((other.lower <= 0) & (other.upper >= 0)).any()):
            raise MissingPower("interval bounds divide by what may be 0")
        return _mul(x, Box(1 / other.upper, 1 / other.lower))
    assert isinstance(x, Box)
    ends = (x.lower / cast(Tensor, other), x.upper / cast(Tensor, other))
    return Box(torch.minimum(*ends), torch.maximum(*ends))


def _matmul(x: object, other: object) -> Box:
    if isinstance(other, Box) or not isinstance(x, Box):
        raise MissingPower("interval bounds have no rule for products of two values that depend on the input")
    weight = cast(Tensor, other)
    middle, reach = x.center @ weight, x.reach @ weight.abs()
    return Box(middle - reach, middle + reach)


def _abs(x: Box) -> Box:
    ends = (x.lower.abs(), x.upper.abs())
    across = (x.lower < 0) & (x.upper > 0)
    return Box(torch.minimum(*ends).masked_fill(across, 0.0), torch.maximum(*ends))


def _pow(x: Box, power: object) -> Box:
    if power == 2:
        size = _abs(x)
        return Box(size.lower.square(), size.upper.square())
    raise MissingPower(f"interval bounds have no rule for the power {power}")


def _valley(function: Callable[..., Tensor], bottom: float) -> Rule:
    """Make the rule of a function that falls until `bottom` and rises from there (GELU, SiLU)."""

    def rule(x: Box, *args: object, **kwargs: object) -> Box:
        within = kwargs.pop("inplace", False)
        ends = (function(x.lower, *args, **kwargs), function(x.upper, *args, **kwargs))
        lowest = function(x.lower.clamp(min=bottom).minimum(x.upper), *args, **kwargs)
        found = Box(torch.minimum(torch.minimum(*ends), lowest), torch.maximum(*ends))
        return x.become(found) if within else found

    return rule


def _batch_norm(
    x: Box,
    mean: Tensor | None,
    variance: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,  # noqa: ARG001 - the signature of torch
    eps: float = 1e-5,
) -> Box:
    """Scale and shift each channel by its running statistics."""
    if training or mean is None or variance is None:
        raise MissingPower("a batch norm in training mode mixes the samples of a batch", fix="call module.eval()")
    channels = (1, -1, *(1 for _ in x.shape[2:]))
    scale = (variance + eps).rsqrt() if weight is None else weight * (variance + eps).rsqrt()
    shift = -mean * scale if bias is None else bias - mean * scale
    return _add(_mul(x, scale.view(channels)), shift.view(channels))


def _dropout(x: Box, p: float = 0.5, training: bool = False, inplace: bool = False) -> Box:  # noqa: ARG001
    if training and p > 0:
        raise MissingPower("dropout in training mode draws at random", fix="call module.eval()")
    return x


def _leaky(x: Box, negative_slope: float = 0.01, inplace: bool = False) -> Box:
    if negative_slope < 0:
        raise MissingPower("interval bounds have no rule for a leaky ReLU that falls")
    found = Box(f.leaky_relu(x.lower, negative_slope), f.leaky_relu(x.upper, negative_slope))
    return x.become(found) if inplace else found


def _join(function: Callable[..., Tensor]) -> Rule:
    def rule(parts: Sequence[object], *args: object, **kwargs: object) -> Box:
        rows = [part if isinstance(part, Box) else Box(cast(Tensor, part), cast(Tensor, part)) for part in parts]
        lower, upper = ([getattr(row, side) for row in rows] for side in ("lower", "upper"))
        return Box(function(lower, *args, **kwargs), function(upper, *args, **kwargs))

    return rule


def _two(function: Callable[[Tensor, Tensor], Tensor]) -> Rule:
    """Make the rule of a function that falls in neither of two arguments."""

    def rule(x: object, other: object) -> Box:
        first, second = (
            part if isinstance(part, Box) else Box(cast(Tensor, part), cast(Tensor, part)) for part in (x, other)
        )
        return Box(function(first.lower, second.lower), function(first.upper, second.upper))

    return rule


def _out_of_place(function: Callable[..., Tensor]) -> Rule:
    """Make the rule of an activation whose in-place form must not write into bounds that autograd still needs."""
    plain = _each(function)

    def rule(x: Box, *args: object, **kwargs: object) -> object:
        within = kwargs.pop("inplace", False)
        found = cast(Box, plain(x, *args, **kwargs))
        return x.become(found) if within else found

    return rule


_RULES: dict[str, Rule] = {
    "linear": _affine(f.linear),
    "conv1d": _affine(f.conv1d),
    "conv2d": _affine(f.conv2d),
    "conv3d": _affine(f.conv3d),
    "conv_transpose1d": _affine(f.conv_transpose1d),
    "conv_transpose2d": _affine(f.conv_transpose2d),
    "add": _add,
    "sub": _sub,
    "rsub": lambda x, other, **kwargs: _sub(other, x, **kwargs),
    "mul": _mul,
    "div": _div,
    "true_divide": _div,
    "neg": _neg,
    "matmul": _matmul,
    "abs": _abs,
    "square": lambda x: _pow(x, 2),
    "pow": _pow,
    "batch_norm": _batch_norm,
    "dropout": _dropout,
    "dropout2d": _dropout,
    "feature_dropout": _dropout,
    "leaky_relu": _leaky,
    # The minima of x·Φ(x) and of x·σ(x).
    "gelu": _valley(f.gelu, -0.7517915),
    "silu": _valley(f.silu, -1.2784645),
    "cat": _join(torch.cat),
    "concat": _join(torch.cat),
    "stack": _join(torch.stack),
    "maximum": _two(torch.maximum),
    "minimum": _two(torch.minimum),
    "__add__": _add,
    "__radd__": _add,
    "__sub__": _sub,
    "__rsub__": lambda x, other: _add(_neg(x), other),
    "__mul__": _mul,
    "__rmul__": _mul,
    "__truediv__": _div,
    "size": _fact("size"),
    "dim": _fact("dim"),
    "numel": _fact("numel"),
    "is_floating_point": _fact("is_floating_point"),
}
_NEVER_FALLING = (
    *("relu", "relu6", "elu", "selu", "celu", "hardtanh", "hardsigmoid", "softplus", "softsign", "logsigmoid"),
    *("max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d"),
    *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"),
    *("adaptive_max_pool1d", "adaptive_max_pool2d", "pad", "pixel_shuffle"),
)
_RULES |= {name: _out_of_place(getattr(f, name)) for name in _NEVER_FALLING}
_RULES |= {name: _each(getattr(torch, name)) for name in ("tanh", "sigmoid", "exp", "log", "sqrt", "clamp", "sign")}
_MOVING = (
    *("flatten", "view", "reshape", "permute", "transpose", "squeeze", "unsqueeze", "contiguous", "to", "float"),
    *("double", "expand", "expand_as", "repeat", "unflatten", "movedim", "mean", "sum", "amax", "amin", "clamp_min"),
    *("clamp_max", "cumsum", "chunk", "split", "unbind", "clone", "detach"),
)
"""Methods that move values or add them up: alike for both bounds."""
_RULES |= {name: _method(name) for name in _MOVING}
