"""What attacks on trees begin with: the target's trees, the attacker's goal, and the set of rows he must stay in."""

from __future__ import annotations

import torch

from hauberk.attacks.allowed import Allowed
from hauberk.core.errors import DataError, MissingPower, UsageError
from hauberk.core.protocols import Ensemble, Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region
from hauberk.numeric.losses import Aim
from hauberk.numeric.rows import Rows
from hauberk.numeric.tree import Forest

Tensor = torch.Tensor


def forest_of(target: Target, x: Tensor) -> Forest:
    """Return a target's trees; raises MissingPower where it shows none, DataError where rows (n, d) do not fit them."""
    if not isinstance(target, Ensemble):
        raise MissingPower(f"{target.spec.name} shows no trees", fix="choose a black-box attack")
    forest = target.trees()
    if x.ndim != 2 or x.shape[1] != forest.features:
        raise DataError(f"the trees ask about {forest.features} columns; the inputs have shape {tuple(x.shape)}")
    return forest


def aim_of(y: Tensor, threat: Threat) -> Aim:
    """Say what an error is for samples of labels y (n,)."""
    wanted = None if threat.target_class is None else torch.full_like(y, threat.target_class)
    return Aim(y, wanted, strict=wanted is not None)


def set_of(where: Allowed, threat: Threat) -> Region | Rows:
    """Return the set if it is a ball or a table's; raises UsageError for any other."""
    if not isinstance(where, Region | Rows):
        raise UsageError("attacks on trees work in norm balls and in a table's constraints", where=threat.name)
    return where
