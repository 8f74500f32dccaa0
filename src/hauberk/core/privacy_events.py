"""What was released of private data: the events an accountant composes, and what a person needs to know of them."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import msgspec

Relation: TypeAlias = Literal["add_or_remove", "replace", "zero_out"]
"""Which data sets count as neighbours: one unit more or less, one unit another, or one unit's contribution set to 0."""


class _Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every event. count: how many times, composed adaptively."""

    count: int = 1

    def __post_init__(self) -> None:
        """Refuse counts that cannot be."""
        if self.count < 0:
            raise ValueError(f"a release happened {self.count} times; it must be 0 or more")


class GaussianRelease(_Event, frozen=True, tag="gaussian"):
    """A sum with Gaussian noise. noise: standard deviation over the L2 sensitivity; 0 protects nothing."""

    noise: float

    def __post_init__(self) -> None:
        """Refuse noise that cannot be."""
        super().__post_init__()
        _known("noise", self.noise)


class SampledRelease(_Event, frozen=True, tag="sampled"):
    """A Gaussian sum over a Poisson sample: each row takes part with probability `rate`, independently."""

    noise: float
    rate: float

    def __post_init__(self) -> None:
        """Refuse noise and rates that cannot be."""
        super().__post_init__()
        _known("noise", self.noise)
        if not 0 <= self.rate <= 1:
            raise ValueError(f"the sampling rate is {self.rate:g}; it lies between 0 and 1")


class LaplaceRelease(_Event, frozen=True, tag="laplace"):
    """A sum with Laplace noise. noise: scale over the L1 sensitivity, 1/ε."""

    noise: float

    def __post_init__(self) -> None:
        """Refuse noise that cannot be."""
        super().__post_init__()
        _known("noise", self.noise)


class BoundedRelease(_Event, frozen=True, tag="bounded"):
    """Any mechanism that is (ε, δ)-private by its own proof, such as the exponential mechanism."""

    epsilon: float
    delta: float = 0.0

    def __post_init__(self) -> None:
        """Refuse bounds that are none."""
        super().__post_init__()
        _known("epsilon", self.epsilon)
        if not 0 <= self.delta < 1:
            raise ValueError(f"delta is {self.delta:g}; it lies between 0 and 1")


class RepeatedSelection(_Event, frozen=True, tag="selection"):
    """The best of a random number of runs of one mechanism, such as a search over hyper-parameters.

    runs: one run's events. mean: expected number of runs. shape: of the truncated negative binomial that draws it (1:
    geometric, 0: logarithmic, inf: Poisson). Papernot & Steinke 2022, arXiv:2110.03620, §3.
    """

    runs: tuple[Event, ...]
    mean: float
    shape: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a search that never runs."""
        super().__post_init__()
        if not self.mean >= 1:
            raise ValueError(f"{self.mean:g} runs are expected; at least 1 is needed")


Event: TypeAlias = GaussianRelease | SampledRelease | LaplaceRelease | BoundedRelease | RepeatedSelection


def _known(name: str, value: float) -> None:
    if not (value >= 0 and math.isfinite(value)):
        raise ValueError(f"{name} is {value:g}; it must be a number that is 0 or more")


class Spend(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One line of a budget ledger: what was released of which data, and on what assumptions.

    data: digest of the data. what: "training", "statistics" …, in a word. sampling: how rows were chosen, in words.
    units: what one row stands for ("record"). state: "reserved" before it is known how far a run will come; a run that
    dies leaves its reservation, which is counted in full. noise_source: where the noise came from.
    """

    data: str
    what: str
    recipe: str
    run: str
    events: tuple[Event, ...]
    state: Literal["reserved", "spent"] = "spent"
    relation: Relation = "add_or_remove"
    sampling: str = ""
    noise_source: str = ""
    time: str = ""
