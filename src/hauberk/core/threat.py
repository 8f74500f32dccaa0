"""What the attacker may do. It says nothing of how."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from hauberk.core.errors import UnknownName, nearest
from hauberk.core.schema import Column

Norm: TypeAlias = Literal["linf", "l2", "l1", "l0"]
Family: TypeAlias = Literal["evasion", "poisoning", "privacy", "extraction"]
Knowledge: TypeAlias = Literal["white-box", "score", "decision"]
NORMS: tuple[Norm, ...] = ("linf", "l2", "l1", "l0")


class Ball(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All inputs within `radius` of the clean one, in units of the input (0–1 images: 8/255 is 8 grey levels)."""

    norm: Norm
    radius: float


class Constraints(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may change in a row of a table; ranges, integrality, categories and direction come from the columns.

    changed: how many columns may change at most; None for all that are mutable.
    """

    columns: tuple[Column, ...]
    changed: int | None = None


class Threat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An attacker: family, knowledge, and the set he must stay in.

    ball: for images and other dense inputs. constraints: for tables. queries: per sample for evasion, in all otherwise.
    poison_rate: share of training rows he controls, 0–1. target_class: None for an untargeted goal.
    """

    name: str
    family: Family = "evasion"
    knowledge: Knowledge = "white-box"
    ball: Ball | None = None
    constraints: Constraints | None = None
    queries: int | None = None
    poison_rate: float | None = None
    target_class: int | None = None

    def radius(self, radius: float) -> Threat:
        """Return the same attacker with another radius; the threat must have a ball."""
        if self.ball is None:
            raise ValueError("the threat has no ball")
        return msgspec.structs.replace(self, ball=Ball(self.ball.norm, radius))


def _image(name: str, norm: Norm, radius: float) -> Threat:
    return Threat(name=name, ball=Ball(norm, radius))


LINF_8_255 = _image("linf-8/255", "linf", 8 / 255)
LINF_4_255 = _image("linf-4/255", "linf", 4 / 255)
LINF_0_1 = _image("linf-0.1", "linf", 0.1)
LINF_0_3 = _image("linf-0.3", "linf", 0.3)
L2_0_5 = _image("l2-0.5", "l2", 0.5)
L2_2 = _image("l2-2.0", "l2", 2.0)
L1_12 = _image("l1-12", "l1", 12.0)
MEMBERSHIP = Threat(name="membership", family="privacy", knowledge="score")
THEFT_1000 = Threat(name="theft-1000", family="extraction", knowledge="score", queries=1000)
BACKDOOR_2 = Threat(name="backdoor-2%", family="poisoning", poison_rate=0.02, target_class=0)
TABULAR = Threat(name="tabular", knowledge="score", queries=1000)

PRESETS: dict[str, Threat] = {
    threat.name: threat
    for threat in (
        LINF_8_255,
        LINF_4_255,
        LINF_0_1,
        LINF_0_3,
        L2_0_5,
        L2_2,
        L1_12,
        MEMBERSHIP,
        THEFT_1000,
        BACKDOOR_2,
        TABULAR,
    )
}


def preset(name: str) -> Threat:
    """Return the preset of that name; raises UnknownName with the nearest."""
    if name not in PRESETS:
        raise UnknownName(f'no threat preset "{name}"', fix=nearest(name, PRESETS))
    return PRESETS[name]
