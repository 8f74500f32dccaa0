"""Pairs of samples and the shares they are mixed in, for augmentations that mix."""

from __future__ import annotations

import torch

from hauberk.defenses.labelled import Labelled


def drawn_share(alpha: float) -> float:
    """Draw λ ~ Beta(alpha, alpha) from torch's global stream, which the driver seeds and puts back."""
    return float(torch.distributions.Beta(alpha, alpha).sample())


def partners(batch: Labelled, rng: torch.Generator) -> Labelled:
    """Return the batch in another order."""
    return batch.take(torch.randperm(len(batch.y), generator=rng).to(batch.y.device))
