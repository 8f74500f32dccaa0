"""How unlikely it is that a suspect who never saw the model or its data answers as it does: p-values of ownership."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch


def matched_by_chance(matches: int, marks: int, classes: int) -> float:
    """Return P(at least so many of `marks` secret labels are matched), labels drawn uniformly over the classes.

    Exact for any suspect that is independent of the secret, whatever its accuracy or bias: whatever it answers, each
    label was drawn without regard to it. Source: Adi et al. 2018, arXiv:1802.04633, §3 (non-trivial ownership).
    Raises ValueError for impossible counts.
    """
    if not 0 <= matches <= marks or marks < 1 or classes < 2:
        raise ValueError(f"{matches} of {marks} marks over {classes} classes is no count")
    from scipy.special import betainc  # takes 0.1 s to import

    return 1.0 if matches == 0 else float(betainc(matches, marks - matches + 1, 1 / classes))


def ranked_higher(own: torch.Tensor, others: torch.Tensor) -> float:
    """Return the one-sided p-value of Mann and Whitney's test that `own` (n,) do not lie above `others` (m,).

    With the normal approximation, the correction for ties and for continuity; at least 8 of each.
    Source: Mann & Whitney 1947. Raises ValueError for fewer.
    """
    n, m = len(own), len(others)
    if min(n, m) < 8:
        raise ValueError(f"{n} and {m} values are too few for a rank test; give 8 of each")
    every = torch.cat((own, others)).double()
    _, place, counts = np.unique(every.numpy(), return_inverse=True, return_counts=True)
    last = counts.cumsum()
    ranks = ((last - counts + 1 + last) / 2)[place]
    above = float(ranks[:n].sum()) - n * (n + 1) / 2
    size, tied = n + m, counts.astype(np.float64)
    spread = n * m / 12 * (size + 1 - float((tied**3 - tied).sum()) / (size * (size - 1)))
    if spread <= 0:
        return 1.0
    return 0.5 * math.erfc((above - n * m / 2 - 0.5) / math.sqrt(2 * spread))


def combined(chances: Sequence[float]) -> float:
    """Combine independent p-values into one by Fisher's method (Fisher 1932); raises ValueError for none or outside."""
    if not chances or any(not 0 <= p <= 1 for p in chances):
        raise ValueError("p-values lie in [0, 1], and there is at least one")
    from scipy.special import gammaincc

    return float(gammaincc(len(chances), -sum(math.log(max(p, 1e-300)) for p in chances)))
