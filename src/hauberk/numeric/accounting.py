"""Privacy accounting: the smallest ε that is proven for a list of releases, by PLD or RDP of dp-accounting.

dp-accounting is imported here and nowhere else, and only when a number is asked for.
Approximations that are no bound (a central limit theorem, optimistic discretisation) are refused by name.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, cast

from hauberk.core.errors import MissingExtra, UsageError
from hauberk.core.privacy_events import (
    BoundedRelease,
    Event,
    GaussianRelease,
    LaplaceRelease,
    Relation,
    RepeatedSelection,
    SampledRelease,
)

if TYPE_CHECKING:
    from types import ModuleType

Method: TypeAlias = Literal["best", "pld", "rdp"]
NO_BOUND = {
    "gdp": "the central limit theorem behind Gaussian DP is an approximation: it has put ε four times too low",
    "clt": "the central limit theorem is an approximation: it has put ε four times too low",
    "optimistic": "an optimistic grid bounds ε from below, which promises nothing",
}
COARSEST, FINEST = 1e-2, 2e-5
LOOSENESS = 0.001
"""Share of ε the grid may cost. Composing T steps on a grid of width g costs about 0.7·T·g² (measured, rounded up)."""
LARGEST_GROUP = 64
WHOLE = (*range(2, 33), 48, 64, 128, 256, 512)
LOOSE = 100.0
"""Beyond this ε nothing is promised that anybody needs to two digits, and grids grow large: RDP will do."""


class Bound(NamedTuple):
    """A proven bound. method: the accountant that gave it. grid: width of its privacy-loss grid, 0 for RDP."""

    epsilon: float
    delta: float
    method: Literal["pld", "rdp"]
    grid: float = 0.0


def library() -> ModuleType:
    """Import dp-accounting; raises MissingExtra where it is not installed."""
    try:
        import dp_accounting
        import dp_accounting.pld
        import dp_accounting.rdp
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "dp_accounting", "privacy") from error
    return cast("ModuleType", dp_accounting)


def epsilon(
    events: Sequence[Event],
    delta: float,
    *,
    relation: Relation = "add_or_remove",
    group: int = 1,
    method: str = "best",
    grid: float | None = None,
) -> Bound:
    """Return the smallest proven ε of these releases together at this δ; inf where one of them protects nothing.

    group: rows one unit of privacy may have in the data (rows of one person); the bound then holds for the unit.
    method: "best" is PLD, or RDP where PLD cannot compose an event. grid: of PLD; None to choose it so that it costs
    less than 0.5 % of ε. Raises UsageError for a method that is no bound and for events it cannot compose.
    Sources: Koskela et al. 2020, arXiv:1906.03049; Doroshenko et al. 2022, arXiv:2207.04380 (connect the dots).
    """
    check_method(method)
    if not 0 < delta < 1:
        raise UsageError(f"delta is {delta:g}; it lies between 0 and 1", fix="take less than one over the rows")
    if not 1 <= group <= LARGEST_GROUP:
        raise UsageError(f"a unit of {group} rows cannot be accounted", fix=f"give 1 to {LARGEST_GROUP} rows")
    some = tuple(event for event in events if event.count)
    return _bounded(some, delta, relation, group, method, grid)


@lru_cache(maxsize=1024)
def _bounded(
    some: tuple[Event, ...], delta: float, relation: Relation, group: int, method: str, grid: float | None
) -> Bound:
    if not some:
        return Bound(0.0, delta, "pld" if method != "rdp" else "rdp")
    if any(unprotected(event) for event in some):
        return Bound(math.inf, delta, "pld" if method != "rdp" else "rdp")
    if method == "rdp" or (method == "best" and any(isinstance(event, RepeatedSelection) for event in some)):
        return Bound(_renyi(some, delta, relation, group), delta, "rdp")
    if method == "best" and group == 1 and relation != "replace":
        with contextlib.suppress(UsageError):
            rough = _renyi(some, delta, relation, group, quick=True)
            if rough > LOOSE:
                return Bound(rough, delta, "rdp")
    width = grid or chosen_grid(some, delta, group)
    distribution = _composed(some, relation, group, width)
    return Bound(max(0.0, float(distribution.get_epsilon_for_delta(delta))), delta, "pld", width)


class Guessing(NamedTuple):
    """What no attacker can beat. advantage: TPR − FPR of any membership test. rates: FPR → the largest TPR.

    certainty: the largest chance to be right about one row that was as likely in as out; 0.5 is guessing.
    """

    advantage: float
    certainty: float
    rates: dict[float, float]


def guessing(
    events: Sequence[Event],
    delta: float,
    *,
    relation: Relation = "add_or_remove",
    group: int = 1,
    rates: Sequence[float] = (0.001, 0.01, 0.1),
) -> Guessing:
    """Say in terms of membership tests what these releases promise: ε and δ of all pairs at once, not of one.

    TPR ≤ min over ε of e^ε · FPR + δ(ε): Kairouz et al. 2015, arXiv:1311.0776, theorem 2.1.
    """
    some = tuple(event for event in events if event.count)
    if not some:
        return Guessing(0.0, 0.5, {rate: rate for rate in rates})
    if any(unprotected(event) for event in some) or any(isinstance(event, RepeatedSelection) for event in some):
        bound = epsilon(some, delta, relation=relation, group=group).epsilon
        pairs = [(bound, delta)]
    else:
        width = chosen_grid(some, delta, group)
        distribution = _composed(some, relation, group, width)
        pairs = [(step / 8, float(distribution.get_delta_for_epsilon(step / 8))) for step in range(161)]

    def most(rate: float) -> float:
        return min(1.0, *(math.exp(min(e, 700.0)) * rate + d for e, d in pairs))

    advantage = min(1.0, max(0.0, max(most(rate / 200) - rate / 200 for rate in range(1, 200))))
    return Guessing(advantage, (1 + advantage) / 2, {rate: most(rate) for rate in rates})


def profile(
    events: Sequence[Event], delta: float, *, relation: Relation = "add_or_remove"
) -> list[tuple[float, float]]:
    """Return pairs (ε, δ) that all hold for these releases, ε from 0 to 40 in steps of 1/8. delta: sets the grid."""
    width = chosen_grid(events, delta, 1)
    distribution = _composed(events, relation, 1, width)
    steps = [step / 8 for step in range(321)]
    return [(step, float(distribution.get_delta_for_epsilon(step))) for step in steps]


def _composed(events: Sequence[Event], relation: Relation, group: int, width: float) -> Any:
    first, *others = (_distribution(event, relation, group, width) for event in events)
    for own in others:
        first = first.compose(own)
    return first


def check_method(method: str) -> None:
    """Refuse what is no bound; raises UsageError."""
    if method in NO_BOUND:
        raise UsageError(f'"{method}" is no bound: {NO_BOUND[method]}', fix='use "pld" or "rdp"')
    if method not in ("best", "pld", "rdp"):
        raise UsageError(f'no accountant "{method}"', fix='use "pld" or "rdp"')


def unprotected(event: Event) -> bool:
    """Tell whether a release has no noise at all."""
    if isinstance(event, RepeatedSelection):
        return any(unprotected(inner) for inner in event.runs)
    if isinstance(event, SampledRelease):
        return event.rate > 0 and event.noise == 0
    return not isinstance(event, BoundedRelease) and event.noise == 0


def chosen_grid(events: Sequence[Event], delta: float, group: int) -> float:
    """Choose the widest grid that costs at most LOOSENESS of ε, judged by what RDP says of it.

    RDP is up to 40 % too large, so a half of it is taken; where RDP cannot compose the events, 1e-4. Units of several
    sampled rows get no grid finer than 1e-3, on which one release takes seconds.
    """
    steps = sum(event.count for event in events)
    mixed = group > 1 and any(isinstance(event, SampledRelease) for event in events)
    try:
        rough = group * _renyi(events, delta, "add_or_remove", 1, quick=True) / 2
    except UsageError:
        return 1e-3 if mixed else 1e-4
    width = min(COARSEST, rough / 150, max(FINEST, math.sqrt(LOOSENESS * rough / (0.7 * steps))))
    return max(width, 1e-3) if mixed else width


@lru_cache(maxsize=128)
def _one(event: Event, relation: Relation, group: int, width: float) -> Any:
    """Return one release's privacy-loss distribution; `event.count` is 1."""
    make = library().pld.privacy_loss_distribution
    near = getattr(library().NeighboringRelation, _names()[relation])
    doubled = 2 if relation == "replace" else 1
    if isinstance(event, GaussianRelease):
        return make.from_gaussian_mechanism(
            event.noise / group, value_discretization_interval=width, neighboring_relation=near
        )
    if isinstance(event, SampledRelease):
        return _sampled(make, event, near, relation, group, width)
    if isinstance(event, LaplaceRelease):
        return make.from_laplace_mechanism(event.noise / (group * doubled), value_discretization_interval=width)
    if isinstance(event, BoundedRelease):
        e, d = grouped(event.epsilon, event.delta, group * doubled)
        pair = library().pld.common.DifferentialPrivacyParameters(e, d)
        return make.from_privacy_parameters(pair, value_discretization_interval=width)
    raise UsageError("PLD cannot compose a random search", fix='use method "rdp"')


