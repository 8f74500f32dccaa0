"""The examiner of evasion: attacks chunk by chunk, asks the target itself, measures, and says how far to trust it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TypeAlias

import msgspec
import numpy as np
import torch

from hauberk.attacks.cascade import Lacking, Profile, choose, title
from hauberk.attacks.chunks import Bench, Outcome, examine_chunk, samples_at, stream
from hauberk.attacks.tally import Scope, exhibits, measured, robust
from hauberk.attacks.trials import Trial
from hauberk.attacks.trust import examined
from hauberk.core.encoding import canonical, decode
from hauberk.core.errors import BudgetSpent, DataError, HauberkError, MeasurementError
from hauberk.core.evidence import Checkpoint, Entry
from hauberk.core.executing import Done
from hauberk.core.progress import Silent
from hauberk.core.protocols import Dataset, EvasionAttack, Progress, Target
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat
from hauberk.numeric.intervals import Interval

States = Mapping[int, str]
Chunks: TypeAlias = Callable[[Sequence[int]], Iterator[Done]]
"""Parts → their outcomes as canonical JSON, in any order: chunks that are attacked elsewhere."""


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
    elsewhere: Chunks | None = None,
) -> Iterator[Entry]:
    """Measure robust accuracy on test samples in random order; yields Checkpoints as chunks finish, then evidence.

    step: the key of the Checkpoints, a digest of all this depends on. resume: their states by part, from an earlier
    call with the same key; those chunks are not attacked again and the evidence is the same as without a break.
    elsewhere: attacks chunks by `outcome_of` with the same arguments, several at once; Checkpoints come as they finish,
    but they are counted in the order of their parts, so that the evidence is the same too.
    Ctrl-C inside, or KeyboardInterrupt thrown into the generator, loses the running chunk only: what was measured is
    yielded with a Skipped, then KeyboardInterrupt is raised again. A target that fails ends the examination with a
    Skipped beside what was measured. Raises DataError where data and target do not fit, UsageError for a threat
    without a set to stay in.
    """
    _fit(target, data)
    examination = _Examination(target, data, threat, plan, stamp, seed, step, progress or Silent(), elsewhere)
    yield from examination.run(resume or {})


def outcome_of(target: Target, data: Dataset, threat: Threat, plan: Plan, seed: int) -> Callable[[int], Outcome]:
    """Return what attacks one chunk, by its part: the same outcome as in `examine`, wherever and in whatever order."""
    _fit(target, data)
    chosen = choose(target, threat, data.spec.layout, plan.profile, plan.attacks)
    parts = torch.split(_order(data, threat, plan, seed)[0], plan.size)
    bench = Bench(target, chosen.attacks, threat, _radii(threat, plan), seed)
    return lambda part: examine_chunk(bench, samples_at(data, parts[part]), part, plan.exhibits)


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
        elsewhere: Chunks | None,
    ) -> None:
        self.plan, self.progress, self.step, self.elsewhere = plan, progress, step, elsewhere
        chosen = choose(target, threat, data.spec.layout, plan.profile, plan.attacks)
        self.lacking = chosen.lacking
        self.order, population = _order(data, threat, plan, seed)
        self.radii = _radii(threat, plan)
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
        restored = {part: _restored(resume.get(part), index) for part, index in enumerate(parts)}
        known: dict[int, Outcome | HauberkError] = {part: row for part, row in restored.items() if row is not None}
        with (
            closing(self._made([part for part in restored if part not in known], parts)) as made,
            self.progress.step(self.scope.threat.name, len(self.order), "samples") as step,
        ):
            for part, index in enumerate(parts):
                while part not in known:
                    arrived, found = next(made)
                    known[arrived] = self._trimmed(found)
                    if arrived == part:
                        self._count(known[part])
                    yield from self._acknowledged(arrived, known[arrived])
                if len(self.outcomes) == part:
                    self._count(known[part])
                k, n = robust(self.outcomes), sum(len(row.samples) for row in self.outcomes)
                step.advance(len(index), f"robust {k / n:.0%}")
                if self.plan.sequential and self.plan.answered(self.scope.interval(k, n)[0]):
                    return

    def _made(
        self, missing: Sequence[int], parts: Sequence[torch.Tensor]
    ) -> Generator[tuple[int, Outcome | HauberkError]]:
        """Attack chunks, here one after the other, or elsewhere: then as they finish."""
        if self.elsewhere is None:
            for part in missing:
                samples = samples_at(self.scope.data, parts[part])
                yield part, examine_chunk(self.bench, samples, part, self._room())
            return
        answers = self.elsewhere(missing)
        try:
            for done in answers:
                yield done.part, done.fault.error() if done.fault else self._read(done, parts[done.part])
        finally:
            if isinstance(answers, Generator):
                answers.close()

    def _read(self, done: Done, index: torch.Tensor) -> Outcome | HauberkError:
        where = self.scope.threat.name
        strange = MeasurementError(f"chunk {done.part} came back with an outcome of other samples", where=where)
        return _restored(done.state, index) or strange

    def _room(self) -> int:
        """Say how many more examples are wanted."""
        return max(0, self.plan.exhibits - sum(len(outcome.exhibits) for outcome in self.outcomes))

    def _trimmed(self, found: Outcome | HauberkError) -> Outcome | HauberkError:
        """Leave away examples nobody will look at."""
        if isinstance(found, HauberkError) or len(found.exhibits) <= self._room():
            return found
        return msgspec.structs.replace(found, exhibits=found.exhibits[: self._room()])

    def _count(self, found: Outcome | HauberkError) -> None:
        """Take the next chunk's outcome, or raise what its attack ended with."""
        if isinstance(found, HauberkError):
            raise found
        self.outcomes.append(found)

    def _acknowledged(self, part: int, found: Outcome | HauberkError) -> Iterator[Entry]:
        if not isinstance(found, HauberkError):
            state = canonical(found).decode()
            yield Checkpoint(step=self.step, part=part, state=state, provenance=self.scope.provenance())

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


def _radii(threat: Threat, plan: Plan) -> tuple[float, ...]:
    """Return the curve's radii and the threat's own, from small to large; none without a curve."""
    ball = threat.ball if threat.kind == "ball" else None
    return tuple(sorted({*plan.curve, ball.radius})) if ball and plan.curve else ()


def _fit(target: Target, data: Dataset) -> None:
    """Refuse data the target cannot be asked about; `hauberk.attack` says the same earlier and with more help."""
    if len(data.test.y) and not (target.spec.classes and target.spec.shape):
        target.predict(torch.from_numpy(np.array(data.test.x[:1], dtype=np.float32)))  # now it knows what it is
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
