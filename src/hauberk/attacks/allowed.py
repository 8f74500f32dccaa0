"""The set a threat allows around each input, whatever its kind: a norm ball in the bounds, or a table's constraints."""

from __future__ import annotations

from typing import Protocol

import torch

from hauberk.core.errors import UsageError
from hauberk.core.threat import Threat
from hauberk.numeric.balls import region
from hauberk.numeric.rows import rows


class Allowed(Protocol):
    """The allowed set of n samples."""

    def project(self, x: torch.Tensor) -> torch.Tensor:
        """Return a near point of the set for x (n, *shape); points inside come back to the bit."""
        ...

    def contains(self, x: torch.Tensor) -> torch.Tensor:
        """Tell which samples (n,) lie inside."""
        ...

    def distance(self, x: torch.Tensor) -> torch.Tensor:
        """Measure how far x is from the clean inputs (n,): in the ball's norm, or in changed columns of a table."""
        ...

    def scatter(self, rng: torch.Generator) -> torch.Tensor:
        """Draw a random point of the set for each sample."""
        ...


def allowed(threat: Threat, x: torch.Tensor, bounds: tuple[float, float]) -> Allowed:
    """Build the set of `threat` around clean inputs x (n, *shape); raises UsageError where the threat names none."""
    if threat.constraints is not None:
        return rows(threat.constraints, x, bounds)
    if threat.ball is None:
        raise UsageError("the threat has neither a ball nor constraints", where=threat.name, fix="give norm and radius")
    return region(threat.ball, x, bounds)
