"""Tell those of a group that lie beyond everybody else along one direction."""

from __future__ import annotations

import torch

Tensor = torch.Tensor

_FAR = 0.999
"""Share of the others that do not count as far out."""


def far(outside: Tensor) -> float:
    """Return how far out all but one in a thousand of the others (m,) lie, whichever side."""
    return float(outside.abs().kthvalue(max(1, round(_FAR * len(outside)))).values.clamp(min=1e-12))


def several(inside: Tensor) -> float:
    """Return the place of the fifth farthest (or one in 300) of a group (n,): one outlier is no group."""
    count = min(len(inside), max(5, len(inside) * 3 // 1000))
    return float(inside.topk(count).values.min())


def beyond(inside: Tensor, outside: Tensor) -> Tensor:
    """Flag the (n,) of the group beyond the geometric middle of what others reach and what several of the group do."""
    reached, own = far(outside), several(inside)
    flagged: Tensor = inside > (reached * max(own, reached)) ** 0.5
    return flagged
