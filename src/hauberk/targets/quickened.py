"""A copy of a network made for searching: batch norms folded into convolutions, channels last. It answers alike."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import nn

from hauberk.targets.prepared import Prepared

_WIDE = 32
"""Input channels from which a convolution gains by channels-last (measured: 16 lose a little, 32 gain)."""
_HEAVY = 2**16
"""Weights of a linear layer from which half the bytes are worth the conversions."""
_ALIKE = 1e-4
"""Scores may differ by this share of their size: folding rounds otherwise."""

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def heavy(prepared: Prepared) -> bool:
    """Tell whether the network has enough arithmetic for a quicker form of it to be felt."""
    return any(
        isinstance(part, _CONVOLUTIONS) or (isinstance(part, nn.Linear) and part.weight.numel() >= _HEAVY)
        for part in prepared.modules()
    )


def quickened(prepared: Prepared, x: torch.Tensor) -> Prepared | None:
    """Return a quicker network in eval mode that answers x (n, *shape), n ≥ 2, alike; None where nothing is to gain.

    Folding is exact in real numbers: w′ = w · γ / √(σ² + ε) (Jacob et al. 2018, arXiv:1712.05877, section 3.2).
    """
    wide = any(isinstance(part, nn.Conv2d) and part.in_channels >= _WIDE for part in prepared.modules())
    norms = any(isinstance(part, _NORMS) for part in prepared.modules())
    if not (wide or norms):
        return None
    fresh = copy.deepcopy(prepared).eval().requires_grad_(False)
    if norms:
        fresh.net = _folded(fresh.net)
    if wide:
        for part in fresh.net.modules():
            if isinstance(part, nn.Conv2d):
                part.weight.data = part.weight.data.contiguous(memory_format=torch.channels_last)
        fresh.channels_last = True
    return fresh if all(_alike(prepared, fresh, part) for part in (x, x[:1])) else None


def _folded(net: nn.Module) -> nn.Module:
    """Fold neighbours in a Sequential, then whatever is left where the graph can be traced.

    Tracing comes second because its first use imports torch's symbolic shapes, which takes longer than many an attack.
    """
    net = _fold_neighbours(net)
    if not any(isinstance(part, _NORMS) for part in net.modules()):
        return net
    try:
        graph = torch.fx.symbolic_trace(net)
    except Exception:  # noqa: BLE001 - any code of the user's may refuse to be traced; it is then left as it is
        return net
    parts = dict(graph.named_modules())
    for norm in list(graph.graph.nodes):
        if norm.op != "call_module" or not isinstance(parts[str(norm.target)], _NORMS):
            continue
        before = norm.args[0]
        if not isinstance(before, torch.fx.Node) or before.op != "call_module" or len(before.users) > 1:
            continue
        convolution, name = parts[str(before.target)], str(before.target)
        if not isinstance(convolution, _CONVOLUTIONS) or _calls(graph, name) > 1:
            continue
        owner, _, child = name.rpartition(".")
        parts[name] = nn.utils.fuse_conv_bn_eval(convolution, parts[str(norm.target)])
        setattr(graph.get_submodule(owner), child, parts[name])
        norm.replace_all_uses_with(before)
        graph.graph.erase_node(norm)
    graph.delete_all_unused_submodules()
    graph.recompile()
    return graph


def _calls(graph: torch.fx.GraphModule, name: str) -> int:
    return sum(node.op == "call_module" and str(node.target) == name for node in graph.graph.nodes)


def _fold_neighbours(net: nn.Module) -> nn.Module:
    for chain in _chains(net):
        for place in range(len(chain) - 1):
            first, second = chain[place], chain[place + 1]
            if isinstance(first, _CONVOLUTIONS) and isinstance(second, _NORMS):
                chain[place] = nn.utils.fuse_conv_bn_eval(first, second)
                chain[place + 1] = nn.Identity()
    return net


def _chains(net: nn.Module) -> Iterator[nn.Sequential]:
    return (part for part in list(net.modules()) if isinstance(part, nn.Sequential))


def _alike(first: Prepared, second: Prepared, x: torch.Tensor) -> bool:
    try:
        with torch.no_grad():
            wanted, got = first(x), second(x)
    except Exception:  # noqa: BLE001 - a network that cannot be called in its other form keeps the one it has
        return False
    scale = float(wanted.abs().max()) or 1.0
    return wanted.shape == got.shape and float((wanted - got).abs().max()) <= _ALIKE * scale
