"""The examiner of model theft: how faithful a copy does a query budget buy, and at what price is it as good?"""

from __future__ import annotations

import math
from collections.abc import Generator

import msgspec
import torch

from hauberk.attacks.extraction_curve import Curve, fit
from hauberk.attacks.extraction_meter import Account
from hauberk.attacks.extraction_meter import Metered as Metered
from hauberk.attacks.recording import (
    Recorder,
    Samples,
    as_known,
    decisions,
    demand,
    generator,
    guarded,
    recipe_of,
    samples,
)
from hauberk.core.errors import DataError, MeasurementError
from hauberk.core.evidence import Entry, Indicator, Measurement
from hauberk.core.plugins import settings_of
from hauberk.core.progress import Silent
from hauberk.core.protocols import Dataset, ExtractionAttack, Progress, Target
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat
from hauberk.numeric.intervals import Interval, clopper_pearson

CURVE = (0.125, 0.25, 0.5)
"""Shares of the budget at which the copy is measured too; three give the fit, the whole budget checks it."""
POOL = 0.5
"""Share of the test samples that plays the attacker's own data; the rest scores the copy."""
AS_GOOD = 0.01
"""A copy is as good as the model once its accuracy lies less than this below the model's own."""


class Point(msgspec.Struct, frozen=True):
    """One copy's figures: queries it cost, hits of n held-out samples: answers like the model's, and right answers."""

    queries: int
    agreed: torch.Tensor
    right: torch.Tensor


def examine_extraction(
    target: Target,
    data: Dataset,
    attack: ExtractionAttack,
    threat: Threat,
    *,
    stamp: Stamp,
    seed: int = 0,
    progress: Progress | None = None,
    level: float = 0.95,
    price: float = 0.0,
    book: Account | None = None,
) -> Generator[Entry, None, Target | None]:
    """Measure how often a stolen copy agrees with the target; the generator returns the copy.

    Half of the test samples are the thief's pool, the other half scores the copy. Yields extraction_agreement and
    extraction_accuracy against queries as curves, a control that asks nothing, the headlines of both at
    threat.queries, the queries that make the copy as good as the model, and their price at `price` a query where that
    is above 0. What cannot be measured becomes a Skipped, and the copy None.

    book: what was paid for before, and where it is kept: a run that goes on after an endpoint failed, or a second
    attack, asks nothing twice.
    """
    if price < 0 or not math.isfinite(price):
        raise DataError(f"the price of a query is {price}", fix="give 0 or more, in any currency")
    to = Recorder(recipe_of(attack), target.spec.name, threat, stamp, seed, attack, level)
    return (yield from guarded(_examine(target, data, attack, to, progress or Silent(), book or Account(), price), to))


def _examine(
    target: Target,
    data: Dataset,
    attack: ExtractionAttack,
    to: Recorder,
    progress: Progress,
    book: Account,
    price: float,
) -> Generator[Entry, None, Target | None]:
    demand(attack.card, target)
    test = samples(data.test)
    order = torch.randperm(len(test.y), generator=generator(to.seed, 1))
    cut = int(POOL * len(order))
    pool, held = test.x[order[:cut]], test.take(order[cut:])
    budget = cut if to.threat.queries is None else to.threat.queries
    if cut < 2 or budget < 1:
        yield to.skipped("too few test samples or queries to train a copy", fix="give more test samples, raise queries")
        return None
    truth = decisions(target, held.x)
    yield _unasked(truth, to)
    points: list[Point] = []
    made = to.stamp.of(to.recipe, settings_of(attack), to.seed)
    budgets = (*sorted({max(1, int(share * budget)) for share in CURVE} - {budget}), budget)
    with progress.step("theft", len(budgets), "copies") as bar:
        for queries in budgets:
            thief = msgspec.structs.replace(to.threat, queries=queries)
            meter = Metered(as_known(target, thief), queries, book.paid)
            try:
                copy = attack.steal(meter, pool, thief, generator(to.seed, 2))
            except DataError as error:
                yield to.skipped(error.what, fix=error.fix)
                return None
            except MeasurementError:
                yield from book.checkpoint(made)
                raise
            yield from book.checkpoint(made)
            points.append(_scored(copy, held, truth, meter.spent))
            yield from _of_curve(points[-1], to)
            bar.advance(note=f"agrees {float(points[-1].agreed.double().mean()):.0%}")
    yield from _headlines(points[-1], budget, cut, float((truth == held.y).double().mean()), to)
    yield from _costs(points, float((truth == held.y).double().mean()), price, to)
    return copy


