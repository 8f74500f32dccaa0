"""Per-example gradients of single layers: their norms without forming them where that is cheaper, and weighted sums.

A rule gets what went into a layer, a list of (b, …), one for each call, and the loss gradient of what came out; it
returns the squared norm of each example's parameter gradient, and a way to add Σ_i c_i · gradient_i to a buffer.
Goodfellow 2015, arXiv:1510.01799 (linear); Li et al. 2022, arXiv:2110.05679 (sequences: Gram matrices); Bu et al. 2023,
arXiv:2205.10683 (per-layer choice).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import nn
from torch.nn import functional

Tensors: TypeAlias = Sequence[torch.Tensor]
Slots: TypeAlias = Mapping[str, torch.Tensor]
"""Name of a layer's trainable parameter ("weight", "bias") → the part of the gradient buffer that is its own."""
PATCHES = 500_000
"""Numbers of unfolded patches made at once (2 MB): patches of a whole batch may be nine times its activations."""


KEPT = 2.5
"""Formed gradients of a convolution are kept for the sum where they are at most so many times what they come from."""


class Piece(NamedTuple):
    """One layer's share: squared norms (b,), and how to add the sum weighted by c (b,)."""

    squared: torch.Tensor
    add: Callable[[torch.Tensor], None]


Rule: TypeAlias = Callable[[nn.Module, Tensors, Tensors, Slots], Piece]


def _linear(_: nn.Module, ins: Tensors, outs: Tensors, slots: Slots) -> Piece:
    if len(ins) == 1 and ins[0].ndim == 2:
        return _vectors(ins[0], outs[0], slots)
    flat = [part.reshape(len(part), -1, part.shape[-1]) for part in ins]
    grads = [part.reshape(len(part), -1, part.shape[-1]) for part in outs]
    a = flat[0] if len(flat) == 1 else torch.cat(flat, 1)
    g = grads[0] if len(grads) == 1 else torch.cat(grads, 1)
    return _sequences(a, g, slots)


def _vectors(a: torch.Tensor, g: torch.Tensor, slots: Slots) -> Piece:
    """One vector an example: the norm of an outer product is the product of the norms."""
    squared = torch.linalg.vector_norm(g, dim=1)
    if "weight" in slots:
        inner = torch.linalg.vector_norm(a, dim=1)
        squared.mul_(inner.square_().add_(1).sqrt_() if "bias" in slots else inner)
    squared.square_()

    def add(c: torch.Tensor) -> None:
        if "weight" in slots:
            slots["weight"].addmm_((g * c.unsqueeze(1)).t(), a)
        if "bias" in slots:
            slots["bias"].addmv_(g.t(), c)

    return Piece(squared, add)


def _sequences(a: torch.Tensor, g: torch.Tensor, slots: Slots) -> Piece:
    """Sequences a (b, t, i), g (b, t, o): by Gram matrices or by forming the gradients, whichever is less work."""
    b, t, i = a.shape
    o = g.shape[2]
    squared = g.new_zeros(b)
    formed: torch.Tensor | None = None
    if "weight" in slots:
        if t * (i + o) < i * o:
            squared = (torch.bmm(a, a.mT) * torch.bmm(g, g.mT)).sum((1, 2)).clamp_min_(0)
        else:
            made = torch.bmm(g.mT, a)
            squared = torch.linalg.vector_norm(made.reshape(b, -1), dim=1).square_()
            formed = made if made.numel() <= a.numel() + g.numel() else None
    sums = g.sum(1) if "bias" in slots else None
    if sums is not None:
        squared = squared + torch.linalg.vector_norm(sums, dim=1).square_()

    # What is formed takes the place of what it came from: both would be too much memory.
    held = (a, g) if "weight" in slots and formed is None else None

    def add(c: torch.Tensor) -> None:
        if formed is not None:
            slots["weight"].view(-1).addmv_(formed.reshape(b, -1).t(), c)
        if held is not None:
            weighted = (held[1] * c.view(-1, 1, 1)).reshape(b * t, o)
            slots["weight"].addmm_(weighted.t(), held[0].reshape(b * t, i))
        if sums is not None:
            slots["bias"].addmv_(sums.t(), c)

    return Piece(squared, add)


