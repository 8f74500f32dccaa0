"""Add up what happened to the samples into measurements with intervals, and examples to look at."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from hauberk.attacks.allowed import unit
from hauberk.attacks.cascade import title
from hauberk.attacks.chunks import Outcome, one_search, stream
from hauberk.core.evidence import Exhibit, Indicator, IntervalMethod, Measurement, Provenance, Role, Setting, Skipped
from hauberk.core.plugins import settings_of
from hauberk.core.protocols import Dataset, EvasionAttack, Target
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Ball, Threat
from hauberk.numeric.intervals import Interval, beta_mixture, bootstrap_median, clopper_pearson, focused_mixture

RECIPE = "attacks.evasion"


@dataclass(frozen=True, slots=True)
class Scope:
    """What is measured and how much of it. population: samples there are; planned: samples to be attacked at most.

    sequential: the number of samples is decided by what is seen (a precision, an interruption, a fault).
    gated: it is decided by which side of a policy's bound the share lies on; a bound is one-sided, so each end of the
    interval alone holds with `level`, and both together with `stated`.
    """

    target: Target
    data: Dataset
    threat: Threat
    attacks: tuple[EvasionAttack, ...]
    stamp: Stamp
    seed: int
    level: float
    population: int
    planned: int
    sequential: bool
    gated: bool = False

    @property
    def stated(self) -> float:
        """The level that intervals of shares are written with."""
        return 2 * self.level - 1 if self.gated else self.level

    def provenance(self) -> Provenance:
        """Stamp what the whole cascade measured, with every setting of every attack."""
        rows = [Setting(name="cascade", value=" → ".join(map(title, self.attacks)))]
        for place, attack in enumerate(self.attacks, 1):
            rows.extend(Setting(name=f"{place}.{row.name}", value=row.value) for row in settings_of(attack))
        return self.stamp.of(RECIPE, tuple(rows), self.seed)

    def interval(self, k: int, n: int) -> tuple[Interval, IntervalMethod]:
        """Bound a share: for a size fixed beforehand, or for one that was not."""
        if self.gated:
            return focused_mixture(k, n, self.stated), "beta-mixture-sequence"
        if self.sequential:
            return beta_mixture(k, n, self.level), "beta-mixture-sequence"
        return clopper_pearson(k, n, self.level), "clopper-pearson"

    def share(
        self,
        name: str,
        k: int,
        n: int,
        role: Role,
        note: str = "",
        *,
        provenance: Provenance | None = None,
        radius: float | None = None,
        indicators: tuple[Indicator, ...] = (),
    ) -> Measurement:
        """Write a share of samples under the threat."""
        interval, method = self.interval(k, n)
        ball = self.ball
        return Measurement(
            name=name,
            subject=self.target.spec.name,
            value=interval.value,
            low=interval.low,
            high=interval.high,
            level=self.stated,
            method=method,
            n=n,
            unit="share",
            better="higher",
            provenance=provenance or self.provenance(),
            role=role,
            population=self.population,
            threat=self.threat.name,
            norm=ball.norm if ball else "",
            radius=(ball.radius if radius is None else radius) if ball else None,
            indicators=indicators,
            note=note,
        )

    def figure(
        self, name: str, interval: Interval, method: IntervalMethod, n: int, unit: str, note: str
    ) -> Measurement:
        """Write a diagnostic in its own unit."""
        ball = self.ball
        return Measurement(
            name=name,
            subject=self.target.spec.name,
            value=interval.value,
            low=interval.low,
            high=interval.high,
            level=self.level,
            method=method,
            n=n,
            unit=unit,
            better="higher",
            provenance=self.provenance(),
            role="diagnostic",
            population=self.population,
            threat=self.threat.name,
            norm=ball.norm if ball else "",
            radius=ball.radius if ball else None,
            note=note,
        )

    @property
    def ball(self) -> Ball | None:
        """The ball, where one binds: it has a curve of radii."""
        return self.threat.ball if self.threat.kind == "ball" else None

    def skipped(self, reason: str, kind: str, fix: str = "", part: str = "robust_accuracy") -> Skipped:
        """Write what was not measured under this threat."""
        subject = f"{part} under {self.threat.name}"
        return Skipped(subject=subject, reason=reason, kind=kind, fix=fix, provenance=self.provenance())  # type: ignore[arg-type]


def stages(outcomes: Sequence[Outcome]) -> list[int]:
    """Line up every sample's stage: 0 wrong before any attack, k broken by the k-th attack, -1 robust."""
    return [stage for outcome in outcomes for stage in outcome.stage]


def robust(outcomes: Sequence[Outcome]) -> int:
    """Count the samples no attack broke."""
    return sum(stage < 0 for stage in stages(outcomes))


