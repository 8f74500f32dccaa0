"""The examiner of evasion: attacks chunk by chunk, asks the target itself, measures, and says how far to trust it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import torch

from hauberk.attacks.cascade import Lacking, Profile, choose, title
from hauberk.attacks.chunks import Bench, Outcome, examine_chunk, samples_at, stream
from hauberk.attacks.tally import Scope, exhibits, measured, robust
from hauberk.attacks.trials import Trial
from hauberk.attacks.trust import examined
from hauberk.core.encoding import canonical, decode
from hauberk.core.errors import BudgetSpent, DataError, MeasurementError
from hauberk.core.evidence import Checkpoint, Entry
from hauberk.core.progress import Silent
from hauberk.core.protocols import Dataset, EvasionAttack, Progress, Target
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat
from hauberk.numeric.intervals import Interval

States = Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """How hard to look.

    attacks: in the order they are run; empty for the profile's default cascade. samples: at most so many.
    precision: stop when the interval's half-width is at most this. gates: bounds a policy asks of robust accuracy, 0–1;
    stop once the interval leaves each of them on one side. Without either all samples are attacked. level: of the
    intervals.
    chunk: samples attacked at once; what is finished is kept and resumed by it. None: 32 with
    a precision, 16 with gates, else 512.
    curve: more radii. exhibits: examples to keep. checks: make the self-checks. clean: report clean accuracy too.
    """

    attacks: tuple[EvasionAttack, ...] = ()
    profile: Profile = "quick"
    samples: int = 500
    precision: float | None = None
    gates: tuple[float, ...] = ()
    level: float = 0.95
    chunk: int | None = None
    curve: tuple[float, ...] = ()
    exhibits: int = 12
    checks: bool = True
    clean: bool = True

    @property
    def size(self) -> int:
        """Samples of a chunk."""
        return self.chunk or (16 if self.gates else 32 if self.sequential else 512)

    @property
    def sequential(self) -> bool:
        """Whether what is seen decides how many samples are attacked."""
        return self.precision is not None or bool(self.gates)

    def answered(self, interval: Interval) -> bool:
        """Whether the interval says all that was asked."""
        narrow = self.precision is not None and interval.half_width <= self.precision
        clear = bool(self.gates) and all(interval.high < gate or gate <= interval.low for gate in self.gates)
        return narrow or clear


def examine(
    target: Target,
    data: Dataset,
    threat: Threat,
    plan: Plan,
    *,
    stamp: Stamp,
    seed: int = 0,
    progress: Progress | None = None,
    step: str = "",
    resume: States | None = None,
) -> Iterator[Entry]:
    """Measure robust accuracy on test samples in random order; yields Checkpoints as chunks finish, then evidence.

    step: the key of the Checkpoints, a digest of all this depends on. resume: their states by part, from an earlier
    call with the same key; those chunks are not attacked again and the evidence is the same as without a break.
    Ctrl-C inside, or KeyboardInterrupt thrown into the generator, loses the running chunk only: what was measured is
    yielded with a Skipped, then KeyboardInterrupt is raised again. A target that fails ends the examination with a
    Skipped beside what was measured. Raises DataError where data and target do not fit, UsageError for a threat
    without a set to stay in.
    """
    if len(data.test.y) and not (target.spec.classes and target.spec.shape):
        target.predict(torch.from_numpy(np.array(data.test.x[:1], dtype=np.float32)))  # now it knows what it is
    _fit(target, data)
    examination = _Examination(target, data, threat, plan, stamp, seed, step, progress or Silent())
    yield from examination.run(resume or {})


class _Examination:
    """One examination: its constants, and the outcomes that grow."""

    def __init__(
        self,
        target: Target,
        data: Dataset,
        threat: Threat,
        plan: Plan,
        stamp: Stamp,
        seed: int,
        step: str,
        progress: Progress,
    ) -> None:
        self.plan, self.progress, self.step = plan, progress, step
        chosen = choose(target, threat, data.spec.layout, plan.profile, plan.attacks)
        self.lacking = chosen.lacking
        self.order, population = _order(data, threat, plan, seed)
        ball = threat.ball if threat.kind == "ball" else None
        self.radii = tuple(sorted({*plan.curve, ball.radius})) if ball and plan.curve else ()
        self.bench = Bench(target, chosen.attacks, threat, self.radii, seed)
        self.scope = Scope(
            target,
            data,
            threat,
            chosen.attacks,
            stamp,
            seed,
            plan.level,
            population,
            len(self.order),
            plan.sequential,
            bool(plan.gates) and plan.precision is None,
        )
        self.outcomes: list[Outcome] = []

    def run(self, resume: States) -> Iterator[Entry]:
        """Attack, check, and say what came of it, whatever happens on the way."""
        yield from self._lacking(self.lacking)
        if not self.bench.attacks or not len(self.order):
            if not len(self.order):
                yield self.scope.skipped("there is no test sample to attack", "scope", "name labelled test data")
            return
        try:
            yield from self._attack(resume)
            checks = self._checks()
        except KeyboardInterrupt:
            yield from self._broken_off("interrupted by the user", "interrupted", "resume the run")
            raise
        except MeasurementError as error:
            kind = "limit" if isinstance(error, BudgetSpent) else "error"
            place = f"{error.where}: " if error.where else ""
            yield from self._broken_off(f"{place}{error.what}", kind, error.fix)
            return
        yield from self._evidence(self.scope, checks)

    def _attack(self, resume: States) -> Iterator[Entry]:
        parts = torch.split(self.order, self.plan.size)
        with self.progress.step(self.scope.threat.name, len(self.order), "samples") as step:
            for part, index in enumerate(parts):
                outcome = _restored(resume.get(part), index)
                if outcome is None:
                    outcome = self._chunk(part, index)
                    state = canonical(outcome).decode()
                    self.outcomes.append(outcome)
                    yield Checkpoint(step=self.step, part=part, state=state, provenance=self.scope.provenance())
                else:
                    self.outcomes.append(outcome)
                k, n = robust(self.outcomes), sum(len(row.samples) for row in self.outcomes)
                step.advance(len(index), f"robust {k / n:.0%}")
                if self.plan.sequential and self.plan.answered(self.scope.interval(k, n)[0]):
                    return

    def _chunk(self, part: int, index: torch.Tensor) -> Outcome:
        kept = sum(len(outcome.exhibits) for outcome in self.outcomes)
        return examine_chunk(self.bench, samples_at(self.scope.data, index), part, max(0, self.plan.exhibits - kept))

    def _checks(self) -> tuple[Trial, ...]:
        if not self.plan.checks:
            return ()
        deep = self.plan.profile != "quick"
        return examined(self.bench, self.scope, self.outcomes, self.progress, deep=deep)

    def _evidence(self, scope: Scope, trials: Sequence[Trial]) -> Iterator[Entry]:
        if not self.outcomes:
            return
        words = list(dict.fromkeys(fault for outcome in self.outcomes for fault in outcome.faults))
        if not trials:
            words.append("unchecked: the self-checks were not made")
        indicators = tuple(trial.indicator for trial in trials)
        yield from measured(scope, self.outcomes, self.radii, indicators, words, clean=self.plan.clean)
        yield from (row for trial in trials for row in trial.shown)
        yield from exhibits(scope, self.outcomes, self.plan.exhibits)

    def _broken_off(self, reason: str, kind: str, fix: str) -> Iterator[Entry]:
        done = sum(len(outcome.samples) for outcome in self.outcomes)
        left = len(self.order) - done
        # Nobody planned to stop here: only the anytime-valid interval still holds.
        yield from self._evidence(replace(self.scope, sequential=True), ())
        what = f"{left} of {len(self.order)} samples were not attacked" if left else "the self-checks were not made"
        yield self.scope.skipped(f"{what}: {reason}", kind, fix)

    def _lacking(self, rows: Sequence[Lacking]) -> Iterator[Entry]:
        instead = " → ".join(map(title, self.bench.attacks)) or "nothing"
        for row in rows:
            reason = f"{row.name} {row.reason}; {instead} was run"
            yield self.scope.skipped(reason, row.kind, row.fix, part=row.name.partition(" ")[0])


def _fit(target: Target, data: Dataset) -> None:
    """Refuse data the target cannot be asked about; `hauberk.attack` says the same earlier and with more help."""
    spec, test = target.spec, data.test
    if len(test.y) and tuple(test.x.shape[1:]) != tuple(spec.shape):
        raise DataError(f"samples have shape {tuple(test.x.shape[1:])}, {spec.name} takes {tuple(spec.shape)}")
    if len(test.y) and not (spec.bounds[0] <= test.x.min() and test.x.max() <= spec.bounds[1]):
        raise DataError(f"samples run from {test.x.min():g} to {test.x.max():g}, outside the bounds {spec.bounds}")
    if len(test.y) and not 0 <= test.y.min() <= test.y.max() < spec.classes:
        raise DataError(f"labels run from {test.y.min()} to {test.y.max()}, {spec.name} has {spec.classes} classes")


def _order(data: Dataset, threat: Threat, plan: Plan, seed: int) -> tuple[torch.Tensor, int]:
    """Shuffle the samples there is something to do on, cut to the plan's number; also say how many there are."""
    y = torch.from_numpy(np.array(data.test.y, dtype=np.int64))
    # Whoever wants class c has nothing to do on samples of class c.
    rows = torch.arange(len(y)) if threat.target_class is None else (y != threat.target_class).nonzero().squeeze(1)
    mixed = rows[torch.randperm(len(rows), generator=stream(seed, "order"))]
    return mixed[: plan.samples], len(rows)


def _restored(state: str | None, index: torch.Tensor) -> Outcome | None:
    """Read a chunk's outcome back; one that does not belong to these samples is measured again."""
    if state is None:
        return None
    try:
        outcome = decode(state, Outcome)
    except msgspec.DecodeError:
        return None
    return outcome if outcome.samples == tuple(index.tolist()) else None
