"""The plan of a private training run: how rows are drawn, how much noise is added, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch

from hauberk.core.errors import UsageError
from hauberk.core.privacy_events import Event, GaussianRelease, Relation, SampledRelease
from hauberk.numeric.calibration import most_steps, noise_for
from hauberk.numeric.clipping import AdaptiveBound, ClippingKind
from hauberk.numeric.private_noise import NoiseSource
from hauberk.numeric.tree_noise import tree_sensitivity

Sampling: TypeAlias = Literal["poisson", "shuffled"]
Mechanism: TypeAlias = Literal["independent", "tree"]
SAMPLING_WORDS = {  # how rows are drawn, for a statement
    "poisson": "every row enters every step with the same probability, independently of all else (Poisson sampling)",
    "shuffled": "the rows are shuffled and cut into batches, each used once in a pass; no gain of chance is counted",
    "tree": "the rows are cut into batches, each row taking part once in a pass; running sums have the noise of a tree "
    "that begins anew with every pass; no gain of chance is counted",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run does. rows: of the data. steps: in all. batch: expected rows a step. noise: multiplier of the bound.

    memory: rows whose gradients are computed at once; 0 for all of a batch. It changes nothing but memory.
    """

    rows: int
    steps: int
    batch: int
    noise: float = 0.0
    clip: float = 1.0
    clipping: ClippingKind = "flat"
    sampling: Sampling = "poisson"
    mechanism: Mechanism = "independent"
    memory: int = 0
    quantile: float = 0.5

    def __post_init__(self) -> None:
        """Refuse plans that cannot be carried out; raises UsageError."""
        if self.rows < 1:
            raise UsageError("there are no rows to train on", fix="give the training data")
        if self.steps < 1:
            raise UsageError(f"{self.steps} steps train nothing", fix="ask for at least one")
        if not 1 <= self.batch <= self.rows:
            raise UsageError(f"a batch of {self.batch} rows out of {self.rows} cannot be drawn", fix="set batch lower")
        if not self.clip > 0 or not self.noise >= 0:
            raise UsageError("clip must be above 0 and noise 0 or more", fix="1.0 and 1.0 are a usual start")

    @property
    def rate(self) -> float:
        """Probability that a row takes part in a step."""
        return self.batch / self.rows

    @property
    def passes(self) -> int:
        """Steps in one pass over the data."""
        return math.ceil(self.rows / self.batch)

    @property
    def relation(self) -> Relation:
        """Which data sets are neighbours in what `events` proves."""
        return "add_or_remove" if self._sampled else "zero_out"

    @property
    def _sampled(self) -> bool:
        return self.mechanism == "independent" and self.sampling == "poisson"

    @property
    def sampling_words(self) -> str:
        """Say how rows are drawn."""
        return SAMPLING_WORDS["tree" if self.mechanism == "tree" else self.sampling]

    def events(self, steps: int | None = None) -> tuple[Event, ...]:
        """Return what so many steps (all for None) release.

        Poisson samples are amplified by chance; batches of a shuffle are not: each row takes part once in a pass, so a
        pass is one Gaussian release (parallel composition). Counting shuffled batches as Poisson samples promises too
        much: Chua et al. 2024, arXiv:2403.17673.
        """
        done = self.steps if steps is None else steps
        if done == 0:
            return ()
        if self._sampled:
            return (SampledRelease(rate=self.rate, noise=self.noise, count=done),)
        epochs = math.ceil(done / self.passes)
        if self.mechanism == "tree":
            most = tree_sensitivity(min(done, self.passes), self.passes, 0)
            return (GaussianRelease(noise=self.noise / most, count=epochs),)
        return (GaussianRelease(noise=self.noise, count=epochs),)

    def calibrated(self, epsilon: float, delta: float, before: Sequence[Event] = ()) -> Plan:
        """Return the plan with the least noise whose cost, with what was spent before, is at most ε at this δ."""

        def events(noise: float) -> tuple[Event, ...]:
            return (*before, *replace(self, noise=noise).events())

        return replace(self, noise=noise_for(events, epsilon, delta, relation=self.relation))

    def allowed(self, epsilon: float, delta: float, before: Sequence[Event] = ()) -> int:
        """Return how many of the steps a budget allows."""
        return most_steps(
            lambda steps: (*before, *self.events(steps)), self.steps, epsilon, delta, relation=self.relation
        )

    def batches(self, source: NoiseSource) -> Iterator[torch.Tensor]:
        """Yield the rows of every step, possibly none of a Poisson sample."""
        for step in range(self.steps):
            if self._sampled:
                yield source.coins(self.rows, self.rate).nonzero().squeeze(1)
                continue
            place = step % self.passes
            if place == 0:
                order = source.permutation(self.rows)
            yield order[place * self.batch : (place + 1) * self.batch]

    def adaptive(self) -> AdaptiveBound | None:
        """Return the moving bound of adaptive clipping; its count has a twentieth of the batch as noise."""
        if self.clipping != "adaptive":
            return None
        count = max(self.batch / 20, self.noise)
        return AdaptiveBound(bound=self.clip, quantile=self.quantile, count_noise=count)


def usual_delta(rows: int) -> float:
    """Return n^−1.1, below one over the rows (Ponomareva et al. 2023, arXiv:2303.00654, §5.2)."""
    return float(max(2, rows) ** -1.1)
