"""The set a threat allows around each input: a norm ball, a table's constraints, a patch, or transformations."""

from __future__ import annotations

from typing import Protocol

import torch

from hauberk.core.errors import UsageError
from hauberk.core.threat import Threat
from hauberk.numeric.balls import floor_float32, region
from hauberk.numeric.clips import clips
from hauberk.numeric.composites import Composites
from hauberk.numeric.patches import patches
from hauberk.numeric.rows import rows
from hauberk.numeric.transforms import poses


class Allowed(Protocol):
    """The allowed set of n samples.

    A candidate is an input (n, *shape); where a transformation is all that is allowed it is a pose (n, k), and
    `project` shows the input in that pose, so that what is measured is a transformation whatever the attack did.
    """

    @property
    def center(self) -> torch.Tensor:
        """The candidates that change nothing: the clean inputs, or poses that leave them as they are."""
        ...

    def project(self, x: torch.Tensor) -> torch.Tensor:
        """Return a near point of the set (n, *shape) for candidates x; inputs inside come back to the bit."""
        ...

    def contains(self, x: torch.Tensor) -> torch.Tensor:
        """Tell which candidates (n,) lie inside."""
        ...

    def distance(self, x: torch.Tensor) -> torch.Tensor:
        """Measure how far inputs x (n, *shape) are from the clean ones (n,), in the unit `unit` names."""
        ...

    def scatter(self, rng: torch.Generator) -> torch.Tensor:
        """Draw a random point of the set (n, *shape) for each sample."""
        ...


def allowed(threat: Threat, x: torch.Tensor, bounds: tuple[float, float]) -> Allowed:
    """Build the set of `threat` around clean inputs x (n, *shape); raises UsageError where the threat names none."""
    if threat.constraints is not None:
        return rows(threat.constraints, x, bounds)
    if threat.patch is not None:
        return clips(threat.patch, x, bounds) if x.ndim == 5 else patches(threat.patch, x, bounds)
    if threat.transform is not None:
        where = poses(threat.transform, x, bounds)
        return Composites(where, floor_float32(threat.transform.noise)) if threat.transform.noise else where
    if threat.ball is None:
        raise UsageError(
            "the threat has no ball, constraints, patch or transform", where=threat.name, fix="give norm and radius"
        )
    return region(threat.ball, x, bounds)


def unit(threat: Threat) -> str:
    """Name what distances under a threat are counted in, as a report writes it."""
    words = {"constraints": "changed columns", "patch": "changed pixels", "transform": "mean change"}
    return words.get(threat.kind, threat.ball.norm if threat.ball is not None else "")
