"""What private linear defenses share: bounded rows of a split, and the fitted classifier as a target."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.privacy_events import Event
from hauberk.core.protocols import Modular, Split, Target
from hauberk.defenses.private_defense import Budget
from hauberk.defenses.private_plans import usual_delta
from hauberk.numeric.accounting import epsilon
from hauberk.numeric.convex_fit import LinearHead, bounded_rows


class Rows(NamedTuple):
    """Rows (n, d) of norm 1 at most, labels (n,), classes, and the norm they were divided by."""

    x: torch.Tensor
    y: torch.Tensor
    classes: int
    norm: float


def prepared(target: Target, data: Split, norm: float) -> tuple[Modular, Rows]:
    """Bound the rows by `norm`, or where it is 0 by what the target's bounds allow; raises MissingPower."""
    if not isinstance(target, Modular):
        raise MissingPower(f"{target.spec.name} cannot be rebuilt", fix="load it as a torch model")
    x, y = torch.from_numpy(np.array(data.x)), torch.from_numpy(np.array(data.y))
    target.predict(x[:2])
    widest = max(map(abs, target.spec.bounds)) * math.sqrt(x[0].numel())
    known = norm or widest
    return target, Rows(bounded_rows(x, known), y, target.spec.classes, known)


def built(target: Modular, weights: torch.Tensor, rows: Rows, title: str) -> Target:
    """Return the classifier as a target like this one."""
    return target.rebuild(LinearHead(weights, rows.norm).eval(), f"{target.spec.name} + {title}")


def promised(given: float, rows: int) -> float:
    """Return δ: the one given, or the usual one for so many rows."""
    return given or usual_delta(rows)


def within_budget(events: tuple[Event, ...], delta: float, budget: Budget, relation: str = "replace") -> None:
    """Raise UsageError where one release, which cannot be made smaller half-way, passes the total."""
    if budget.total is None:
        return
    both = epsilon((*budget.before, *events), budget.delta or delta, relation="replace").epsilon
    if both > budget.total * (1 + 1e-9):
        raise UsageError(
            f"ε = {both:.3f} would be spent on this data, {budget.total:g} is allowed ({relation})",
            fix="ask for less, or raise [privacy] epsilon",
        )
