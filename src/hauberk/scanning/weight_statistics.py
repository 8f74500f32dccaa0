"""A look at the numbers of a few tensors: not finite, all alike, huge, or one class of the last layer apart.

Plain Python over a bounded sample: what is installed beside hauberk must not change what a report says.
"""

from __future__ import annotations

import math
import re
import struct
from array import array
from collections.abc import Iterator, Sequence
from statistics import median
from typing import BinaryIO, NamedTuple

from hauberk.scanning.artifact import Note, Place

_CODES = {"F64": ("d", 8), "F32": ("f", 4), "F16": ("e", 2), "BF16": ("H", 2)}
_PER_TENSOR, _TENSORS = 2_048, 400
"""Numbers looked at of one tensor, from its beginning; and how many tensors."""
_ROWS, _COLUMNS = 2_048, 64
"""Of the last layer: most rows, more are words and not classes; and evenly spaced columns of each."""
_FEWEST_ROWS = 3
_LAST = re.compile(
    r"(?:.*\.)?(?:classifier|fc\d?|head|heads|output|out|lm_head|logits|score|linear|cls|predictions)(?:\.\w+)?\.weight"
)


_NUMBERED = re.compile(r"(?:^|\.)\d+\.weight$")


class Tensor(NamedTuple):
    """Where the numbers of a tensor lie. kind: as safetensors name it. start, stop: offsets in the file."""

    name: str
    kind: str
    shape: tuple[int, ...]
    start: int
    stop: int


class Statistics(NamedTuple):
    """What a sample of a tensor shows. row: of the last layer, the one whose norm lies farthest from the others'.

    norm, usual: that row's norm and the median of all. distance: between them, in robust standard deviations.
    """

    looked_at: int
    not_finite: int
    constant: bool
    largest: float
    row: int = -1
    norm: float = 0.0
    usual: float = 0.0
    distance: float = 0.0

    def worded(self) -> str:
        """Write it as the text of a fact."""
        return " ".join(f"{name}={value}" for name, value in self._asdict().items())


def read_statistics(text: str) -> Statistics:
    """Read what `worded` wrote."""
    given = dict(pair.split("=", 1) for pair in text.split())
    whole = {"looked_at", "not_finite", "row"}
    values = {name: int(value) if name in whole else value for name, value in given.items()}
    numbers = {name: float(value) for name, value in values.items() if name not in whole | {"constant"}}
    return Statistics(**{**values, **numbers, "constant": given["constant"] == "True"})  # type: ignore[arg-type]


def statistics(stream: BinaryIO, tensors: Sequence[Tensor]) -> Iterator[Note]:
    """Yield a fact for each tensor whose sample shows something, and for the last layer; name "statistics:TENSOR"."""
    floats = [one for one in tensors if one.kind in _CODES and one.stop > one.start]
    last = _last_layer(floats)
    step = max(1, len(floats) // _TENSORS)
    for one in [*floats[::step], *([last] if last else [])]:
        found = _sampled(stream, one)
        if one == last:
            found = _with_rows(stream, one, found)
        if found.not_finite or found.constant or found.largest > 1e4 or found.row >= 0:
            yield Note(name=f"statistics:{one.name[:200]}", text=found.worded(), place=Place(offset=one.start))


def _last_layer(tensors: Sequence[Tensor]) -> Tensor | None:
    """Find the matrix that gives one row to a class: by its name, or as the last of numbered layers."""
    matrices = [one for one in tensors if len(one.shape) == 2 and one.shape[1] > 1]
    classes = [one for one in matrices if _FEWEST_ROWS <= one.shape[0] <= _ROWS]
    named = [one for one in classes if _LAST.fullmatch(one.name)]
    if not named and all(_NUMBERED.search(one.name) for one in matrices):
        named = sorted(classes, key=lambda one: [int(number) for number in re.findall(r"\d+", one.name)])
    return named[-1] if named else None


def _sampled(stream: BinaryIO, tensor: Tensor) -> Statistics:
    values = _numbers(stream, tensor, 0, _PER_TENSOR)
    finite = [value for value in values if math.isfinite(value)]
    largest = max((abs(value) for value in finite), default=0.0)
    constant = len(values) >= 64 and len(finite) == len(values) and min(finite) == max(finite) != 0.0
    alike = constant and abs(finite[0]) != 1.0
    return Statistics(len(values), len(values) - len(finite), alike, largest)


def _with_rows(stream: BinaryIO, tensor: Tensor, found: Statistics) -> Statistics:
    """Add the row of the matrix that is most unlike the others by its norm."""
    rows, columns = tensor.shape
    step = max(1, columns // _COLUMNS)
    norms: list[float] = []
    for row in range(rows):
        values = _numbers(stream, tensor, row * columns, min(columns, _COLUMNS * step))[::step]
        norms.append(math.sqrt(sum(value * value for value in values if math.isfinite(value))))
    usual = median(norms)
    spread = 1.4826 * median(abs(norm - usual) for norm in norms)
    farthest = max(range(len(norms)), key=lambda at: abs(norms[at] - usual))
    distance = abs(norms[farthest] - usual) / spread if spread > 0 else 0.0
    return found._replace(row=farthest, norm=norms[farthest], usual=usual, distance=distance)


def _numbers(stream: BinaryIO, tensor: Tensor, first: int, count: int) -> list[float]:
    """Read numbers from an index on; fewer where the tensor ends."""
    code, size = _CODES[tensor.kind]
    start = tensor.start + first * size
    stream.seek(start)
    raw = stream.read(max(0, min(count * size, tensor.stop - start)))
    raw = raw[: len(raw) // size * size]
    if code == "H":
        wide = array("I", (half << 16 for (half,) in struct.iter_unpack("<H", raw)))
        return [value for (value,) in struct.iter_unpack("=f", wide.tobytes())]
    return [float(value) for (value,) in struct.iter_unpack(f"<{code}", raw)]
