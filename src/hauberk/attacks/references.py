"""What attacks with reference models share: balanced halves, the models' signals, and their moments in and out."""

from __future__ import annotations

from typing import NamedTuple

import torch

from hauberk.attacks.recording import answers
from hauberk.core.errors import MissingPower
from hauberk.core.protocols import References, Target
from hauberk.numeric.membership import Signal, signal

Tensor = torch.Tensor


class Moments(NamedTuple):
    """Mean (n,) and sum of squared deviations (n,) over `models` (n,) of them; a mean of no value is NaN."""

    mean: Tensor
    squares: Tensor
    models: Tensor


def halves(n: int, models: int, seed: int) -> Tensor:
    """Draw training sets (models, n) bool of ⌊n / 2⌋ records each; models 2i and 2i + 1 share none.

    So an even number of models has every record in one half of them, but for one record a pair where n is odd
    (the design of Carlini et al. 2022, §VI.A, balanced). Pair i depends on seed
    and i alone: more models keep the first.
    """
    rows = torch.zeros(models, n, dtype=torch.bool)
    for pair in range((models + 1) // 2):
        rng = torch.Generator().manual_seed((seed * 1_000_003 + 7919 * pair + 11) % 2**63)
        order = torch.randperm(n, generator=rng)
        for side in range(min(2, models - 2 * pair)):
            rows[2 * pair + side, order[side * (n // 2) : (side + 1) * (n // 2)]] = True
    return rows


def signals(target: Target, x: Tensor, y: Tensor, name: Signal) -> Tensor:
    """Ask a target in batches and read its answers: (n,) float64, higher for members."""
    return signal(answers(target, x), y, target.spec.answers, name)


def table(references: References, x: Tensor, y: Tensor, name: Signal) -> Tensor:
    """Ask every reference model: signals (k, n) float64."""
    return torch.stack([signals(model, x, y, name) for model in references.models])


def moments(values: Tensor, chosen: Tensor) -> Moments:
    """Summarise values (k, n) over the models chosen (k, n) bool for each record."""
    count = chosen.sum(0)
    kept = torch.where(chosen, values, 0.0)
    mean = kept.sum(0) / count
    squares = torch.where(chosen, values - mean, 0.0).square().sum(0)
    return Moments(mean, squares, count)


def outsiders(references: References, least: int = 1) -> None:
    """Raise MissingPower unless every record is outside the training data of `least` reference models."""
    fewest = int((~references.member).sum(0).min()) if len(references.models) else 0
    if fewest < least:
        raise MissingPower(
            f"some records are outside of {fewest} reference models only, {least} are needed",
            fix="train more reference models",
        )


def sided(references: References, least: int = 1) -> bool:
    """Tell whether every record is in and outside of `least` reference models: the attack may run online."""
    inside = references.member.sum(0)
    return len(references.models) > 0 and int(torch.minimum(inside, len(references.models) - inside).min()) >= least
