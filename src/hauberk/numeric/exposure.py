"""Secret-sharer exposure: how much likelier a planted canary is than the secrets it was drawn from."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

Tensor = torch.Tensor


class Exposure(NamedTuple):
    """Exposure (m,) in bits, and the p-value (m,) that a canary nobody planted would be as likely."""

    bits: Tensor
    chance: Tensor


def interpolated(canaries: Tensor, references: Tensor) -> Exposure:
    """Rank canaries' log perplexities (m,) among those of references (n,) drawn from the same space.

    Exposure is log2 n − log2 rank (Carlini et al. 2019, arXiv:1802.08232, §4.2); it cannot exceed log2(n + 1), which a
    canary likelier than every reference reaches: extrapolate then. Equal perplexities share the worse rank.
    """
    _check(canaries, references)
    ordered = references.double().sort().values
    rank = torch.searchsorted(ordered, canaries.double(), right=True) + 1
    return Exposure(math.log2(len(ordered) + 1) - rank.double().log2(), rank.double() / (len(ordered) + 1))


def extrapolated(canaries: Tensor, references: Tensor) -> Exposure:
    """Read exposure off a skew-normal distribution fitted to the references' log perplexities (§4.3 there).

    It can exceed log2 of the references' number; where it does it is an extrapolation, and only as good as the fit.
    Raises ValueError for fewer than 30 references or ones that are all alike.
    """
    _check(canaries, references)
    if len(references) < 30 or float(references.double().std()) < 1e-12:
        raise ValueError(f"{len(references)} references do not show a distribution: 30 that differ are needed")
    from scipy.stats import skewnorm  # takes 0.3 s to import

    shape, place, scale = skewnorm.fit(references.double().numpy())
    logs = torch.from_numpy(skewnorm.logcdf(canaries.double().numpy(), shape, place, scale))
    return Exposure(-logs / math.log(2), logs.exp())


def _check(canaries: Tensor, references: Tensor) -> None:
    for part in (canaries, references):
        if part.ndim != 1 or not len(part) or not bool(part.isfinite().all()):
            raise ValueError("log perplexities are one non-empty row of finite numbers")
