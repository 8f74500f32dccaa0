"""An attack as training wants it: few steps, one start, the strongest point rather than the first that errs."""

from __future__ import annotations

import dataclasses
from typing import cast

from hauberk.core.protocols import EvasionAttack


def quick(attack: EvasionAttack, steps: int) -> EvasionAttack:
    """Return the attack with few steps, one start and strongest points, where it has such settings.

    Fewer steps must be longer (2.5 radii in all, Madry et al. 2018, section 5); and a search that stops at a sample's
    first break would train on points just over the border, which leaves the rest of the ball unguarded.
    """
    plain: object = attack
    if not dataclasses.is_dataclass(plain) or isinstance(plain, type):
        return attack
    held = {field.name: getattr(attack, field.name) for field in dataclasses.fields(plain)}
    wanted: dict[str, object] = {}
    if held.get("steps", 0) > steps:
        wanted["steps"] = steps
        if "pace" in held:
            wanted["pace"] = max(held["pace"], 2.5 / steps)
    if held.get("restarts", 1) > 1:
        wanted["restarts"] = 1
    driving = held.get("driving")
    if dataclasses.is_dataclass(driving) and not isinstance(driving, type) and hasattr(driving, "early_stop"):
        wanted["driving"] = dataclasses.replace(driving, early_stop=False)
    return cast(EvasionAttack, dataclasses.replace(plain, **wanted))
