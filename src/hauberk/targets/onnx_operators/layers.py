"""Operators with weights or windows: matrix products, convolutions, pooling, normalisation, resizing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from hauberk.targets.onnx_operators.attributes import Attributes, Inputs, Operator, Unsupported, given, need, whole

CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}
MAX_POOLS = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}


def matmul(inputs: Inputs, _: Attributes) -> torch.Tensor:
    """Multiply matrices."""
    return torch.matmul(need(inputs[0]), need(inputs[1]))


def gemm(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Compute α·A·B + β·C."""
    left, right, bias = need(inputs[0]), need(inputs[1]), given(inputs, 2)
    left = left.t() if attributes.number("transA") else left
    alpha, beta = attributes.real("alpha", 1.0), attributes.real("beta", 1.0)
    if bias is not None and bias.ndim == 1 and alpha == beta == 1.0:
        return functional.linear(left, right if attributes.number("transB") else right.t(), bias)
    product = left @ (right.t() if attributes.number("transB") else right)
    product = product if alpha == 1.0 else alpha * product
    return product if bias is None else product + (bias if beta == 1.0 else beta * bias)


def einsum(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Sum products by Einstein's convention."""
    return torch.einsum(attributes.text("equation").replace(" ", ""), *[need(item) for item in inputs])


def convolve(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Convolve in one, two or three dimensions."""
    x, weight, bias = need(inputs[0]), need(inputs[1]), given(inputs, 2)
    space = x.ndim - 2
    if space not in CONVOLUTIONS:
        raise Unsupported(f"Conv in {space} dimensions")
    kernel, stride, dilation = _window(attributes, weight.shape[2:])
    pads = _pads(x.shape[2:], kernel, stride, dilation, attributes)
    x, padding = _padded(x, pads, 0.0)
    result: torch.Tensor = CONVOLUTIONS[space](
        x, weight, bias, stride, padding, dilation, attributes.number("group", 1)
    )
    return result


def convolve_transposed(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Convolve backward, with symmetric pads."""
    x, weight, bias = need(inputs[0]), need(inputs[1]), given(inputs, 2)
    space = x.ndim - 2
    _, stride, dilation = _window(attributes, weight.shape[2:])
    pads = attributes.ints("pads", [0] * 2 * space)
    if pads[:space] != pads[space:] or "output_shape" in attributes or _auto(attributes) != "NOTSET":
        raise Unsupported("ConvTranspose with uneven pads, output_shape or auto_pad")
    extra = attributes.ints("output_padding", [0] * space)
    result: torch.Tensor = TRANSPOSED[space](
        x, weight, bias, stride, pads[:space], extra, attributes.number("group", 1), dilation
    )
    return result


def max_pool(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Take the largest value of each window."""
    if attributes.outputs > 1 or attributes.number("storage_order"):
        raise Unsupported("MaxPool with indices")
    x = need(inputs[0])
    kernel, stride, dilation = _window(attributes, attributes.ints("kernel_shape"))
    pads = _pads(x.shape[2:], kernel, stride, dilation, attributes)
    ceil = bool(attributes.number("ceil_mode"))
    space = len(kernel)
    small = all(begin <= size // 2 for begin, size in zip(pads[:space], kernel, strict=True))
    padding = pads[:space]
    if padding != pads[space:] or not small:
        x, padding = _padded(x, pads, float("-inf"), always=True)
    return _pooled(x, kernel, stride, padding, dilation, ceil)


def _pooled(
    x: torch.Tensor, kernel: list[int], stride: list[int], padding: list[int], dilation: list[int], ceil: bool
) -> torch.Tensor:
    result: torch.Tensor = MAX_POOLS[len(kernel)](x, kernel, stride, padding, dilation, ceil)
    return result


def average_pool(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Average each window, counting the padding only where the attribute says so."""
    x = need(inputs[0])
    kernel, stride, dilation = _window(attributes, attributes.ints("kernel_shape"))
    if any(step != 1 for step in dilation) or attributes.number("ceil_mode"):
        raise Unsupported("AveragePool with dilations or ceil_mode")
    pads = _pads(x.shape[2:], kernel, stride, dilation, attributes)
    padded, _ = _padded(x, pads, 0.0, always=True)
    total = _window_mean(padded, kernel, stride)
    if not any(pads) or attributes.number("count_include_pad"):
        return total
    ones, _ = _padded(torch.ones_like(x[:1, :1]), pads, 0.0, always=True)
    return total / _window_mean(ones, kernel, stride)


def _window_mean(x: torch.Tensor, kernel: Sequence[int], stride: Sequence[int]) -> torch.Tensor:
    pool = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}[len(kernel)]
    result: torch.Tensor = pool(x, list(kernel), list(stride))
    return result


def global_average(inputs: Inputs, _: Attributes) -> torch.Tensor:
    """Average over all of space."""
    x = need(inputs[0])
    return x.mean(tuple(range(2, x.ndim)), keepdim=True)


def global_max(inputs: Inputs, _: Attributes) -> torch.Tensor:
    """Take the largest value over all of space."""
    x = need(inputs[0])
    return x.amax(tuple(range(2, x.ndim)), keepdim=True)


def batch_norm(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Normalise by stored mean and variance."""
    if attributes.number("training_mode"):
        raise Unsupported("BatchNormalization in training mode")
    x, scale, shift, mean, variance = (need(item) for item in inputs[:5])
    return functional.batch_norm(x, mean, variance, scale, shift, False, 0.0, attributes.real("epsilon", 1e-5))


def instance_norm(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Normalise each channel of each sample."""
    x, scale, shift = (need(item) for item in inputs[:3])
    return functional.instance_norm(x, weight=scale, bias=shift, eps=attributes.real("epsilon", 1e-5))


def layer_norm(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Normalise over the last axes."""
    if attributes.outputs > 1:
        raise Unsupported("LayerNormalization with statistics as outputs")
    x, scale, shift = need(inputs[0]), need(inputs[1]), given(inputs, 2)
    shape = list(x.shape[attributes.number("axis", -1) :])
    result = functional.layer_norm(x, shape, None, None, attributes.real("epsilon", 1e-5)) * scale
    return result if shift is None else result + shift


def group_norm(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Normalise groups of channels; scale and shift are per channel (opset 21) or per group (18)."""
    x, scale, shift = (need(item) for item in inputs[:3])
    groups = attributes.number("num_groups")
    if scale.numel() == groups != x.shape[1]:
        scale, shift = (item.repeat_interleave(x.shape[1] // groups) for item in (scale, shift))
    return functional.group_norm(x, groups, scale, shift, attributes.real("epsilon", 1e-5))


def local_response(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Normalise over neighbouring channels."""
    numbers = (attributes.real("alpha", 1e-4), attributes.real("beta", 0.75), attributes.real("bias", 1.0))
    return functional.local_response_norm(need(inputs[0]), attributes.number("size"), *numbers)


def pad(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Pad (or, with negative numbers, crop)."""
    x = need(inputs[0])
    pads = whole(inputs[1]) if given(inputs, 1) is not None else attributes.ints("pads")
    axes = [axis % x.ndim for axis in whole(inputs[3])] if given(inputs, 3) is not None else list(range(x.ndim))
    begin, end = [0] * x.ndim, [0] * x.ndim
    for place, axis in enumerate(axes):
        begin[axis], end[axis] = pads[place], pads[place + len(axes)]
    pairs = [number for axis in reversed(range(x.ndim)) for number in (begin[axis], end[axis])]
    mode = attributes.text("mode", "constant")
    if mode == "constant":
        constant = given(inputs, 2)
        fill = float(constant) if constant is not None and constant.numel() else attributes.real("value")
        return functional.pad(x, pairs, value=fill)
    named = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    if mode not in named or any(pairs[2 * (x.ndim - 2) :]):
        raise Unsupported(f"Pad in mode {mode} over batch or channels")
    return functional.pad(x, pairs[: 2 * (x.ndim - 2)], mode=named[mode])


def resize(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Resize space by nearest or (bi)linear interpolation, in the coordinate conventions torch has too."""
    x = need(inputs[0])
    scales, sizes = given(inputs, 2 if len(inputs) > 2 else 1), given(inputs, 3)
    if "axes" in attributes or attributes.text("coordinate_transformation_mode") == "tf_crop_and_resize":
        raise Unsupported("Resize with axes or cropping")
    if sizes is not None and sizes.numel():
        size = whole(sizes)[2:]
    else:
        factors = need(scales).tolist() if scales is not None else list(map(float, attributes.ints("scales")))
        size = [int(length * factor) for length, factor in zip(x.shape[2:], factors[2:], strict=True)]
    mode, place = attributes.text("mode", "nearest"), attributes.text("coordinate_transformation_mode", "half_pixel")
    if mode == "nearest":
        floor = attributes.text("nearest_mode", "round_prefer_floor") == "floor" and place == "asymmetric"
        return functional.interpolate(
            x, size, mode="nearest" if floor or "nearest_mode" not in attributes else "nearest-exact"
        )
    linear = {1: "linear", 2: "bilinear", 3: "trilinear"}[x.ndim - 2] if mode == "linear" else "bicubic"
    if place not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        raise Unsupported(f"Resize by {mode} with {place}")
    return functional.interpolate(x, size, mode=linear, align_corners=place == "align_corners")


def depth_to_space(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Move channels into space."""
    x, block = need(inputs[0]), attributes.number("blocksize")
    n, c, h, w = x.shape
    if attributes.text("mode", "DCR") == "CRD":
        return functional.pixel_shuffle(x, block)
    parts = x.reshape(n, block, block, c // block**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(n, c // block**2, h * block, w * block)


def space_to_depth(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    """Move space into channels."""
    x, block = need(inputs[0]), attributes.number("blocksize")
    n, c, h, w = x.shape
    parts = x.reshape(n, c, h // block, block, w // block, block).permute(0, 3, 5, 1, 2, 4)
    return parts.reshape(n, c * block**2, h // block, w // block)


def dropout(inputs: Inputs, _: Attributes) -> torch.Tensor:
    """Pass through: a model under test does not train."""
    return need(inputs[0])


def _auto(attributes: Attributes) -> str:
    return attributes.text("auto_pad", "NOTSET")


def _window(attributes: Attributes, size: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """Return kernel, stride and dilation of a window."""
    kernel = attributes.ints("kernel_shape", list(size))
    ones = [1] * len(kernel)
    return kernel, attributes.ints("strides", ones), attributes.ints("dilations", ones)


def _pads(
    space: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], attributes: Attributes
) -> list[int]:
    """Return begins then ends, computing what auto_pad leaves to be computed."""
    mode = _auto(attributes)
    if mode in ("NOTSET", "VALID"):
        return attributes.ints("pads", [0] * 2 * len(kernel)) if mode == "NOTSET" else [0] * 2 * len(kernel)
    begins, ends = [], []
    for length, size, step, gap in zip(space, kernel, stride, dilation, strict=True):
        total = max(0, (-(-length // step) - 1) * step + gap * (size - 1) + 1 - length)
        small, large = total // 2, total - total // 2
        begins.append(large if mode == "SAME_LOWER" else small)
        ends.append(small if mode == "SAME_LOWER" else large)
    return begins + ends


def _padded(x: torch.Tensor, pads: list[int], fill: float, *, always: bool = False) -> tuple[torch.Tensor, list[int]]:
    """Return x and the even padding that is left for the window; uneven pads are put on x itself."""
    space = len(pads) // 2
    begins, ends = pads[:space], pads[space:]
    if begins == ends and not always:
        return x, begins
    pairs = [number for axis in reversed(range(space)) for number in (begins[axis], ends[axis])]
    return functional.pad(x, pairs, value=fill) if any(pairs) else x, [0] * space


OPERATORS: dict[str, Operator] = {
    "AveragePool": average_pool,
    "BatchNormalization": batch_norm,
    "Conv": convolve,
    "ConvTranspose": convolve_transposed,
    "DepthToSpace": depth_to_space,
    "Dropout": dropout,
    "Einsum": einsum,
    "Gemm": gemm,
    "GlobalAveragePool": global_average,
    "GlobalMaxPool": global_max,
    "GroupNormalization": group_norm,
    "InstanceNormalization": instance_norm,
    "LRN": local_response,
    "LayerNormalization": layer_norm,
    "MatMul": matmul,
    "MaxPool": max_pool,
    "Pad": pad,
    "Resize": resize,
    "SpaceToDepth": space_to_depth,
    "Upsample": resize,
}
