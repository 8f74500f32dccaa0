"""The examiner of detectors: how many attacks are noticed at few false alarms, by one who attacks the detector too."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import NamedTuple

import torch

from hauberk.attacks.adaptive_detection import evade
from hauberk.attacks.allowed import allowed
from hauberk.attacks.cascade import settled
from hauberk.attacks.recording import Recorder, Samples, decisions, generator, guarded, samples
from hauberk.core.defending import Defended, Detection, Detector
from hauberk.core.errors import MissingPower
from hauberk.core.evidence import Entry, Indicator, Role
from hauberk.core.progress import Silent
from hauberk.core.protocols import Dataset, Differentiable, EvasionAttack, Progress, Target
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat
from hauberk.numeric.balls import region
from hauberk.numeric.roc import area, curve, true_positives

RATES = ((0.05, "detection_tpr_at_5pct_fpr"), (0.01, "detection_tpr_at_1pct_fpr"))
FEWEST = 10
"""Errors below which a share of them noticed says nothing."""
WORSE = "the attack on the detector does no better than a plain one"


class _Trial(NamedTuple):
    """Scores of clean samples (n,), of errors a plain attack made (m,), and of errors made unseen (k,)."""

    clean: torch.Tensor
    plain: torch.Tensor
    adaptive: torch.Tensor
    attacked: int


def examine_detection(
    target: Target,
    data: Dataset,
    detection: Detection,
    attack: EvasionAttack,
    threat: Threat,
    *,
    stamp: Stamp,
    seed: int = 0,
    progress: Progress | None = None,
    level: float = 0.95,
    most: int = 500,
    steps: int = 100,
) -> Iterator[Entry]:
    """Fit the detector on the training split, attack the test split, and measure what is noticed.

    Clean samples are test samples that are answered right; attacked ones are the errors made of them. The headlines
    detection_auc and detection_tpr_at_5pct_fpr / …_1pct_fpr are of the adaptive attack, which descends the detector's
    score while it errs (`attacks.adaptive_detection`); undetected_error is the share of samples it brings past model
    and detector at 5 % false alarms. The same of the plain attack are diagnostics named …_plain. Where the adaptive
    attack cannot be made all is refused: a Skipped says why, and no figure is given.
    """
    recipe = type(detection).__module__.partition("hauberk.defenses.")[2] or type(detection).__qualname__
    to = Recorder(recipe, target.spec.name, threat, stamp, seed, detection, level, "higher")
    yield from guarded(_examine(target, data, detection, attack, most, steps, to, progress or Silent()), to)


def _examine(
    target: Target,
    data: Dataset,
    detection: Detection,
    attack: EvasionAttack,
    most: int,
    steps: int,
    to: Recorder,
    progress: Progress,
) -> Generator[Entry, None, None]:
    seen = target.adaptive() if isinstance(target, Defended) else target
    if not isinstance(seen, Differentiable):
        raise MissingPower(
            f"{target.spec.name} gives no gradients, so that no attack on the detector can be made; figures of a plain "
            "attack alone are not reported",
            fix="reach the model in a way that gives gradients",
        )
    if to.threat.kind != "ball" or to.threat.ball is None or not len(data.test.y):
        reason = "there is no test sample" if to.threat.ball is not None else "a detector is attacked within a ball"
        yield to.skipped(reason, fix="give test data, and a threat with norm and radius")
        return
    fitted = detection.fit(target, data.train, to.threat, generator(to.seed, 1), attack=attack, progress=progress)
    with progress.step(f"{to.threat.name}: {to.recipe}", 2, "attacks") as step:
        trial = _tried(target, seen, fitted, attack, samples(data.test), most, steps, to)
        step.advance(2)
    if min(len(trial.plain), len(trial.adaptive)) < FEWEST:
        reason = f"only {len(trial.adaptive)} of {trial.attacked} samples became errors: nothing to be noticed"
        yield to.skipped(reason, fix="give a larger radius or more samples")
        return
    yield from _figures(trial, trial.adaptive, "", "headline", to)
    yield _undetected(trial, to)
    yield from _figures(trial, trial.plain, "_plain", "diagnostic", to)
    yield from _curve(trial, to)


def _tried(
    target: Target,
    seen: Differentiable,
    fitted: Detector,
    attack: EvasionAttack,
    test: Samples,
    most: int,
    steps: int,
    to: Recorder,
) -> _Trial:
    order = torch.randperm(len(test.y), generator=generator(to.seed, 2))[: 2 * most]
    chosen = test.take(order)
    right = decisions(target, chosen.x) == chosen.y
    chosen = chosen.take(right.nonzero().squeeze(1)[:most])
    x, y = chosen
    plain = _settled(attack.run(seen, x, y, to.threat, generator(to.seed, 3)), x, target, to.threat)
    assert to.threat.ball is not None
    where = region(to.threat.ball, x, target.spec.bounds)
    starts = (plain, where.scatter(generator(to.seed, 4)), plain)
    unseen = evade(seen, fitted, where, y, starts, steps=steps)
    found = _settled(unseen.x, x, target, to.threat)
    errs = [decisions(target, points) != y for points in (plain, found)]
    scores = [fitted.score(points) for points in (plain, found)]
    # Whoever attacks the detector takes the better of both: what the plain attack made, where that is less suspicious.
    use = errs[0] & (~errs[1] | (scores[0] < scores[1]))
    adaptive = torch.where(use, scores[0], scores[1])[errs[0] | errs[1]]
    return _Trial(fitted.score(x), scores[0][errs[0]], adaptive, len(y))


def _settled(raw: torch.Tensor, x: torch.Tensor, target: Target, threat: Threat) -> torch.Tensor:
    return settled(raw, allowed(threat, x, target.spec.bounds))[0]


def _figures(trial: _Trial, positive: torch.Tensor, suffix: str, role: Role, to: Recorder) -> Iterator[Entry]:
    n = len(positive) + len(trial.clean)
    words = "the attack on model and detector" if not suffix else "an attack that knows nothing of the detector"
    note = f"{len(positive)} errors made by {words}, {len(trial.clean)} clean samples"
    marks = (_gap(trial, to),) if suffix else ()
    found = area(positive, trial.clean, to.level)
    yield to.figure(f"detection_auc{suffix}", found, n, "delong", role=role, unit="area", indicators=marks, note=note)
    for fpr, name in RATES:
        if len(trial.clean) * fpr < 1:
            reason = f"{len(trial.clean)} clean samples cannot show a false positive rate of {fpr:.0%}"
            yield to.skipped(reason, fix=f"give {round(1 / fpr)} clean test samples", part=f"{name}{suffix}")
            continue
        rate = true_positives(positive, trial.clean, fpr, to.level)
        yield to.figure(f"{name}{suffix}", rate.interval, n, "clopper-pearson", role=role, note=note)


def _gap(trial: _Trial, to: Recorder) -> Indicator:
    """Say whether attacking the detector paid: a detector nobody attacked looks better than it is."""
    plain, adaptive = area(trial.plain, trial.clean, to.level), area(trial.adaptive, trial.clean, to.level)
    detail = f"area {adaptive.value:.3f} under the attack on it, {plain.value:.3f} under a plain one"
    return Indicator(name=WORSE, passed=adaptive.value > plain.value - 0.05, detail=detail)


def _undetected(trial: _Trial, to: Recorder) -> Entry:
    """Share of attacked samples that pass model and detector; the threshold comes from one half of the clean ones."""
    half = trial.clean[: len(trial.clean) // 2]
    threshold = float(half.quantile(0.95)) if len(half) else float("inf")
    passed = torch.zeros(trial.attacked, dtype=torch.bool)
    passed[: int((trial.adaptive <= threshold).sum())] = True
    alarms = float((trial.clean[len(half) :] > threshold).double().mean())
    note = f"at a threshold that raises an alarm on 5 % of one half of the clean samples, {alarms:.1%} of the other"
    return to.where("lower").share("undetected_error", passed, note=note)


def _curve(trial: _Trial, to: Recorder) -> Iterator[Entry]:
    line, n = curve(trial.adaptive, trial.clean), len(trial.adaptive)
    for fpr in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5):
        if len(trial.clean) * fpr >= 1:
            hits = round(float(line.tpr[line.fpr <= fpr + 1e-12].max()) * n)
            caught = torch.arange(n) < hits
            yield to.share("detection_tpr", caught, role="curve", along="false positive rate", at=fpr)
