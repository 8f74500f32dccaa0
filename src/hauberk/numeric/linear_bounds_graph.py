"""From a torch module to the steps linear bounds know: traced on an example, so that Python in it runs as it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

import torch
from torch import nn
from torch.nn import functional

from hauberk.core.errors import MissingPower
from hauberk.numeric.linear_bounds_bends import relu, sigmoid, tanh
from hauberk.numeric.linear_bounds_steps import Affine, Most, Shape, Step, Sum
from hauberk.numeric.operations import EXAMPLE, Call, Recording, Result, recorded

Tensor = torch.Tensor
Value: TypeAlias = object

INPUT = 0
"""The first place of a graph is its input."""
_BATCH = 2
"""Samples of the example: a batch axis of 1 could not be told from others."""


@dataclass(frozen=True, slots=True)
class Place:
    """One intermediate result. step: how it comes about. inputs: places it comes from. shape: of one sample's."""

    step: Step | None
    inputs: tuple[int, ...]
    shape: Shape


@dataclass(frozen=True, slots=True)
class Graph:
    """A network's places in order; the last one is its logits, or what orders classes as they do."""

    places: tuple[Place, ...]


def graph_of(module: nn.Module, x: Tensor) -> Graph:
    """Trace a module in evaluation mode on x (n, *shape), n ≥ 1.

    Softmax, logarithm and the like at the very end are left out: they keep the order of classes. Raises MissingPower
    that names an operation without a rule; what is known: linear and convolutional layers, batch norm, ReLU and its
    leaky form, tanh, sigmoid, average and max pooling, sums, padding, reshaping, arithmetic with constants.
    """
    example = x[:1].expand(_BATCH, *x.shape[1:]).detach().clone()
    try:
        recording = recorded(module, example)
    except Exception as error:
        raise MissingPower(f"the network cannot be traced: {type(error).__name__}: {error}"[:300]) from error
    return _Reader(recording, example).graph()


class _Variable:
    """A result that depends on the input. value: on the example."""

    def __init__(self, place: int, value: Tensor) -> None:
        self.place, self.value = place, value


class _Reader:
    """Walk through what was recorded: every call becomes a place, or the place of what it leaves as it was."""

    def __init__(self, recording: Recording, example: Tensor) -> None:
        self._recording = recording
        self._places = [Place(None, (), tuple(example.shape[1:]))]
        self._known = {EXAMPLE: _Variable(INPUT, example)}

    def graph(self) -> Graph:
        """Read all of it."""
        for index, call in enumerate(self._recording.calls):
            self._known[index] = self._read(index, call)
        last = self._filled(self._recording.answer)
        if not isinstance(last, _Variable) or last.value.ndim != 2:
            raise MissingPower("the network's answer is no row of scores that depends on its input")
        return Graph(tuple(self._places[: last.place + 1]))

    def _read(self, index: int, call: Call) -> _Variable:
        args = tuple(self._filled(argument) for argument in call.args)
        variables = [row for row in args if isinstance(row, _Variable)]
        if call.name in _SAME or (call.name in _ORDERED and self._at_the_end(index)):
            return variables[0]
        rule = _RULES.get(call.name)
        if rule is None or call.kwargs.get("dtype") is not None:
            raise MissingPower(
                f"there are no linear bounds for the operation {call.name}", fix=f"known: {', '.join(_KNOWN)}"
            )
        with torch.no_grad():
            step, value = rule(*args)
        if value.shape[:1] != (_BATCH,):
            raise MissingPower(f"the operation {call.name} mixes samples of a batch")
        self._places.append(Place(step, tuple(row.place for row in variables), tuple(value.shape[1:])))
        return _Variable(len(self._places) - 1, value)

    def _filled(self, argument: object) -> Value:
        """Put variables in the place of results; batch norm and max pooling give more than theirs."""
        if isinstance(argument, Result):
            if argument.index:
                raise MissingPower("only the first result of an operation has linear bounds")
            return self._known[argument.call]
        if isinstance(argument, list | tuple):
            return [self._filled(row) for row in argument]
        return argument

    def _at_the_end(self, index: int) -> bool:
        """Tell whether only operations that keep the order of classes follow."""
        followers = [
            later
            for later, call in enumerate(self._recording.calls)
            if any(result.call == index for result in call.results())
        ]
        return all(self._recording.calls[later].name in _ORDERED and self._at_the_end(later) for later in followers)


Read: TypeAlias = tuple[Step, Tensor]
Rule: TypeAlias = Callable[..., Read]


def _affine(
    x: _Variable, apply: Callable[[Tensor], Tensor], absolute: Callable[[Tensor], Tensor] | None = None, *, mixes: bool
) -> Read:
    """Make a step of an affine function by autograd; absolute: None where no weight is negative."""
    shape = x.value.shape[1:]
    offset = apply(x.value.new_zeros(1, *shape))

    def linear(part: Tensor) -> Tensor:
        return apply(part) - offset

    def transpose(over: Tensor) -> Tensor:
        with torch.enable_grad():
            point = over.new_zeros(len(over), *shape).requires_grad_()
            (back,) = torch.autograd.grad(apply(point), point, over)
        return back

    squares = None if mixes else linear  # what only moves values has no weights but 0 and 1
    return Affine(linear, absolute or linear, transpose, offset, mixes, squares), apply(x.value)