def _convolution(layer: nn.Module, ins: Tensors, outs: Tensors, slots: Slots) -> Piece:
    assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    (a,), (g,) = ins, outs
    b = len(a)
    squared = g.new_zeros(b)
    formed: list[torch.Tensor] = []
    if "weight" in slots:
        size = layer.weight.numel()
        keep = b * size <= KEPT * (a.numel() + g.numel())
        patches = a[0].numel() * layer.weight[0, 0].numel()
        rows = max(1, PATCHES // patches)
        parts = []
        for start in range(0, b, rows):
            made = _formed(layer, a[start : start + rows], g[start : start + rows])
            parts.append(torch.linalg.vector_norm(made, dim=1).square_())
            if keep:
                formed.append(made)
        squared = torch.cat(parts)
    sums = g.flatten(2).sum(2) if "bias" in slots else None
    if sums is not None:
        squared = squared + torch.linalg.vector_norm(sums, dim=1).square_()

    held = (a, g) if "weight" in slots and not formed else None

    def add(c: torch.Tensor) -> None:
        if formed:
            for part, share in zip(formed, torch.split(c, len(formed[0])), strict=True):
                slots["weight"].view(-1).addmv_(part.t(), share)
        if held is not None:
            weighted = held[1] * c.view(-1, *(1,) * (held[1].ndim - 1))
            slots["weight"].add_(_summed(layer, held[0], weighted))
        if sums is not None:
            slots["bias"].addmv_(sums.t(), c)

    return Piece(squared, add)


def _padded(layer: nn.Conv1d | nn.Conv2d | nn.Conv3d, a: torch.Tensor) -> torch.Tensor:
    sides = list(layer._reversed_padding_repeated_twice)
    if not any(sides):
        return a
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    return functional.pad(a, sides, mode=mode)


def _formed(layer: nn.Conv1d | nn.Conv2d | nn.Conv3d, a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    """Form the weight gradient of each example, (b, weights)."""
    b, groups, rank = len(a), layer.groups, a.ndim - 2
    found = _padded(layer, a)  # a strided copy: half the time of functional.unfold, and of any rank
    for axis in range(rank):
        kernel, wide = layer.kernel_size[axis], layer.dilation[axis]
        found = found.unfold(axis + 2, wide * (kernel - 1) + 1, layer.stride[axis])[..., ::wide]
    # (b, channels, places…, kernel…) → (b, channels · kernel, places)
    order = (0, 1, *range(2 + rank, 2 + 2 * rank), *range(2, 2 + rank))
    found = found.permute(order).reshape(b, a.shape[1] * layer.weight[0, 0].numel(), -1)
    places = found.shape[2]
    found = found.reshape(b * groups, -1, places)
    across = g.reshape(b * groups, -1, places)
    return torch.bmm(across, found.mT).reshape(b, -1)


def _summed(layer: nn.Conv1d | nn.Conv2d | nn.Conv3d, a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    rank = a.ndim - 2
    inputs = _padded(layer, a)
    found: torch.Tensor = torch.ops.aten.convolution_backward(
        g,
        inputs,
        layer.weight.detach(),
        None,
        list(layer.stride),
        [0] * rank,
        list(layer.dilation),
        False,
        [0] * rank,
        layer.groups,
        [False, True, False],
    )[1]
    return found


def _embedding(layer: nn.Module, ins: Tensors, outs: Tensors, slots: Slots) -> Piece:
    assert isinstance(layer, nn.Embedding)
    b, width = len(ins[0]), layer.embedding_dim
    ids = torch.cat([part.reshape(b, -1) for part in ins], 1)
    g = torch.cat([part.reshape(b, -1, width) for part in outs], 1)
    if layer.padding_idx is not None:
        g = g * (ids != layer.padding_idx).unsqueeze(2)
    # A token that an example holds twice gets both gradients: sums over equal (example, token) pairs.
    keys = (ids + torch.arange(b, device=ids.device).unsqueeze(1) * layer.num_embeddings).view(-1)
    pairs, place = torch.unique(keys, return_inverse=True)
    sums = g.new_zeros(len(pairs), width).index_add_(0, place, g.reshape(-1, width))
    example = pairs // layer.num_embeddings
    squared = g.new_zeros(b).index_add_(0, example, torch.linalg.vector_norm(sums, dim=1).square_())

    def add(c: torch.Tensor) -> None:
        slots["weight"].index_add_(0, pairs % layer.num_embeddings, sums * c[example].unsqueeze(1))

    return Piece(squared, add)


def _norm(layer: nn.Module, ins: Tensors, outs: Tensors, slots: Slots) -> Piece:
    """Layer norms and their kin: y = x̂ · weight + bias with x̂ of one example alone."""
    (a,), (g,) = ins, outs
    last = isinstance(layer, nn.LayerNorm | nn.RMSNorm)
    shape = layer.normalized_shape if isinstance(layer, nn.LayerNorm | nn.RMSNorm) else (a.shape[1],)
    b = len(a)

    def totals(values: torch.Tensor) -> torch.Tensor:
        """Sum over what is neither the example nor the parameter → (b, parameters)."""
        if last:
            return values.reshape(b, -1, *shape).sum(1).reshape(b, -1)
        return values.flatten(2).sum(2)

    made = {}
    if "weight" in slots:
        made["weight"] = totals(g * _standardised(layer, a))
    if "bias" in slots:
        made["bias"] = totals(g)
    squared = g.new_zeros(b)
    for value in made.values():
        squared = squared + torch.linalg.vector_norm(value, dim=1).square_()

    def add(c: torch.Tensor) -> None:
        for name, value in made.items():
            slots[name].view(-1).addmv_(value.t(), c)

    return Piece(squared, add)


def _standardised(layer: nn.Module, a: torch.Tensor) -> torch.Tensor:
    if isinstance(layer, nn.LayerNorm):
        return functional.layer_norm(a, layer.normalized_shape, eps=layer.eps)
    if isinstance(layer, nn.RMSNorm):
        return functional.rms_norm(a, list(layer.normalized_shape), eps=layer.eps)
    if isinstance(layer, nn.GroupNorm):
        return functional.group_norm(a, layer.num_groups, eps=layer.eps)
    assert isinstance(layer, nn.InstanceNorm1d | nn.InstanceNorm2d | nn.InstanceNorm3d)
    return functional.instance_norm(a, eps=layer.eps)


RULES: dict[type[nn.Module], Rule] = {
    nn.Linear: _linear,
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.Conv3d: _convolution,
    nn.Embedding: _embedding,
    nn.LayerNorm: _norm,
    nn.RMSNorm: _norm,
    nn.GroupNorm: _norm,
    nn.InstanceNorm1d: _norm,
    nn.InstanceNorm2d: _norm,
    nn.InstanceNorm3d: _norm,
}
"""Exactly these types: a subclass may compute something else."""
REPEATABLE = (nn.Linear, nn.Embedding)
"""Layers whose rule takes several calls in one forward pass."""


def rule_of(layer: nn.Module) -> Rule | None:
    """Return the layer's rule; None where it must go the slow way."""
    return RULES.get(type(layer))