def _sampled(make: Any, event: SampledRelease, near: object, relation: Relation, group: int, width: float) -> Any:
    if group == 1:
        return make.from_gaussian_mechanism(
            event.noise,
            sampling_prob=event.rate,
            value_discretization_interval=width,
            neighboring_relation=near,
        )
    if relation == "replace":
        raise UsageError(
            "units of several rows are not accounted under replacement with sampling", fix="use add_or_remove"
        )
    # A unit's rows are drawn independently: its contribution is 0 … group with binomial probabilities (Ganesh 2024,
    # arXiv:2401.10294).
    shares = [math.comb(group, k) * event.rate**k * (1 - event.rate) ** (group - k) for k in range(group + 1)]
    return make.from_mixture_gaussian_mechanism(
        event.noise, list(range(group + 1)), shares, value_discretization_interval=width
    )


@lru_cache(maxsize=128)
def _distribution(event: Event, relation: Relation, group: int, width: float) -> Any:
    import msgspec

    if isinstance(event, GaussianRelease):  # T Gaussian releases are one with less noise
        summed = msgspec.structs.replace(event, noise=event.noise / math.sqrt(event.count), count=1)
        return _one(summed, relation, group, width)
    one = _one(msgspec.structs.replace(event, count=1), relation, group, width)
    return one if event.count == 1 else one.self_compose(event.count)