def _convolution(x: _Variable, weight: Tensor, bias: Tensor | None, *settings: object) -> Read:
    size, pads = x.value.shape[1:], cast(Sequence[int], settings[1])

    def run(part: Tensor, kernel: Tensor) -> Tensor:
        out: Tensor = torch.ops.aten.convolution(part, kernel, None, *settings)
        return out

    turned = _turned(weight, settings)

    def transpose(over: Tensor) -> Tensor:
        if turned is not None:
            return functional.conv2d(
                over, turned, padding=[k - 1 - p for k, p in zip(weight.shape[2:], pads, strict=True)]
            )
        like = over.new_empty(1).expand(len(over), *size)
        back: Tensor = torch.ops.aten.convolution_backward(over, like, weight, None, *settings, [True, False, False])[0]
        return back

    offset = run(x.value.new_zeros(1, *size), weight)
    if bias is not None:
        offset = offset + bias.reshape(1, -1, *[1] * (len(size) - 1))
    positive, squared = weight.abs(), weight.square()
    step = Affine(
        lambda part: run(part, weight),
        lambda part: run(part, positive),
        transpose,
        offset,
        squares=lambda part: run(part, squared),
    )
    return step, run(x.value, weight) + offset


def _turned(weight: Tensor, how: Sequence[object]) -> Tensor | None:
    """Turn a kernel round, so that a plain convolution transposes one of stride 1: twice as fast as torch's own way."""
    stride, padding, dilation, transposed, _, groups = how
    plain = weight.ndim == 4 and not transposed and groups == 1
    ones = all(step == 1 for step in (*cast(Sequence[int], stride), *cast(Sequence[int], dilation)))
    if (
        not plain
        or not ones
        or any(p >= k for p, k in zip(cast(Sequence[int], padding), weight.shape[2:], strict=True))
    ):
        return None
    return weight.flip(2, 3).transpose(0, 1).contiguous()


def _product(x: _Variable, weight: Tensor, bias: Tensor | None = None) -> Read:
    """Multiply rows by a matrix (in, out)."""
    positive, squared = weight.abs(), weight.square()
    offset = weight.new_zeros(1, weight.shape[1]) if bias is None else bias.reshape(1, -1)
    step = Affine(
        lambda part: part @ weight,
        lambda part: part @ positive,
        lambda over: over @ weight.T,
        offset,
        squares=lambda part: part @ squared,
    )
    return step, x.value @ weight + offset


def _scaled(x: _Variable, factor: Tensor | float, shift: Tensor | float = 0.0) -> Read:
    """Multiply and shift each value: factor and shift broadcast to one sample."""
    like = x.value[:1]
    scale, offset = (torch.as_tensor(part, dtype=like.dtype).expand(like.shape) for part in (factor, shift))
    step = Affine(
        lambda part: part * scale,
        lambda part: part * scale.abs(),
        lambda over: over * scale,
        offset,
        mixes=False,
        squares=lambda part: part * scale.square(),
    )
    return step, x.value * scale + offset


def _norm(x: _Variable, weight: Tensor | None, bias: Tensor | None, mean: Tensor, var: Tensor, *how: object) -> Read:
    *training, _, epsilon = how
    if any(training):
        raise MissingPower("a batch norm in training mode mixes samples of a batch", fix="put the network in eval mode")
    factor = (var + cast(float, epsilon)).rsqrt() * (1 if weight is None else weight)
    shift = (0 if bias is None else bias) - mean * factor
    axes = (1, -1, *[1] * (x.value.ndim - 2))
    return _scaled(x, factor.reshape(axes), shift.reshape(axes))


def _add(first: _Variable | Tensor | float, second: _Variable | Tensor | float, sign: int = 1) -> Read:
    if isinstance(first, _Variable) and isinstance(second, _Variable):
        if first.value.shape != second.value.shape:
            raise MissingPower("a sum of results of different shapes has no linear bounds")
        return Sum(sign), first.value + sign * second.value
    if isinstance(first, _Variable):
        return _scaled(first, 1.0, sign * _one(second))
    return _scaled(cast(_Variable, second), float(sign), _one(first))


def _one(constant: object) -> Tensor:
    """Take what is added or multiplied for one sample: a constant may have the example's batch axis."""
    tensor = torch.as_tensor(constant)
    return tensor[:1] if tensor.ndim and tensor.shape[0] == _BATCH else tensor


def _times(first: _Variable | Tensor | float, second: _Variable | Tensor | float) -> Read:
    if isinstance(first, _Variable) and isinstance(second, _Variable):
        raise MissingPower("a product of two results has no linear bounds")
    if isinstance(first, _Variable):
        return _scaled(first, _one(second))
    return _scaled(cast(_Variable, second), _one(first))


