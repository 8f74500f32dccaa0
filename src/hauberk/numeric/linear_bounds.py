"""Certified bounds of a network's outputs over a ball: intervals pushed forward, and CROWN's lines pulled back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import torch

from hauberk.core.errors import UsageError
from hauberk.core.threat import Ball, Norm
from hauberk.numeric.linear_bounds_graph import INPUT, Graph
from hauberk.numeric.linear_bounds_steps import Affine, Bend, Interval, Lines, Most

Tensor = torch.Tensor
Method: TypeAlias = Literal["ibp", "crown-ibp", "crown"]
"""How intermediate bounds come about: intervals alone; lines for the last bound only; lines for every one."""

_VALUES = 2**25
"""Coefficients held at once: 128 MiB of float32."""
_CLEAR = 1e-5
"""Share of the scores' size by which a margin must lie above 0: sums in float32 round."""


@dataclass(frozen=True, slots=True)
class Area:
    """The inputs around each clean one. center: (n, *shape). box: that holds all of them, within the input's bounds.

    norm, radius: of the ball; in linf the box is all of it.
    """

    center: Tensor
    box: Interval
    norm: Norm
    radius: float

    def least(self, over: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return the least value (n, m) of Σ over · x with coefficients (n, m, *shape), exact for ball or box alone.

        rows: (n,) the sample of each, where coefficients are not those of all samples in their order.
        """
        if rows is not None:
            return self._taken(rows).least(over)
        flat = over.flatten(2)
        middle = ((self.box.lower + self.box.upper) / 2).flatten(1).unsqueeze(2)
        half = ((self.box.upper - self.box.lower) / 2).flatten(1).unsqueeze(2)
        boxed = (flat @ middle - flat.abs() @ half).squeeze(2)
        if self.norm == "linf":
            return boxed
        at = (flat @ self.center.flatten(1).unsqueeze(2)).squeeze(2)
        dual = torch.linalg.vector_norm(flat, 2, dim=2) if self.norm == "l2" else flat.abs().amax(2)
        return torch.maximum(boxed, at - self.radius * dual)

    def _taken(self, rows: Tensor) -> Area:
        box = Interval(self.box.lower[rows], self.box.upper[rows])
        return Area(self.center[rows], box, self.norm, self.radius)


class _Found(NamedTuple):
    """What is known of a graph's places over one area: their intervals, and bends' lines once they were asked for."""

    at: list[Interval]
    lines: dict[int, Lines]

    def line(self, index: int, bend: Bend, source: int) -> Lines:
        """Return a bend's lines; whoever asks has passed it, so that the interval of its input is settled."""
        if index not in self.lines:
            self.lines[index] = bend.lines(self.at[source])
        return self.lines[index]


def area_of(ball: Ball, x: Tensor, bounds: tuple[float, float]) -> Area:
    """Build the area of a ball around x (n, *shape) cut by the bounds; raises UsageError for l0, which has no box."""
    if ball.norm == "l0":
        raise UsageError("linear bounds do not work in l0", fix="choose linf, l2 or l1")
    lower, upper = (x - ball.radius).clamp(min=bounds[0]), (x + ball.radius).clamp(max=bounds[1])
    return Area(x, Interval(lower, upper), ball.norm, ball.radius)


def output_bounds(graph: Graph, area: Area, method: Method = "crown") -> Interval:
    """Bound each logit (n, classes) over the area."""
    n, classes = len(area.center), graph.places[-1].shape[0]
    each = torch.eye(classes, dtype=area.center.dtype).expand(n, classes, classes)
    found, last = _intermediate(graph, area, method), len(graph.places) - 1
    if method == "ibp":
        return found.at[-1]
    return Interval(_pulled(graph, last, each, found, area), -_pulled(graph, last, -each, found, area))


def margins(graph: Graph, area: Area, y: Tensor, method: Method = "crown") -> Tensor:
    """Bound from below by how much class y (n,) leads each class over the area: (n, classes), the own column 0.

    Where all others are above 0 no input of the area is classified otherwise. The difference of two logits is bounded
    as one function, which is tighter than the difference of their bounds; with "ibp" it is pulled back through the
    linear steps at the end. Source: Zhang et al. 2018, arXiv:1811.00866 (CROWN); Gowal et al. 2018, arXiv:1810.12715.
    """
    classes = graph.places[-1].shape[0]
    own = torch.nn.functional.one_hot(y, classes).to(area.center.dtype)
    over = own.unsqueeze(1) - torch.eye(classes, dtype=own.dtype)
    found = _intermediate(graph, area, method)
    if method != "ibp":
        return _pulled(graph, len(graph.places) - 1, over, found, area)
    place, constant = len(graph.places) - 1, over.new_zeros(over.shape[:2])
    while isinstance(step := graph.places[place].step, Affine):
        back = step.pull(over)
        over, constant, place = back.coefficients[0], constant + back.constant, graph.places[place].inputs[0]
    return constant + Area(area.center, found.at[place], "linf", 0.0).least(over)


def certified(graph: Graph, area: Area, y: Tensor, rivals: Tensor | None = None, method: Method = "crown") -> Tensor:
    """Tell of which samples (n,) it is proven that no input of the area is classified otherwise; False says nothing.

    rivals: (n, classes) bool, the classes that would be an error; None: all but y. Bounds hold in real arithmetic; a
    margin counts only where it is clear of what float32 may round.
    """
    lead = margins(graph, area, y, method)
    own = torch.nn.functional.one_hot(y, lead.shape[1]).bool()
    counted = ~own if rivals is None else rivals & ~own
    size = lead.abs().amax(1, keepdim=True).clamp(min=1.0)
    return (~counted | (lead > _CLEAR * size)).all(1)


def work(graph: Graph, area: Area) -> int:
    """Count the coefficients "crown" would compute for intermediate bounds over this area: what its cost grows with."""
    found, total, before = _intermediate(graph, area, "ibp"), 0, 0
    for place in graph.places:
        before += math.prod(place.shape)
        if isinstance(place.step, Bend | Most) and not isinstance(graph.places[place.inputs[0]].step, Bend):
            source = place.inputs[0]
            if _mixing(graph, source) > 1:
                total += 2 * int(_open(place.step, found.at[source]).sum()) * before
    return total


def _intermediate(graph: Graph, area: Area, method: Method) -> _Found:
    """Bound every place, in order; with "crown" the inputs of bends are bounded by lines where it matters."""
    found, spreads = _Found([area.box], {}), _spreads(graph, area)
    exact = [area.norm in ("linf", "l2")]
    for index, place in enumerate(graph.places[1:], 1):
        step, sources = place.step, place.inputs
        assert step is not None
        if method == "crown" and isinstance(step, Bend | Most):
            (source,) = sources
            if not exact[source] and not isinstance(graph.places[source].step, Bend):
                found.at[source] = _tightened(graph, source, step, found, area)
                exact[source] = True
        box = step.interval(*(found.at[source] for source in sources))
        spread = spreads[index]
        if spread is not None:
            middle = _centre(graph, index, area.center)
            box = Interval(torch.maximum(box.lower, middle - spread), torch.minimum(box.upper, middle + spread))
        found.at.append(box)
        exact.append(_mixing(graph, index) <= 1 and (area.norm == "linf" or spread is not None))
    return found


def _spreads(graph: Graph, area: Area) -> list[Tensor | None]:
    """Say how far places that depend linearly on the input move in an l2 ball, by the lengths of their weights.

    (1, *shape) each, exact; None for other norms, for others than one mixing step, and behind bends.
    """
    lengths: list[Tensor | None] = [torch.ones_like(area.center[:1]) if area.norm == "l2" else None]
    for index, place in enumerate(graph.places[1:], 1):
        before, step = lengths[place.inputs[0]], place.step
        if isinstance(step, Affine) and step.squares and before is not None and _mixing(graph, index) <= 1:
            lengths.append(step.squares(before))
        else:
            lengths.append(None)
    return [None if length is None else area.radius * length.sqrt() for length in lengths]


def _centre(graph: Graph, index: int, center: Tensor) -> Tensor:
    """Run the linear steps from the input to a place on the clean inputs."""
    way, place = [], graph.places[index]
    while isinstance(place.step, Affine):
        way.append(place.step)
        place = graph.places[place.inputs[0]]
    for step in reversed(way):
        center = step.linear(center) + step.offset
    return center


def _mixing(graph: Graph, index: int) -> int:
    """Count the mixing steps from the input; 2 where something else than linear steps lies between.

    Intervals through one are exact, and its results are no longer free of each other.
    """
    count, place = 0, graph.places[index]
    while isinstance(place.step, Affine):
        count += place.step.mixes
        place = graph.places[place.inputs[0]]
    return count if place.step is None else 2


def _open(step: object, box: Interval) -> Tensor:
    """Tell which values (n, *shape) a bend's lines would gain from tighter bounds of."""
    if isinstance(step, Bend) and step.kinked:
        return (box.lower < 0) & (box.upper > 0)
    return box.upper > box.lower


def _tightened(graph: Graph, place: int, step: object, found: _Found, area: Area) -> Interval:
    """Bound the open values of a place by lines, a few at a time, and keep the better of both bounds.

    Down to the first bend coefficients are alike for all samples; from there on only those pairs of sample and value
    are followed that are open.
    """
    box, shape = found.at[place], graph.places[place].shape
    n, count = len(area.center), math.prod(shape)
    wanted = _open(step, box).flatten(1)
    lower, upper = box.lower.flatten(1).clone(), box.upper.flatten(1).clone()
    widest = max(math.prod(graph.places[index].shape) for index in range(place + 1))
    size = max(1, _VALUES // max(1, n * widest))
    columns = wanted.any(0).nonzero().squeeze(1)
    for part in torch.split(columns, size) if len(columns) else ():
        each = torch.zeros(len(part), count, dtype=lower.dtype)
        each[torch.arange(len(part)), part] = 1.0
        row, column = wanted[:, part].nonzero().unbind(1)
        start = _Way.at(graph, place, each.reshape(1, len(part), *shape), found)
        if 2 * len(row) > n * len(part):  # most are open: to pick them out would cost more than it saves
            least, most = (way.to_input(found, area)[row, column] for way in (start, start.turned()))
        else:
            least, most = (way.paired(column).to_input(found, area, row).squeeze(1) for way in (start, start.turned()))
        at = (row, part[column])
        lower[at] = torch.maximum(lower[at], least)
        upper[at] = torch.maximum(torch.minimum(upper[at], -most), lower[at])
    return Interval(lower.reshape(box.lower.shape), upper.reshape(box.upper.shape))


def _pulled(graph: Graph, place: int, over: Tensor, found: _Found, area: Area) -> Tensor:
    """Bound Σ over · place (n, m) from below: pull coefficients (n or 1, m, …) back to the input."""
    return _Way(graph, {place: over}, over.new_zeros(over.shape[:2]), place).to_input(found, area)


@dataclass(frozen=True, slots=True)
class _Way:
    """Coefficients on their way to the input. waiting: on the places they have reached. last: the highest of those."""

    graph: Graph
    waiting: dict[int, Tensor]
    constant: Tensor
    last: int

    @classmethod
    def at(cls, graph: Graph, place: int, over: Tensor, found: _Found) -> _Way:
        """Begin at a place and go down to the first bend, which alone asks for intervals."""
        way = cls(graph, {place: over}, over.new_zeros(over.shape[:2]), place)
        while way.last > INPUT and not isinstance(graph.places[way.last].step, Bend | Most):
            way = way.stepped(found, None)
        return way

    def turned(self) -> _Way:
        """Return the way of the opposite coefficients, before any bend."""
        return _Way(self.graph, {key: -value for key, value in self.waiting.items()}, -self.constant, self.last)

    def paired(self, column: Tensor) -> _Way:
        """Take coefficients (1, m, …) of columns (p,) → (p, 1, …)."""
        waiting = {key: value[0].index_select(0, column).unsqueeze(1) for key, value in self.waiting.items()}
        return _Way(self.graph, waiting, self.constant[0].index_select(0, column).unsqueeze(1), self.last)

    def stepped(self, found: _Found, rows: Tensor | None) -> _Way:
        """Pull what waits at the last place on to its sources."""
        place = self.graph.places[self.last]
        waiting, constant = dict(self.waiting), self.constant
        here = waiting.pop(self.last, None)
        if here is not None:
            assert place.step is not None
            if isinstance(place.step, Bend):
                back = place.step.along(here, found.line(self.last, place.step, place.inputs[0]), rows)
            else:
                back = place.step.pull(here, tuple(found.at[source] for source in place.inputs), rows)
            constant = constant + back.constant
            for source, part in zip(place.inputs, back.coefficients, strict=True):
                waiting[source] = waiting[source] + part if source in waiting else part
        return _Way(self.graph, waiting, constant, self.last - 1)

    def to_input(self, found: _Found, area: Area, rows: Tensor | None = None) -> Tensor:
        """Go all the way and take the least value over the area (n, m)."""
        way = self
        while way.last > INPUT:
            way = way.stepped(found, rows)
        if INPUT not in way.waiting:
            return way.constant
        return way.constant + area.least(way.waiting[INPUT], rows)
