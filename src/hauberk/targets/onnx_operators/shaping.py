"""Operators that move values without changing them: reshape, slice, gather, join, make."""

from __future__ import annotations

import torch

from hauberk.targets.onnx_operators.attributes import (
    Attributes,
    Inputs,
    Operator,
    Unsupported,
    axes_of,
    given,
    need,
    whole,
)


def reshape(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Reshape; 0 keeps a length unless allowzero is set."""
    x = need(inputs[0])
    shape = whole(inputs[1]) if len(inputs) > 1 else attributes.ints("shape")
    if not attributes.number("allowzero"):
        shape = [x.shape[place] if length == 0 else length for place, length in enumerate(shape)]
    return x.reshape(shape)


def flatten(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Flatten to two axes, cut at `axis`."""
    x = need(inputs[0])
    axis = attributes.number("axis", 1)
    axis = axis if axis >= 0 else axis + x.ndim
    return x.reshape(x.shape[:axis].numel(), -1)


def transpose(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Reorder the axes, by default backward."""
    x = need(inputs[0])
    return x.permute(attributes.ints("perm", list(reversed(range(x.ndim)))))


def squeeze(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Drop axes of length one."""
    axes = axes_of(inputs, 1, attributes)
    x = need(inputs[0])
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


def unsqueeze(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Add axes of length one; they are counted in the result."""
    x = need(inputs[0])
    axes = axes_of(inputs, 1, attributes) or []
    final = x.ndim + len(axes)
    for axis in sorted(axis % final for axis in axes):
        x = x.unsqueeze(axis)
    return x


def concat(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Join along an axis."""
    return torch.cat([need(item) for item in inputs], attributes.number("axis"))


def split(inputs: Inputs, attributes: Attributes) -> tuple[torch.Tensor, ...]:
    """Cut along an axis into stated or equal lengths."""
    x, axis = need(inputs[0]), attributes.number("axis", 0)
    lengths = axes_of(inputs, 1, attributes, "split")
    if lengths is None:
        count = attributes.number("num_outputs", attributes.outputs)
        return torch.split_with_sizes(x, _equal(x.shape[axis], count), axis)
    return torch.split_with_sizes(x, lengths, axis)


def _equal(length: int, count: int) -> list[int]:
    """Cut a length into `count` parts as equal as can be, the last one smaller."""
    part = -(-length // count)
    return [max(0, min(part, length - start)) for start in range(0, part * count, part)] if part else [0] * count


def cut(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Take slices, from inputs (opset 10) or attributes (before); steps may be negative."""
    x = need(inputs[0])
    if len(inputs) > 1:
        starts, ends, axes, steps = whole(inputs[1]), whole(inputs[2]), given(inputs, 3), given(inputs, 4)
        along = whole(axes) if axes is not None else list(range(len(starts)))
        strides = whole(steps) if steps is not None else [1] * len(starts)
    else:
        starts, ends = attributes.ints("starts"), attributes.ints("ends")
        along, strides = attributes.ints("axes", list(range(len(starts)))), [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, along, strides, strict=True):
        picked = (
            range(*slice(start, end, step).indices(x.shape[axis])) if step > 0 else _backward(x, axis, start, end, step)
        )
        if step > 0:
            window: list[slice] = [slice(None)] * x.ndim
            window[axis] = slice(picked.start, max(picked.stop, picked.start), step)
            x = x[tuple(window)]
        else:
            x = x.index_select(axis, torch.tensor(list(picked), dtype=torch.int64, device=x.device))
    return x


def _backward(x: torch.Tensor, axis: int, start: int, end: int, step: int) -> range:
    """Say which places a backward slice visits; an end below -length means "to the first"."""
    length = x.shape[axis]
    first = min(start if start >= 0 else start + length, length - 1)
    last = max(end if end >= 0 else end + length, -1)
    return range(first, last, step)


def gather(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Pick slices along an axis by an index tensor of any shape."""
    x, index, axis = need(inputs[0]), need(inputs[1]), attributes.number("axis", 0)
    axis %= x.ndim
    places = torch.where(index < 0, index + x.shape[axis], index).to(torch.int64)
    picked = x.index_select(axis, places.reshape(-1).to(x.device))
    return picked.reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


def gather_elements(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Pick single values along an axis."""
    x, index, axis = need(inputs[0]), need(inputs[1]), attributes.number("axis", 0)
    return x.gather(axis, torch.where(index < 0, index + x.shape[axis], index))


def gather_nd(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Pick slices by tuples of indices."""
    if attributes.number("batch_dims"):
        raise Unsupported("GatherND with batch_dims")
    x, index = need(inputs[0]), need(inputs[1])
    return x[tuple(index.movedim(-1, 0))]


def scatter_nd(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Put slices at tuples of indices."""
    if attributes.text("reduction", "none") != "none":
        raise Unsupported("ScatterND with reduction")
    x, index, values = need(inputs[0]), need(inputs[1]), need(inputs[2])
    return x.index_put(tuple(index.movedim(-1, 0)), values)


def scatter_elements(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Put single values along an axis."""
    if attributes.text("reduction", "none") != "none":
        raise Unsupported("ScatterElements with reduction")
    x, index, axis = need(inputs[0]), need(inputs[1]), attributes.number("axis", 0)
    return x.scatter(axis, torch.where(index < 0, index + x.shape[axis], index), need(inputs[2]))


def expand(inputs: Inputs, _: Attributes) -> torch.Tensor:
    """Broadcast both ways, as ONNX does."""
    x = need(inputs[0])
    return x.expand(_broadcast(list(x.shape), whole(inputs[1])))


def _broadcast(left: list[int], right: list[int]) -> list[int]:
    """Return the shape two shapes broadcast to."""
    size = max(len(left), len(right))
    pairs = zip([1] * (size - len(left)) + left, [1] * (size - len(right)) + right, strict=True)
    return [b if a == 1 else a for a, b in pairs]


def tile(inputs: Inputs, _: Attributes) -> torch.Tensor:
    """Repeat along every axis."""
    return need(inputs[0]).repeat(whole(inputs[1]))


def shape_of(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Return the shape, or a slice of it."""
    shape = list(need(inputs[0]).shape)
    end = attributes.number("end") if "end" in attributes else None
    return torch.tensor(shape[attributes.number("start") : end], dtype=torch.int64)


def size_of(inputs: Inputs, _: Attributes) -> torch.Tensor:
    """Return the number of values."""
    return torch.tensor(need(inputs[0]).numel(), dtype=torch.int64)


def constant(_: Inputs, attributes: Attributes) -> torch.Tensor:
    """Return the stated value."""
    stated = attributes.tensor("value")
    if stated is not None:
        return stated
    for name, kind in (
        ("value_float", torch.float32),
        ("value_int", torch.int64),
        ("value_floats", torch.float32),
        ("value_ints", torch.int64),
    ):
        if name in attributes:
            return torch.tensor(attributes.value(name), dtype=kind)
    raise Unsupported("Constant of text or sparse value")


def constant_of_shape(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Fill a shape with one value, by default 0.0."""
    stated = attributes.tensor("value")
    fill = stated if stated is not None else torch.zeros(1)
    return fill.reshape(()).expand(whole(inputs[0])).clone()


def arange(inputs: Inputs, _: Attributes) -> torch.Tensor:
    """Count from start to limit."""
    start, limit, step = (need(item) for item in inputs[:3])
    return torch.arange(start.item(), limit.item(), step.item(), dtype=start.dtype, device=start.device)


def one_hot(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Mark an index along a new axis with the second of two values."""
    index, depth, values = need(inputs[0]).to(torch.int64), whole(inputs[1])[0], need(inputs[2])
    index = torch.where(index < 0, index + depth, index)
    marks = torch.nn.functional.one_hot(index, depth).movedim(-1, attributes.number("axis", -1))
    return torch.where(marks.bool(), values[1], values[0])


def triangle(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Keep the upper or lower triangle."""
    x, diagonal = need(inputs[0]), whole(inputs[1])[0] if given(inputs, 1) is not None else 0
    return torch.triu(x, diagonal) if attributes.number("upper", 1) else torch.tril(x, diagonal)


def nonzero(inputs: Inputs, _: Attributes) -> torch.Tensor:
    """Return the places of values other than zero, one row an axis."""
    return need(inputs[0]).nonzero().t()


OPERATORS: dict[str, Operator] = {
    "Concat": concat,
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "NonZero": nonzero,
    "OneHot": one_hot,
    "Range": arange,
    "Reshape": reshape,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "Shape": shape_of,
    "Size": size_of,
    "Slice": cut,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": tile,
    "Transpose": transpose,
    "Trilu": triangle,
    "Unsqueeze": unsqueeze,
}
