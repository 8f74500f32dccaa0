"""What a hardened target costs to run beside the one before: parameters and time of an answer, as ratios."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import numpy as np
import torch

from hauberk.core.evidence import Measurement, Provenance
from hauberk.core.protocols import Ensemble, Modular, Split, Target
from hauberk.defenses.training_evidence import number

ROUNDS = 5
"""Interleaved repetitions whose median ratio is taken."""
SAMPLES = 64
"""Inputs asked at once."""


def costs(before: Target, after: Target, data: Split, provenance: Provenance) -> Iterator[Measurement]:
    """Yield the ratios after / before of parameters, where both are modules, and of the time of an answer.

    Nothing of a model that is not here: its answers may be paid for.
    """
    name = after.spec.name
    if not isinstance(before, Modular | Ensemble):
        return
    if isinstance(before, Modular) and isinstance(after, Modular):
        old, new = (sum(row.numel() for row in one.module().parameters()) for one in (before, after))
        if old:
            yield number("parameters_ratio", name, new / old, "ratio", provenance, f"from {old:,} to {new:,}")
    x = torch.from_numpy(np.array(data.x[:SAMPLES], dtype=np.float32))
    ratios = []
    for _ in range(ROUNDS):
        slow, fast = _seconds(after, x), _seconds(before, x)
        ratios.append(slow / max(fast, 1e-9))
    note = f"median of {ROUNDS} interleaved rounds of {len(x)} inputs, {min(ratios):.2f} to {max(ratios):.2f}"
    yield number("answer_time_ratio", name, statistics.median(ratios), "ratio", provenance, note)


def _seconds(target: Target, x: torch.Tensor) -> float:
    begun = time.perf_counter()
    target.predict(x)
    return time.perf_counter() - begun
