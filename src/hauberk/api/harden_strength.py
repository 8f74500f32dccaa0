"""An examination stronger than what a defense was trained on: the cascade that is taken, and the evidence of it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from hauberk.attacks.cascade import choose, title
from hauberk.core.evidence import Indicator
from hauberk.core.plugins import settings_of
from hauberk.core.project import Profile, ThreatSection
from hauberk.core.protocols import Dataset, Defense, Target
from hauberk.core.threat import Threat

TIMES = 4
"""An examination takes at least so many times the gradients an input that training did, and more than one attack."""
_PROFILES: tuple[Profile, ...] = ("quick", "standard", "full")


class Examination(NamedTuple):
    """The threat's section as a hardened model is examined under it, and what says that it is strong enough."""

    section: ThreatSection
    strength: Indicator


def examination(
    section: ThreatSection, threat: Threat, target: Target, dataset: Dataset, defense: Defense
) -> Examination:
    """Choose the least profile, from the project's own up, whose cascade is stronger than the training.

    A section that names its own attacks is examined with the cascade instead: who trained on an attack and asks it
    again learns nothing. Where even "full" is not strong enough, the indicator says that it failed.
    """
    trained = gradients(defense)
    found: list[Examination] = []
    for profile in _PROFILES[_PROFILES.index(section.profile) :]:
        attacks = choose(target, threat, dataset.spec.layout, profile).attacks
        asked = sum(gradients(attack) for attack in attacks)
        names = ", ".join(title(attack) for attack in attacks)
        enough = len(attacks) > 1 and asked >= TIMES * trained
        detail = f"trained on {trained:g} looks an input, examined with up to {asked:g}: {names or 'no attack'}"
        changed = msgspec.structs.replace(section, profile=profile, attacks=(), settings={}, curve=())
        indicator = Indicator(name="stronger_than_training", passed=enough, detail=detail)
        found.append(Examination(changed, indicator))
        if enough:
            break
    return found[-1]


def gradients(plugin: object) -> float:
    """Count the looks a plug-in takes at an input, by its settings: steps or queries, restarts, targets, draws."""
    held = {row.name: row.value for row in settings_of(plugin)}

    def setting(name: str, otherwise: float) -> float:
        value = held.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else otherwise

    once = setting("steps", setting("replays", setting("queries", 1.0)))
    return once * setting("restarts", 1) * setting("targets", 1) * setting("driving.draws", 1)
