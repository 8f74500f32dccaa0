"""What the attacker may do. It says nothing of how."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import msgspec

from hauberk.core.errors import UnknownName, nearest
from hauberk.core.relations import Relation
from hauberk.core.schema import Column

Norm: TypeAlias = Literal["linf", "l2", "l1", "l0"]
Family: TypeAlias = Literal["evasion", "poisoning", "privacy", "extraction"]
Knowledge: TypeAlias = Literal["white-box", "score", "decision"]
Kind: TypeAlias = Literal["", "ball", "constraints", "patch", "transform"]
Range: TypeAlias = tuple[float, float]
NORMS: tuple[Norm, ...] = ("linf", "l2", "l1", "l0")


class Ball(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All inputs within `radius` of the clean one, in units of the input (0–1 images: 8/255 is 8 grey levels)."""

    norm: Norm
    radius: float


class Constraints(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may change in a row of a table; ranges, integrality, categories and direction come from the columns.

    changed: how many columns may change at most; None for all that are mutable. relations: what must hold between
    columns of a changed row, to 1e-6 of its terms; a clean row that breaks one may stay as it is.
    """

    columns: tuple[Column, ...]
    changed: int | None = None
    relations: tuple[Relation, ...] = ()


class Patch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rectangle of an image in which every value may become anything the bounds allow: a sticker.

    size: [height, width] in pixels, or the share of the image's area, 0–1, in the image's proportions. place: [top,
    left] of its corner in pixels; None for anywhere, in each image elsewhere.
    """

    size: tuple[int, int] | float
    place: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Refuse sizes and places that cannot be."""
        if isinstance(self.size, tuple) and min(self.size) < 1:
            raise ValueError(f"the patch is {self.size[0]} × {self.size[1]} pixels")
        if not isinstance(self.size, tuple) and not 0 < self.size <= 1:
            raise ValueError(f"the patch covers {self.size:g} of the image; give [height, width] or a share, 0–1")
        if self.place is not None and min(self.place) < 0:
            raise ValueError(f"the patch lies at {self.place}, outside the image")

    def sides(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width in pixels of the patch on an image of this size, at least one and at most all."""
        if isinstance(self.size, tuple):
            return min(self.size[0], height), min(self.size[1], width)
        side = math.sqrt(self.size)
        return max(1, math.floor(side * height + 1e-9)), max(1, math.floor(side * width + 1e-9))


STILL: dict[str, float] = {"scale": 1.0, "contrast": 1.0, "saturation": 1.0}
"""What leaves an image as it is where that is not 0."""


class Transform(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may be done to an image as a whole: [least, greatest] of each, which must hold what changes nothing.

    rotation: degrees, positive turns it counter-clockwise. shift: down and right, in shares of height and width.
    scale: 1 as it is, 2 twice as large. shear: degrees. perspective: of tilting it about either axis, as the share by
    which things at the far edge of the view shrink. What comes into view from outside is black.
    brightness: added, in shares of the bounds' range. contrast: factor about the middle of the bounds, 1 as it is, -1
    the negative. hue: degrees. saturation: factor. Both act on images of three channels and leave others as they are.
    beam: width of a laser beam across the image in shares of its height, at any place and angle, of any visible colour.
    noise: how far every value may be moved besides, after all that, in input units.
    """

    rotation: Range = (0.0, 0.0)
    shift: Range = (0.0, 0.0)
    scale: Range = (1.0, 1.0)
    shear: Range = (0.0, 0.0)
    perspective: Range = (0.0, 0.0)
    brightness: Range = (0.0, 0.0)
    contrast: Range = (1.0, 1.0)
    hue: Range = (0.0, 0.0)
    saturation: Range = (1.0, 1.0)
    beam: Range = (0.0, 0.0)
    noise: float = 0.0

    def __post_init__(self) -> None:
        """Refuse ranges that are upside down, that leave out the image as it is, or that make nothing of it."""
        for name in self.__struct_fields__:
            if name == "noise":
                continue
            low, high = getattr(self, name)
            if not low <= STILL.get(name, 0.0) <= high:
                raise ValueError(f"{name} runs from {low:g} to {high:g}; {STILL.get(name, 0.0):g} must lie in it")
        if self.noise < 0:
            raise ValueError(f"noise is {self.noise:g}; it must be 0 or more")
        if self.scale[0] <= 0 or max(-self.perspective[0], self.perspective[1]) > 0.5:
            raise ValueError("scale must be above 0, and perspective between -0.5 and 0.5")
        if max(-self.shear[0], self.shear[1]) >= 90:
            raise ValueError("shear must be between -90 and 90 degrees")


class Threat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An attacker: family, knowledge, and the set he must stay in.

    ball: for images and other dense inputs. constraints: for tables; they go before a ball. patch, transform: for
    images, each alone. queries: per sample for evasion, in all otherwise.
    poison_rate: share of training rows he controls, 0–1. target_class: None for an untargeted goal.
    """

    name: str
    family: Family = "evasion"
    knowledge: Knowledge = "white-box"
    ball: Ball | None = None
    constraints: Constraints | None = None
    patch: Patch | None = None
    transform: Transform | None = None
    queries: int | None = None
    poison_rate: float | None = None
    target_class: int | None = None

    def __post_init__(self) -> None:
        """Refuse a patch or a transformation beside another set."""
        sets = [name for name in ("ball", "constraints", "patch", "transform") if getattr(self, name) is not None]
        if len(sets) > 1 and sets != ["ball", "constraints"]:
            raise ValueError(f"a threat has one set to stay in, not {' and '.join(sets)}")

    @property
    def kind(self) -> Kind:
        """The set that binds; empty where there is none."""
        kinds: tuple[Kind, ...] = ("constraints", "patch", "transform", "ball")
        return next((kind for kind in kinds if getattr(self, kind) is not None), "")

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
