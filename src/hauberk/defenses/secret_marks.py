"""Trigger inputs and labels that follow from a secret: whoever has it can make them again, nobody else can."""

from __future__ import annotations

from hashlib import blake2b

import torch
from torch.nn.functional import interpolate

from hauberk.core.errors import UsageError
from hauberk.core.protocols import Target, TargetSpec
from hauberk.numeric.ownership import matched_by_chance

LEAST_SECRET = 16
"""Characters a secret must have; a shorter one can be guessed until some set of marks fits."""


def marks(secret: str, spec: TargetSpec, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Make `count` inputs (count, *shape) within the bounds and their labels (count,), uniform over the classes.

    Images are coarse patterns of a few blocks, rows uniform values. Inputs and labels come from streams of their own,
    so that no choice of inputs tells anything of the labels. Raises UsageError for a short secret or no mark.
    """
    if len(secret) < LEAST_SECRET or count < 1:
        raise UsageError(
            f"the secret has {len(secret)} characters and {count} marks are asked for",
            fix=f"give at least {LEAST_SECRET} random characters and 1 mark",
        )
    low, high = spec.bounds
    shape = (count, spec.shape[0], 4, 4) if len(spec.shape) == 3 else (count, *spec.shape)
    drawn = torch.rand(shape, generator=_stream(secret, "inputs"))
    if len(spec.shape) == 3:
        drawn = interpolate(drawn, size=spec.shape[1:], mode="nearest")
    labels = torch.randint(spec.classes, (count,), generator=_stream(secret, "labels"))
    return low + (high - low) * drawn, labels


def p_value(suspect: Target, secret: str, count: int) -> tuple[int, float]:
    """Ask a suspect about the secret's marks → how many it answers as marked, and how unlikely that is by chance."""
    x, y = marks(secret, suspect.spec, count)
    matches = int((suspect.predict(x).argmax(1) == y).sum())
    return matches, matched_by_chance(matches, count, suspect.spec.classes)


def _stream(secret: str, purpose: str) -> torch.Generator:
    digest = blake2b(f"hauberk marks 1\0{purpose}\0{secret}".encode(), digest_size=7).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))
