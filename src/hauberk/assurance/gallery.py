"""Adversarial examples a person can look at: pictures with the change magnified, rows with the changed cells."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Sequence

import msgspec

from hauberk.assurance import wording
from hauberk.assurance.png import data_uri, encode
from hauberk.core.evidence import Exhibit
from hauberk.core.report import Report
from hauberk.core.schema import Column

LIMIT = 48
"""Exhibits a page shows at most."""
PIXELS = 512 * 512
"""A picture with more is not drawn: a report is no image store."""
_DARKER, _SAME, _LIGHTER = (33, 102, 172), (247, 247, 247), (178, 88, 6)
"""Ends and middle of the change's colours: blue and orange are told apart with any colour vision."""


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """One image exhibit as data URIs. factor: how many times the change is magnified."""

    exhibit: Exhibit
    clean: str
    adversarial: str
    change: str
    factor: str
    width: int
    height: int


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One feature of a row before and after."""

    name: str
    before: str
    after: str
    changed: bool


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """One row exhibit: the changed cells, then the others."""

    exhibit: Exhibit
    cells: tuple[Cell, ...]

    @property
    def changed(self) -> tuple[Cell, ...]:
        """The cells the attacker changed."""
        return tuple(cell for cell in self.cells if cell.changed)

    @property
    def same(self) -> tuple[Cell, ...]:
        """The cells he left."""
        return tuple(cell for cell in self.cells if not cell.changed)


class Gallery(msgspec.Struct, frozen=True, kw_only=True):
    """Everything to look at. broken: exhibits whose bytes do not fit their shape, and why. left_out: beyond LIMIT."""

    pictures: tuple[Picture, ...] = ()
    rows: tuple[Before, ...] = ()
    broken: tuple[str, ...] = ()
    left_out: int = 0


def gallery(report: Report) -> Gallery:
    """Draw a report's exhibits."""
    columns = report.dataset.schema.columns if report.dataset and report.dataset.schema else ()
    pictures, rows, broken = [], [], []
    for exhibit in report.exhibits[:LIMIT]:
        try:
            if exhibit.layout == "chw":
                pictures.append(picture(exhibit))
            else:
                rows.append(before(exhibit, columns))
        except ValueError as error:
            broken.append(f"{exhibit.subject} under {exhibit.threat}: {error}")
    return Gallery(
        pictures=tuple(pictures),
        rows=tuple(rows),
        broken=tuple(broken),
        left_out=max(0, len(report.exhibits) - LIMIT),
    )


def floats(data: bytes, size: int) -> array[float]:
    """Read little-endian float32; raises ValueError where there are not `size` of them."""
    if len(data) != 4 * size:
        raise ValueError(f"{len(data)} bytes where {4 * size} were declared")
    values = array("f")
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def picture(exhibit: Exhibit) -> Picture:
    """Draw an image exhibit; raises ValueError where its bytes do not fit its shape."""
    if len(exhibit.shape) != 3 or exhibit.shape[0] not in (1, 3) or min(exhibit.shape) < 1:
        raise ValueError(f"a picture has shape (1 or 3, height, width), not {exhibit.shape}")
    channels, height, width = exhibit.shape
    if height * width > PIXELS:
        raise ValueError(f"{width} × {height} pixels are too many to show")
    size = channels * height * width
    clean, adversarial = floats(exhibit.clean, size), floats(exhibit.adversarial, size)
    low, high = exhibit.bounds
    span = (high - low) if math.isfinite(high - low) and high > low else 1.0
    change = [_finite(after - then) / span for then, after in zip(clean, adversarial, strict=True)]
    factor = magnification(max(map(abs, change), default=0.0))
    return Picture(
        exhibit=exhibit,
        clean=_draw(width, height, channels, [(value - low) / span for value in clean]),
        adversarial=_draw(width, height, channels, [(value - low) / span for value in adversarial]),
        change=_draw_change(width, height, channels, [value * factor for value in change]),
        factor=f"{factor:g}",
        width=width,
        height=height,
    )


def magnification(largest: float) -> float:
    """Choose the factor, 1, 2 or 5 times a power of ten, that brings the largest change nearest below full scale."""
    if largest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(1 / largest))
    return max(1.0, max((step * power for step in (1, 2, 5) if step * power * largest <= 1.0 + 1e-9), default=1.0))


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _byte(share: float) -> int:
    return min(255, max(0, round(255 * share))) if math.isfinite(share) else 0


def _draw(width: int, height: int, channels: int, shares: Sequence[float]) -> str:
    plane = width * height
    grey = [_byte(share) for share in shares]
    pixels = bytes(grey) if channels == 1 else bytes(v for p in zip(*_planes(grey, plane), strict=True) for v in p)
    return data_uri(encode(width, height, channels, pixels))


def _draw_change(width: int, height: int, channels: int, shares: Sequence[float]) -> str:
    """Draw a signed change −1 … 1: one channel from blue over white to orange, three channels around mid-grey."""
    if channels == 3:
        return _draw(width, height, 3, [0.5 + share / 2 for share in shares])
    pixels = bytearray()
    for share in shares:
        end = _LIGHTER if share > 0 else _DARKER
        mix = min(1.0, abs(share))
        pixels.extend(round(a + (b - a) * mix) for a, b in zip(_SAME, end, strict=True))
    return data_uri(encode(width, height, 3, bytes(pixels)))


def _planes(values: Sequence[int], plane: int) -> tuple[Sequence[int], ...]:
    return tuple(values[start : start + plane] for start in range(0, len(values), plane))


def before(exhibit: Exhibit, columns: Sequence[Column]) -> Before:
    """Word a row exhibit in the values people know; raises ValueError where its bytes do not fit its shape."""
    size = math.prod(exhibit.shape)
    clean, adversarial = floats(exhibit.clean, size), floats(exhibit.adversarial, size)
    known = {column.name: column for column in columns}
    cells = []
    for index, (then, after) in enumerate(zip(clean, adversarial, strict=True)):
        name = exhibit.columns[index] if index < len(exhibit.columns) else f"feature {index}"
        column = known.get(name)
        cells.append(Cell(name=name, before=_worded(then, column), after=_worded(after, column), changed=then != after))
    return Before(exhibit=exhibit, cells=tuple(cells))


def _worded(value: float, column: Column | None) -> str:
    if column is not None and math.isfinite(value) and value == int(value):
        index = int(value)
        if column.kind == "categorical" and 0 <= index < len(column.categories):
            return column.categories[index]
        if column.kind == "boolean" and index in (0, 1):
            return ("no", "yes")[index]
        if column.kind == "integer":
            return f"{index:,}"
    return f"{value:.6g}"


def caption(exhibit: Exhibit) -> str:
    """Say in words what a screen reader cannot see."""
    fooled = exhibit.predicted_clean != exhibit.predicted_adversarial
    turned = f"taken for {exhibit.predicted_adversarial}" if fooled else "still recognised"
    distance = wording.ball(exhibit.norm, exhibit.distance).replace("≤", "distance")
    return f"true {exhibit.label}, predicted {exhibit.predicted_clean}; changed ({distance}) it is {turned}"