def measured(
    scope: Scope,
    outcomes: Sequence[Outcome],
    radii: tuple[float, ...],
    indicators: tuple[Indicator, ...],
    remarks: Sequence[str],
    *,
    clean: bool,
) -> Iterator[Measurement]:
    """Yield the headline, clean accuracy where asked for, survivors by stage, the curve and the diagnostics."""
    found = stages(outcomes)
    n = len(found)
    notes = [*_remarks(scope, found), *_claims(scope, outcomes), *remarks, *_distrust(indicators)]
    yield scope.share("robust_accuracy", robust(outcomes), n, "headline", "; ".join(notes), indicators=indicators)
    if clean:
        yield _clean(scope, found)
    for place, attack in enumerate(scope.attacks, 1):
        left = sum(stage < 0 or stage > place for stage in found)
        own = scope.stamp.of(title(attack).partition(" ")[0], settings_of(attack), scope.seed)
        attacked = sum(outcome.attacked[place - 1] for outcome in outcomes)
        note = f"after {title(attack)}, which saw {attacked} samples"
        yield scope.share("robust_accuracy", left, n, "stage", note, provenance=own)
    for place, radius in enumerate(radii):
        k = sum(sum(outcome.curve[place]) for outcome in outcomes if outcome.curve)
        yield scope.share("robust_accuracy", k, n, "curve", radius=radius)
    once = one_search(scope.attacks, scope.threat, radii)
    yield from _costs(scope, outcomes, n, "for all radii" if once else "at the threat's own radius")
    yield from _distance(scope, outcomes, found)


def exhibits(scope: Scope, outcomes: Sequence[Outcome], most: int) -> Iterator[Exhibit]:
    """Yield the examples that were kept, of what a page can show: pictures and rows."""
    kept = [row for outcome in outcomes for row in outcome.exhibits][:most]
    spec, schema = scope.data.spec, scope.data.spec.schema
    layout = spec.shown()
    if layout is None:
        return
    for row in kept:
        yield Exhibit(
            subject=scope.target.spec.name,
            threat=scope.threat.name,
            layout=layout,
            shape=spec.shape,
            bounds=scope.target.spec.bounds,
            clean=scope.data.test.x[row.sample].astype("<f4").tobytes(),
            adversarial=row.adversarial,
            label=_word(scope, int(scope.data.test.y[row.sample])),
            predicted_clean=_word(scope, row.predicted_clean),
            predicted_adversarial=_word(scope, row.predicted_adversarial),
            distance=row.distance,
            norm=unit(scope.threat),
            provenance=scope.provenance(),
            columns=tuple(column.name for column in schema.columns) if schema else (),
        )


def _word(scope: Scope, label: int) -> str:
    names = scope.data.spec.classes or scope.target.spec.labels
    return names[label] if label < len(names) else str(label)


def _remarks(scope: Scope, found: list[int]) -> Iterator[str]:
    n = len(found)
    if n < scope.planned:
        yield f"{n} of {scope.planned} samples were attacked"
    if scope.threat.target_class is not None:
        yield f"only answers of class {_word(scope, scope.threat.target_class)} count as broken"
    if found and all(stage == 0 for stage in found):
        yield "the model is wrong on every clean sample, so there was nothing to attack"


def _claims(scope: Scope, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Set what attacks of other libraries say beside what was found."""
    found = stages(outcomes)
    for place, attack in enumerate(scope.attacks):
        said = [row.claimed[place] for row in outcomes if place < len(row.claimed) and row.claimed[place] >= 0]
        if said:
            confirmed = sum(stage == place + 1 for stage in found)
            yield f"{title(attack)} called {sum(said)} samples broken; put into the set and asked again {confirmed} are"


def _distrust(indicators: tuple[Indicator, ...]) -> Iterator[str]:
    failed = [row for row in indicators if row.passed is False]
    if failed:
        why = "; ".join(f"{row.name}: {row.detail}" for row in failed)
        yield f"an upper bound that should not be trusted, because a self-check failed ({why})"


def _clean(scope: Scope, found: list[int]) -> Measurement:
    plain = scope.share("clean_accuracy", sum(stage != 0 for stage in found), len(found), "headline")
    own = scope.stamp.of("attacks.clean", (), scope.seed)
    return Measurement(
        name=plain.name,
        subject=plain.subject,
        value=plain.value,
        low=plain.low,
        high=plain.high,
        level=plain.level,
        method=plain.method,
        n=plain.n,
        unit=plain.unit,
        better="higher",
        provenance=own,
        population=plain.population,
    )


def _costs(scope: Scope, outcomes: Sequence[Outcome], n: int, what: str) -> Iterator[Measurement]:
    for name in ("queries", "gradients"):
        total = sum(sum(getattr(outcome, name)) for outcome in outcomes)
        each = total / n
        note = f"{total} in all, {what}; a cascade spends none on samples already broken"
        if total or name == "queries":
            yield scope.figure(name, Interval(each, each, each), "exact", n, f"{name} per sample", note)


def _distance(scope: Scope, outcomes: Sequence[Outcome], found: list[int]) -> Iterator[Measurement]:
    """Yield the median distance of the nearest errors found over samples the model gets right, where it is finite."""
    far = [value for outcome in outcomes for value in outcome.distance]
    values = torch.tensor([value if value >= 0 else math.inf for value, stage in zip(far, found, strict=True) if stage])
    if not len(values):
        return
    interval = bootstrap_median(values, stream(scope.seed, "median"), scope.level)
    if math.isfinite(interval.high):
        words = f"{scope.ball.norm} distance" if scope.ball else unit(scope.threat)
        note = "of the nearest error found for each sample the model gets right; the nearest there is may be nearer"
        yield scope.figure("median_distance", interval, "bootstrap", len(values), words, note)
