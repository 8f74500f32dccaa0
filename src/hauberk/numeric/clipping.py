"""Clipping: from each example's gradient norm to the weight its gradient enters the sum with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch

ClippingKind: TypeAlias = Literal["flat", "per_layer", "automatic", "adaptive"]
_STABLE = 0.01
"""γ of automatic clipping: Bu et al. 2022 (arXiv:2206.07136, §4.2) take 0.01 throughout."""


@dataclass(frozen=True, slots=True)
class Clipping:
    """A rule that makes every example's weighted gradient have norm `bound` at most.

    flat: min(1, bound / norm). per_layer: each of the layers so, with bound / √layers. automatic: bound / (norm +
    0.01), no norm to tune (Bu et al. 2022, arXiv:2206.07136). adaptive: flat, and the bound follows a quantile of the
    norms (Andrew et al. 2021, arXiv:1905.03871).
    """

    kind: ClippingKind = "flat"
    bound: float = 1.0

    def __post_init__(self) -> None:
        """Refuse bounds that cannot be."""
        if not (self.bound > 0 and math.isfinite(self.bound)):
            raise ValueError(f"the clipping norm is {self.bound:g}; it must be above 0")

    def weights(self, squared: torch.Tensor, layers: int = 1) -> torch.Tensor:
        """Return the factor of each example (b,) from squared norms (b,); layers: among how many the bound is shared.

        A gradient that is not a number gets the factor 0 (its caller must leave its values out of the sum).
        """
        norms = squared.sqrt()
        bound = self.bound / math.sqrt(layers)
        factors = bound / (norms + _STABLE) if self.kind == "automatic" else (bound / norms).clamp_max_(1.0)
        return factors.nan_to_num_(nan=0.0)  # infinite norms give 0 already


@dataclass(slots=True)
class AdaptiveBound:
    """The clipping norm that follows a quantile of gradient norms, by a noisy count of those below it.

    quantile: share of norms to lie under the bound. rate: step of its logarithm. count_noise: standard deviation of the
    noise on the count of examples under it. Andrew et al. 2021, arXiv:1905.03871, algorithm 1.
    """

    bound: float
    quantile: float = 0.5
    rate: float = 0.2
    count_noise: float = 10.0
    least: float = 1e-4
    most: float = 1e4

    def gradient_noise(self, noise: float) -> float:
        """Return the larger noise multiplier the gradient needs so that both releases cost what `noise` alone would.

        Theorem 1: z_Δ = (z⁻² − (2 σ_b)⁻²)^(−1/2). Raises ValueError where the count has too little noise.
        """
        if noise == 0:
            return 0.0
        left = noise**-2 - (2 * self.count_noise) ** -2
        if left <= 0:
            raise ValueError(
                f"the count's noise {self.count_noise:g} must be above half the noise multiplier {noise:g}"
            )
        return float(left**-0.5)

    def follow(self, below: int, expected: float, noise: float) -> None:
        """Move the bound, given how many norms lay under it and one draw of N(0, 1)."""
        share = (below + self.count_noise * noise) / max(1.0, expected)
        self.bound *= math.exp(-self.rate * (min(1.5, max(-0.5, share)) - self.quantile))
        self.bound = min(self.most, max(self.least, self.bound))