def _over(first: _Variable, second: Tensor | float) -> Read:
    if not isinstance(first, _Variable) or isinstance(second, _Variable):
        raise MissingPower("a division by a result has no linear bounds")
    return _scaled(first, 1 / _one(second))


def _by_torch(function: Callable[..., Tensor], *, mixes: bool) -> Rule:
    """Make a rule of a torch operation whose weights are 0 or positive."""

    def rule(x: _Variable, *how: object) -> Read:
        return _affine(x, lambda part: function(part, *how), mixes=mixes)

    return rule


def _reshaped(x: _Variable, *how: object) -> Read:
    shape = torch.ops.aten.reshape(x.value, *how).shape
    if shape[0] != _BATCH:
        raise MissingPower("a reshape mixes samples of a batch")
    before, after = x.value.shape[1:], shape[1:]
    step = Affine(
        lambda part: part.reshape(len(part), *after),
        lambda part: part.reshape(len(part), *after),
        lambda over: over.reshape(len(over), *before),
        x.value.new_zeros(1, *after),
        mixes=False,
        squares=lambda part: part.reshape(len(part), *after),
    )
    return step, x.value.reshape(shape)


def _squeezed(x: _Variable, *how: object) -> Read:
    return _reshaped(x, list(torch.squeeze(x.value, *cast(tuple[int, ...], how)).shape))


def _unsqueezed(x: _Variable, axis: int) -> Read:
    return _reshaped(x, list(x.value.unsqueeze(axis).shape))


def _pooled(
    x: _Variable,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    ceil: bool = False,
) -> Read:
    """Read max pooling of images; a border that padding adds is never greatest."""
    if ceil or tuple(dilation) not in ((1, 1), (1,)):
        raise MissingPower("max pooling with dilation or ceil_mode has no linear bounds here")
    high, wide = (tuple(kernel) * 2)[:2]
    down, across = (tuple(stride or kernel) * 2)[:2]
    above, left = (tuple(padding) * 2)[:2]

    def windows(part: Tensor, fill: float = -math.inf) -> Tensor:
        padded = functional.pad(part, (left, left, above, above), value=fill)
        return padded.unfold(2, high, down).unfold(3, wide, across).flatten(4)

    shape = tuple(x.value.shape[1:])
    number = torch.arange(math.prod(shape), dtype=torch.float64).reshape(1, *shape)
    places = windows(number, 0.0)[0].long()
    return Most(windows, places, shape), windows(x.value).amax(-1)


def _bent(step: Callable[[], Step], value: Callable[[Tensor], Tensor]) -> Rule:
    return lambda x, *_: (step(), value(x.value))


def _leaky(x: _Variable, slope: float = 0.01) -> Read:
    if not 0 <= slope < 1:
        raise MissingPower(f"leaky ReLU with slope {slope:g} has no linear bounds here")
    step = relu(slope)
    return step, step.value(x.value)


aten = torch.ops.aten
_RULES: dict[str, Rule] = {
    "convolution": _convolution,
    "addmm": lambda bias, x, weight: _product(x, weight, bias),
    "mm": _product,
    "linear": lambda x, weight, bias=None: _product(x, weight.T, bias),
    "native_batch_norm": _norm,
    "_native_batch_norm_legit_no_training": lambda x, w, b, m, v, momentum, eps: _norm(x, w, b, m, v, momentum, eps),
    "add": _add,
    "sub": lambda first, second: _add(first, second, -1),
    "rsub": lambda first, second: _add(second, first, -1),
    "mul": _times,
    "div": _over,
    "neg": lambda x: _scaled(x, -1.0),
    "view": _reshaped,
    "_unsafe_view": _reshaped,
    "reshape": _reshaped,
    "squeeze": _squeezed,
    "unsqueeze": _unsqueezed,
    "permute": _by_torch(aten.permute, mixes=False),
    "transpose": _by_torch(aten.transpose, mixes=False),
    "slice": _by_torch(aten.slice, mixes=False),
    "select": _by_torch(aten.select, mixes=False),
    "constant_pad_nd": _by_torch(aten.constant_pad_nd, mixes=False),
    "upsample_nearest2d": _by_torch(aten.upsample_nearest2d, mixes=False),
    "avg_pool2d": _by_torch(aten.avg_pool2d, mixes=True),
    "_adaptive_avg_pool2d": _by_torch(aten._adaptive_avg_pool2d, mixes=True),
    "mean": _by_torch(aten.mean, mixes=True),
    "sum": _by_torch(aten.sum, mixes=True),
    "max_pool2d_with_indices": _pooled,
    "relu": _bent(relu, torch.relu),
    "leaky_relu": _leaky,
    "tanh": _bent(tanh, torch.tanh),
    "sigmoid": _bent(sigmoid, torch.sigmoid),
}
_KNOWN = ("linear", "convolution", "batch norm", "ReLU", "tanh", "sigmoid", "pooling", "sums", "reshaping")
_SAME = ("detach", "clone", "alias", "lift_fresh_copy", "contiguous", "_to_copy")
_ORDERED = ("_softmax", "_log_softmax", "log", "clamp_min", "softmax", "log_softmax")
