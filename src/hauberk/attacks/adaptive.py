"""The examiner of defenses at inference time: attacked in four ways, never reported without the adaptive one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import msgspec
import numpy as np
import torch

from hauberk.attacks.adaptive_columns import JUDGED, Column, Tried, columns, tried, wrong
from hauberk.attacks.cascade import Profile, title
from hauberk.attacks.chunks import Bench, Outcome, Samples, samples_at, stream
from hauberk.attacks.tally import Scope
from hauberk.attacks.trials import Trial, beaten
from hauberk.attacks.trust import examined
from hauberk.core.defending import Defended
from hauberk.core.errors import MeasurementError, MissingPower
from hauberk.core.evidence import Entry, Indicator, Measurement, Role
from hauberk.core.progress import Silent
from hauberk.core.protocols import Dataset, EvasionAttack, Progress
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat

Found = Mapping[str, Tried]

ADAPTIVE = "an attack that knows the defense does no better"
STRONGEST = "no other attack does better than the adaptive one"


def examine_adaptive(
    target: Defended,
    data: Dataset,
    threat: Threat,
    *,
    stamp: Stamp,
    seed: int = 0,
    samples: int = 500,
    profile: Profile = "quick",
    attacks: tuple[EvasionAttack, ...] = (),
    clean: bool = True,
    checks: bool = True,
    level: float = 0.95,
    progress: Progress | None = None,
) -> Iterator[Entry]:
    """Measure robust accuracy of a defended target under the worst of four attacks, sample by sample.

    Yields robust_accuracy, which counts a sample robust only if no way broke it, and as diagnostics
    robust_accuracy_non_adaptive (gradients as the defense shows them), …_transfer (what breaks the model behind it),
    …_adaptive (BPDA, and EoT where it answers at random) and …_black_box (scores alone). The non-adaptive one carries
    the self-checks that tell of hidden gradients. A target that cannot be attacked adaptively is Skipped and nothing
    is reported: its other figures say nothing of how robust it is (Tramèr et al. 2020, arXiv:2002.08347).

    attacks: with gradients, instead of the profile's. The samples are the first in the order of the seed, as
    everywhere. Raises UsageError for a threat without a set to stay in.
    """
    index, population = _order(data, threat, samples, seed)
    if len(index) and not target.spec.classes:
        target.predict(torch.from_numpy(np.array(data.test.x[:1], dtype=np.float32)))
    scope = Scope(target, data, threat, (), stamp, seed, level, population, len(index), False)
    try:
        ways = columns(target, threat, data.spec.layout, profile, attacks)
        if not len(index):
            yield scope.skipped("there is no test sample to attack", "scope", "name labelled test data")
        elif not any(way.way == "adaptive" for way in ways):
            yield _refused(scope)
        else:
            yield from _evidence(target, scope, ways, samples_at(data, index), clean, checks, progress or Silent())
    except MeasurementError as error:
        place = f"{error.where}: " if error.where else ""
        kind = "power" if isinstance(error, MissingPower) else "error"
        yield scope.skipped(f"{place}{error.what}", kind, error.fix)


def _refused(scope: Scope) -> Entry:
    reason = (
        "no attack that knows the defense can be made, since it shows no gradient under this threat; a robust accuracy "
        "under other attacks alone is not reported"
    )
    return scope.skipped(reason, "power", "defend a target with gradients, under a threat they are used in")


def _evidence(
    target: Defended,
    scope: Scope,
    ways: tuple[Column, ...],
    samples: Samples,
    clean: bool,
    checks: bool,
    progress: Progress,
) -> Iterator[Entry]:
    before = wrong(target, samples.x, samples.y, scope.threat)
    right = (~before).nonzero().squeeze(1)
    found: dict[str, Tried] = {}
    with progress.step(f"{scope.threat.name}: adaptive attacks", len(ways), "attacks") as step:
        for way in ways:
            try:
                found[way.way] = tried(way, target, samples.x[right], samples.y[right], scope.seed)
            except MissingPower:  # a defense may cut its own gradient; the others tell what it is worth
                if way.way != "non-adaptive":
                    raise
                continue
            step.advance(note=f"{way.way} {_robust(found[way.way]) / max(1, len(samples.y)):.0%}")
    ways = tuple(way for way in ways if way.way in found)
    yield _headline(target, scope, ways, found, len(samples.y))
    if clean:
        plain = scope.share("clean_accuracy", len(right), len(samples.y), "headline")
        own = scope.stamp.of("attacks.clean", (), scope.seed)
        yield msgspec.structs.replace(plain, provenance=own, threat="", norm="", radius=None)
    for way in ways:
        trials: tuple[Trial, ...] = ()
        if way.way == "non-adaptive" and checks:
            trials = _checked(way, scope, samples, before, found[way.way], progress)
        marks = tuple(trial.indicator for trial in trials)
        if way.way == "non-adaptive":
            marks = (*marks, _knowing(found))
        yield _share(scope, way, found[way.way], len(samples.y), "diagnostic", marks)
        yield from (row for trial in trials for row in trial.shown)


def _headline(target: Defended, scope: Scope, ways: tuple[Column, ...], found: Found, n: int) -> Measurement:
    """Count the samples no way broke, and say what each left."""
    worst = torch.stack([row.broken for row in found.values()]).any(0)
    figures = ", ".join(f"{name} {_robust(row) / n:.3f}" for name, row in found.items())
    lowest = min(found, key=lambda name: _robust(found[name]))
    notes = [f"robust under every one of these attacks: {figures}; the lowest alone is {lowest}"]
    if target.draws > 1:
        notes.append(f"it answers at random: a sample counts as broken where most of {JUDGED} answers err")
    rivals = torch.stack([row.broken for name, row in found.items() if name != "adaptive"] or [worst & False]).any(0)
    (strongest,) = beaten(
        STRONGEST, rivals & ~found["adaptive"].broken, "samples fell to another attack and not to the adaptive one"
    )
    every = tuple(attack for way in ways for attack in way.attacks)
    return replace(scope, attacks=every).share(
        "robust_accuracy", int((~worst).sum()), n, "headline", "; ".join(notes), indicators=(strongest.indicator,)
    )


def _share(scope: Scope, way: Column, row: Tried, n: int, role: Role, indicators: tuple[Indicator, ...]) -> Measurement:
    name = f"robust_accuracy_{way.way.replace('-', '_')}"
    note = f"diagnostic, not to be quoted alone: {' → '.join(map(title, way.attacks))} on {_seen(way)}"
    return scope.share(name, _robust(row), n, role, note, indicators=indicators)


def _seen(way: Column) -> str:
    return {
        "non-adaptive": "the defense as it shows itself",
        "transfer": "the model behind the defense, the result tried on the defense",
        "adaptive": "the defense with stand-ins' gradients",
        "black-box": "its scores",
    }[way.way]


def _knowing(found: Found) -> Indicator:
    """Say whether the plain attack was misled: whether one that knows the defense breaks what it could not."""
    beyond = found["adaptive"].broken & ~found["non-adaptive"].broken
    what = "samples fell to BPDA and EoT and not to plain gradients"
    (made,) = beaten(ADAPTIVE, beyond, what)
    return made.indicator


def _checked(
    way: Column, scope: Scope, samples: Samples, before: torch.Tensor, row: Tried, progress: Progress
) -> tuple[Trial, ...]:
    """Make the evasion examiner's self-checks of the non-adaptive attack."""
    stage = torch.zeros(len(before), dtype=torch.long).index_copy(0, (~before).nonzero().squeeze(1), row.stage)
    outcome = Outcome(
        samples=tuple(samples.rows.tolist()),
        stage=tuple(stage.tolist()),
        distance=(-1.0,) * len(before),
        curve=(),
        attacked=row.attacked,
        queries=row.queries,
        gradients=row.gradients,
        strays=row.strays,
    )
    bench = Bench(way.searched, way.attacks, scope.threat, (), scope.seed)
    return examined(bench, replace(scope, attacks=way.attacks), [outcome], progress)


def _robust(row: Tried) -> int:
    return int((~row.broken).sum())


def _order(data: Dataset, threat: Threat, samples: int, seed: int) -> tuple[torch.Tensor, int]:
    """Take the first samples in the order of the attacks' examiner; also say how many there are."""
    y = torch.from_numpy(np.array(data.test.y, dtype=np.int64))
    rows = torch.arange(len(y)) if threat.target_class is None else (y != threat.target_class).nonzero().squeeze(1)
    return rows[torch.randperm(len(rows), generator=stream(seed, "order"))][:samples], len(rows)