def _renyi(events: Sequence[Event], delta: float, relation: Relation, group: int, *, quick: bool = False) -> float:
    """Return ε by RDP; quick: at whole orders alone, whose sums are finite and cost a hundredth."""
    base = library()
    if relation == "replace" or group > 1:
        if any(not isinstance(event, GaussianRelease | LaplaceRelease) for event in events):
            raise UsageError("RDP does not account this neighbouring relation", fix='use method "pld"')
        scale = group * (2 if relation == "replace" else 1)
    else:
        scale = 1
    near = getattr(base.NeighboringRelation, _names()["add_or_remove"])
    accountant = base.rdp.RdpAccountant(WHOLE if quick else None, near)
    with _quiet():
        for event in events:
            accountant.compose(_dp_event(event, scale), event.count)
        return max(0.0, float(accountant.get_epsilon(delta)))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library from printing that it left out an order whose series did not converge: the bound holds."""
    from absl import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _dp_event(event: Event, scale: int) -> Any:
    base = library()
    if isinstance(event, GaussianRelease):
        return base.GaussianDpEvent(event.noise / scale)
    if isinstance(event, SampledRelease):
        return base.PoissonSampledDpEvent(event.rate, base.GaussianDpEvent(event.noise))
    if isinstance(event, LaplaceRelease):
        return base.LaplaceDpEvent(event.noise / scale)
    if isinstance(event, RepeatedSelection):
        inner = [base.SelfComposedDpEvent(_dp_event(one, scale), one.count) for one in event.runs]
        return base.dp_event.RepeatAndSelectDpEvent(base.ComposedDpEvent(inner), event.mean, event.shape)
    if event.delta == 0:  # pure ε-DP is ε²/2-zCDP (Bun & Steinke 2016, proposition 1.4)
        return base.ZCDpEvent(event.epsilon**2 / 2)
    raise UsageError("RDP cannot compose a release with a δ of its own", fix='use method "pld"')


def _names() -> dict[Relation, str]:
    return {"add_or_remove": "ADD_OR_REMOVE_ONE", "replace": "REPLACE_ONE", "zero_out": "REPLACE_SPECIAL"}


def grouped(epsilon: float, delta: float, group: int) -> tuple[float, float]:
    """Return what an (ε, δ) promise to one row is worth to a group of rows; group privacy by triangle inequality."""
    whole = group * epsilon
    if delta == 0 or group == 1:
        return whole, delta
    factor = float(group) if epsilon == 0 else math.expm1(min(whole, 500.0)) / math.expm1(epsilon)
    return whole, min(1.0, delta * factor)