def _scored(copy: Target, held: Samples, truth: torch.Tensor, spent: int) -> Point:
    said = decisions(copy, held.x)
    return Point(spent, said == truth, said == held.y)


def _of_curve(point: Point, to: Recorder) -> Generator[Entry, None, None]:
    for name, hits in (("extraction_agreement", point.agreed), ("extraction_accuracy", point.right)):
        yield to.share(name, hits, role="curve", along="queries", at=float(point.queries))


def _headlines(point: Point, budget: int, cut: int, own: float, to: Recorder) -> Generator[Entry, None, None]:
    within = Indicator(
        name="the budget was kept",
        passed=point.queries <= budget,
        detail=f"{point.queries} of {budget} queries were answered",
    )
    note = f"{point.queries} queries, drawn from {cut} test samples that do not score the copy"
    if point.queries > cut:
        note += ", and from inputs made of them"
    yield to.share("extraction_agreement", point.agreed, indicators=(within,), note=note)
    yield to.share("extraction_accuracy", point.right, note=f"the target itself: {own:.3f}")
    spent = float(point.queries)
    yield to.where("neither").figure(
        "extraction_queries",
        Interval(spent, spent, spent),
        len(point.right),
        "exact",
        role="diagnostic",
        unit="queries",
    )


def _costs(points: list[Point], own: float, price: float, to: Recorder) -> Generator[Entry, None, None]:
    """Say how many queries make the copy as good as the model, measured or read off the fit, and what they cost."""
    if price > 0:
        yield _price("extraction_price", points[-1].queries * price, len(points[-1].right), to, "of the whole budget")
    fewer = [point for point in points[:-1] if point.queries < points[-1].queries]
    if len({point.queries for point in fewer}) >= 3:
        foreseen = fit(*_shares(fewer, "agreed")).at(points[-1].queries)
        yield _foreseen(foreseen, points[-1], to)
    found = as_good(points, own)
    if found is None:
        part = "queries that make the copy as good"
        yield to.skipped("no measured or foreseen budget makes the copy as good as the model", part=part)
        return
    queries, how = found
    interval = Interval(queries, queries, queries)
    yield to.where("higher").figure(
        "extraction_queries_as_good",
        interval,
        len(points[-1].right),
        "none",
        role="diagnostic",
        unit="queries",
        note=how,
    )
    if price > 0:
        yield _price("extraction_price_as_good", queries * price, len(points[-1].right), to, how)


def as_good(points: list[Point], own: float) -> tuple[float, str] | None:
    """Return the queries after which the copy's accuracy is within AS_GOOD of the model's `own`, and how it is known.

    None where it was not reached and the curve's own ceiling lies below.
    """
    goal = own - AS_GOOD
    for point in points:
        if float(point.right.double().mean()) >= goal:
            return float(point.queries), f"measured: accuracy within {AS_GOOD:.0%} of the model's {own:.3f}"
    if len({point.queries for point in points}) < 3:
        return None
    curve: Curve = fit(*_shares(points, "right"))
    queries = curve.queries_for(goal)
    if not queries <= 1000 * points[-1].queries:
        return None
    return float(math.ceil(queries)), f"foreseen by {curve.a:.3f} - {curve.c:.3g} b^-{curve.k:.2f}; not measured"


def _shares(points: list[Point], which: str) -> tuple[list[float], list[float]]:
    return [float(point.queries) for point in points], [
        float(getattr(point, which).double().mean()) for point in points
    ]


def _foreseen(value: float, last: Point, to: Recorder) -> Measurement:
    reached = clopper_pearson(int(last.agreed.sum()), len(last.agreed), to.level).value
    return to.where("neither").figure(
        "extraction_agreement_foreseen",
        Interval(value, value, value),
        len(last.agreed),
        "none",
        role="diagnostic",
        note=f"from the smaller budgets alone; measured: {reached:.3f}",
    )


def _price(name: str, price: float, n: int, to: Recorder, note: str) -> Measurement:
    interval = Interval(price, price, price)
    return to.where("higher").figure(name, interval, n, "none", role="diagnostic", unit="price", note=note)


def _unasked(truth: torch.Tensor, to: Recorder) -> Entry:
    common = torch.bincount(truth).argmax()
    return to.share(
        "extraction_agreement", truth == common, role="control", note="a copy that always says the commonest class"
    )
