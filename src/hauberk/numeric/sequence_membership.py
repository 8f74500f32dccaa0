"""What the log probabilities of a sequence's tokens say of its membership: loss, min-k %, min-k++, zlib, reference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

Tensor = torch.Tensor

SHARE = 0.2
"""Share of the least likely tokens that min-k % looks at (Shi et al. 2024, §3)."""


@dataclass(frozen=True, slots=True)
class Sequences:
    """Log probabilities a model gave to the tokens of n sequences.

    tokens: (n, t) float, of each token given those before it; lengths: (n,) int64, tokens of each, the rest is padding.
    mean, deviation: (n, t), of the log probability over the vocabulary at each place; None where not known.
    packed: (n,) bytes of each text under zlib; None where not known.
    references: (k, n, t) log probabilities that models without the sequences gave; may be empty.
    """

    tokens: Tensor
    lengths: Tensor
    mean: Tensor | None = None
    deviation: Tensor | None = None
    packed: Tensor | None = None
    references: Tensor | None = None

    @property
    def known(self) -> Tensor:
        """Which places (n, t) hold a token."""
        return torch.arange(self.tokens.shape[1]) < self.lengths[:, None]


def mean_log_probability(sequences: Sequences) -> Tensor:
    """Return the mean log probability (n,): minus the per-token loss (Yeom et al. 2018; Carlini et al. 2021)."""
    return _mean(sequences.tokens, sequences.known)


def least_likely(sequences: Sequences, share: float = SHARE) -> Tensor:
    """Return the mean over the `share` least likely tokens (n,): min-k % (Shi et al. 2024, arXiv:2310.16789, §3)."""
    return _least(sequences.tokens, sequences, share)


def least_likely_standardised(sequences: Sequences, share: float = SHARE) -> Tensor:
    """Return min-k++ (n,): each token's log probability against what the vocabulary has at its place.

    Zhang et al. 2024, arXiv:2404.02936, equation 3. Raises ValueError where mean and deviation are not known.
    """
    if sequences.mean is None or sequences.deviation is None:
        raise ValueError("min-k++ needs mean and deviation of the log probability over the vocabulary")
    scaled = (sequences.tokens.double() - sequences.mean) / sequences.deviation.clamp_min(1e-6)
    return _least(scaled, sequences, share)


def against_compression(sequences: Sequences) -> Tensor:
    """Return the log probability for each compressed byte (n,) (Carlini et al. 2021, arXiv:2012.07805, §5.2).

    What zlib packs well is easy for any model. Raises ValueError where the packed sizes are not known.
    """
    if sequences.packed is None:
        raise ValueError("the zlib attack needs the compressed size of each text")
    total = torch.where(sequences.known, sequences.tokens.double(), 0.0).sum(1)
    return total / sequences.packed.clamp_min(1)


def against_references(sequences: Sequences) -> Tensor:
    """Return the mean log probability less that of reference models (n,) (Carlini et al. 2021, §5.2)."""
    if sequences.references is None or not len(sequences.references):
        raise ValueError("the reference attack needs log probabilities of a model without the sequences")
    others = torch.stack([_mean(one, sequences.known) for one in sequences.references]).mean(0)
    return mean_log_probability(sequences) - others


def _mean(values: Tensor, known: Tensor) -> Tensor:
    return torch.where(known, values.double(), 0.0).sum(1) / known.sum(1).clamp_min(1)


def _least(values: Tensor, sequences: Sequences, share: float) -> Tensor:
    if not 0 < share <= 1:
        raise ValueError(f"a share lies in (0, 1], not at {share}")
    ordered = torch.where(sequences.known, values.double(), math.inf).sort(1).values
    count = (sequences.lengths * share).ceil().long().clamp(1, ordered.shape[1])
    chosen = torch.arange(ordered.shape[1]) < count[:, None]
    return torch.where(chosen & ordered.isfinite(), ordered, 0.0).sum(1) / count
