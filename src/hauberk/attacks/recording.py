"""What the examiners of poisoning, privacy and extraction share: batched answers, and evidence with one stamp."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import torch
from msgspec import structs
from torch.nn.functional import one_hot

from hauberk.core.card import Card
from hauberk.core.errors import MeasurementError, MissingPower
from hauberk.core.evidence import Entry, Indicator, IntervalMethod, Measurement, Role, Skipped
from hauberk.core.plugins import settings_of
from hauberk.core.protocols import Split, Target, TargetSpec, powers
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat
from hauberk.numeric.intervals import Interval, clopper_pearson

BATCH = 512
Result = TypeVar("Result")


class Samples(NamedTuple):
    """Inputs x (n, *shape) float32 and labels y (n,) int64 as tensors."""

    x: torch.Tensor
    y: torch.Tensor

    def take(self, rows: torch.Tensor) -> Samples:
        """Return these rows."""
        return Samples(self.x[rows], self.y[rows])


def samples(split: Split) -> Samples:
    """Copy a split into tensors, so that nothing an attack does can reach the data set."""
    return Samples(torch.from_numpy(np.array(split.x)), torch.from_numpy(np.array(split.y)))


def generator(seed: int, stage: int) -> torch.Generator:
    """Make the random source of one stage; stages of one seed do not share a stream."""
    return torch.Generator().manual_seed((seed * 1_000_003 + stage) % 2**63)


def batches(x: torch.Tensor, size: int = BATCH) -> Iterator[torch.Tensor]:
    """Cut along the first axis into parts of at most `size`."""
    return (x[start : start + size] for start in range(0, len(x), size))


def answers(target: Target, x: torch.Tensor) -> torch.Tensor:
    """Ask in batches: scores (n, classes)."""
    if not len(x):
        return torch.zeros(0, target.spec.classes)
    return torch.cat([target.predict(part) for part in batches(x)])


def decisions(target: Target, x: torch.Tensor) -> torch.Tensor:
    """Ask in batches: class indices (n,)."""
    return answers(target, x).argmax(1)


@dataclass(frozen=True, slots=True)
class Recorder:
    """Write evidence of one attack on one target under one threat."""

    recipe: str
    subject: str
    threat: Threat
    stamp: Stamp
    seed: int
    attack: object = None
    level: float = 0.95
    better: Literal["higher", "lower", "neither"] = "lower"

    def where(self, better: Literal["higher", "lower", "neither"]) -> Recorder:
        """Return a recorder whose quantities are better for the defender in that direction."""
        return replace(self, better=better)

    def figure(
        self,
        name: str,
        interval: Interval,
        n: int,
        method: IntervalMethod,
        *,
        role: Role = "headline",
        unit: str = "share",
        population: int | None = None,
        indicators: tuple[Indicator, ...] = (),
        note: str = "",
        along: str = "",
        at: float | None = None,
    ) -> Measurement:
        """Write a value with its interval."""
        return Measurement(
            name=name,
            subject=self.subject,
            value=interval.value,
            low=interval.low,
            high=interval.high,
            level=self.level,
            method=method,
            n=n,
            unit=unit,
            better=self.better,
            provenance=self.stamp.of(self.recipe, settings_of(self.attack), self.seed),
            role=role,
            population=population,
            threat=self.threat.name,
            indicators=indicators,
            note=note,
            along=along,
            at=at,
        )

    def share(
        self,
        name: str,
        hits: torch.Tensor,
        *,
        role: Role = "headline",
        indicators: tuple[Indicator, ...] = (),
        note: str = "",
        along: str = "",
        at: float | None = None,
    ) -> Measurement:
        """Write the share of hits (n,) bool with Clopper–Pearson's interval."""
        interval = clopper_pearson(int(hits.sum()), len(hits), self.level)
        return self.figure(
            name,
            interval,
            len(hits),
            "clopper-pearson",
            role=role,
            indicators=indicators,
            note=note,
            along=along,
            at=at,
        )

    def skipped(
        self,
        reason: str,
        kind: Literal["limit", "power", "scope", "interrupted", "error"] = "scope",
        fix: str = "",
        part: str = "",
    ) -> Skipped:
        """Write what was not measured; `part` is the quantity where it is not the whole attack."""
        subject = ": ".join(word for word in (f"{self.recipe} under {self.threat.name}", part) if word)
        stamped = self.stamp.of(self.recipe, settings_of(self.attack), self.seed)
        return Skipped(subject=subject, reason=reason, provenance=stamped, kind=kind, fix=fix)


def guarded(work: Generator[Entry, None, Result], to: Recorder) -> Generator[Entry, None, Result | None]:
    """Pass evidence on; a target that cannot be measured ends it with a Skipped that says why."""
    try:
        return (yield from work)
    except MissingPower as error:
        yield to.skipped(error.what, "power", error.fix)
    except MeasurementError as error:
        place = f"{error.where}: " if error.where else ""
        yield to.skipped(f"{place}{error.what}", "error", error.fix)
    return None


class LabelsOnly:
    """A target as an attacker sees it who is told labels only: one-hot answers."""

    def __init__(self, target: Target) -> None:
        self._target = target

    @property
    def spec(self) -> TargetSpec:
        """What the target is, answering with labels."""
        return structs.replace(self._target.spec, answers="labels")

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Ask the target and keep the label alone: (n, classes), one 1 a row."""
        scores = self._target.predict(x)
        return one_hot(scores.argmax(1), scores.shape[1]).to(scores)


def as_known(target: Target, threat: Threat) -> Target:
    """Return the target as far as this attacker may see it."""
    return LabelsOnly(target) if threat.knowledge == "decision" else target


def recipe_of(attack: object) -> str:
    """Name an attack as the catalogue does: its path under the family folders, "poisoning.badnets"."""
    kind = type(attack)
    return kind.__module__.partition("hauberk.attacks.")[2] or kind.__qualname__


def demand(card: Card, target: Target) -> None:
    """Raise MissingPower where the target lacks something the card says the attack needs."""
    missing = sorted(set(card.needs) - powers(target))
    if missing:
        raise MissingPower(
            f"{target.spec.name} cannot give {', '.join(missing)}",
            fix=f"reach the model in a way that gives {missing[0]}",
        )
