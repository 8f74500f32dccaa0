"""Self-checks of a robust accuracy: is the model hard to break, or only hard to attack by the means that were used?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import msgspec
import torch

from hauberk.attacks.allowed import allowed
from hauberk.attacks.cascade import answers, assault, candidates, errs, settled, title
from hauberk.attacks.chunks import Bench, Outcome, differ, samples_at, stream, streams
from hauberk.attacks.control import breakable, train
from hauberk.attacks.second_opinions import DEEP
from hauberk.attacks.tally import Scope
from hauberk.attacks.trials import Check, Ground, Trial, beaten, share, trial, unanswered
from hauberk.core.errors import MeasurementError
from hauberk.core.evidence import Indicator
from hauberk.core.plugins import build
from hauberk.core.protocols import Differentiable, EvasionAttack, Progress, Target, powers
from hauberk.core.threat import Ball, Norm
from hauberk.numeric.losses import Aim

MOST = 64
"""Samples a self-check looks at, at most: together they are to cost a tenth of the attack."""
SATURATED = 80.0
"""A lead of this many nats leaves the other classes a probability near the smallest float32: no slope is left."""
NOISES = 20
SQUARE_QUERIES = 200
NEEDED = {"white-box": 0.95, "score": 0.7, "decision": 0.5, "table": 0.7}
"""Share of provably breakable samples of the control model an attack must break, by what it may use."""


def examined(
    bench: Bench, scope: Scope, outcomes: Sequence[Outcome], progress: Progress, *, deep: bool = False
) -> tuple[Trial, ...]:
    """Make every check that applies; one that cannot be made says so, and does not end the examination.

    deep: make the dear ones too.

    Sources: Carlini et al. 2019, arXiv:1902.06705; Pintor et al. 2022, arXiv:2106.09947; the flags of AutoAttack
    (Croce & Hein 2020, arXiv:2003.01690).
    """
    ground = _ground(bench, scope, outcomes)
    done: list[Trial] = []
    checks = {**CHECKS, **(DEEP if deep else {})}
    with progress.step(f"{scope.threat.name}: self-checks", len(checks), "checks") as step:
        for name, check in checks.items():
            try:
                done.extend(check(ground))
            except MeasurementError as error:
                done.append(unanswered(name, f"could not be made: {error.what}"))
            step.advance()
    return tuple(done)


def _ground(bench: Bench, scope: Scope, outcomes: Sequence[Outcome]) -> Ground:
    pairs = [pair for outcome in outcomes for pair in zip(outcome.samples, outcome.stage, strict=True)]
    most = min(MOST, max(16, len(pairs) // 16))
    chosen = (
        [sample for sample, _ in pairs],
        [sample for sample, stage in pairs if stage != 0],
        [sample for sample, stage in pairs if stage < 0],
    )
    parts = [samples_at(scope.data, torch.tensor(rows[:most], dtype=torch.long)) for rows in chosen]
    return Ground(bench, scope, outcomes, *parts)


def _steady(ground: Ground) -> tuple[Trial, ...]:
    first, second = (answers(ground.bench.target, ground.some.x) for _ in range(2))
    count = int(differ(first, second).sum())
    return trial(STEADY, count == 0, f"{count} of {len(first)} inputs were answered otherwise the second time")


def _batches(ground: Ground) -> tuple[Trial, ...]:
    x, target = ground.some.x[:8], ground.bench.target
    if bool(differ(answers(target, x), answers(target, x)).any()):
        return (unanswered(BATCHES, "cannot be told: the answers change by themselves"),)
    count = int(differ(answers(target, x), answers(target, x, batch=1)).sum())
    count += sum(outcome.flipped for outcome in ground.outcomes)
    asked = len(x) + sum(outcome.again for outcome in ground.outcomes)
    return trial(BATCHES, count == 0, f"{count} of {asked} inputs were answered otherwise when asked alone")


def _stays(ground: Ground) -> tuple[Trial, ...]:
    strays = sum(outcome.strays for outcome in ground.outcomes)
    return trial(STAYS, strays == 0, f"{strays} results lay outside, or were no number, and were put back")


def _saturated(ground: Ground) -> tuple[Trial, ...]:
    target, x = ground.bench.target, ground.right.x
    if not len(x) or ground.bench.threat.knowledge == "decision" or target.spec.answers == "labels":
        return ()
    if target.spec.answers == "probabilities" and ground.gradients is None:
        flat = answers(target, x).amax(1) >= 1.0
    else:
        top = _logits(target, x).topk(2, dim=1).values
        flat = top[:, 0] - top[:, 1] > SATURATED
    return share(SATURATION, flat, 0.1, "inputs get a score so sure that others leave no slope to climb")


def _logits(target: Target, x: torch.Tensor) -> torch.Tensor:
    if not isinstance(target, Differentiable):
        return answers(target, x)
    with torch.no_grad():
        return target.forward(x).float()


def _flat(ground: Ground) -> tuple[Trial, ...]:
    target, (x, y, _) = ground.bench.target, ground.right
    if ground.gradients is None or not len(x) or not isinstance(target, Differentiable):
        return ()
    point = x.clone().requires_grad_(True)
    with torch.enable_grad():
        lead = Aim(y).lead(target.forward(point))
    if not lead.requires_grad:
        return trial(FLAT, False, "the scores do not depend on the input by autograd")
    (gradient,) = torch.autograd.grad(lead.sum(), point)
    size = gradient.flatten(1).abs().amax(1)
    return share(FLAT, ~(size.isfinite() & (size > 0)), 0.05, "gradients are zero or no number")


def _longer(ground: Ground) -> tuple[Trial, ...]:
    """Run the last gradient attack with twice the steps on robust samples: did its loss rise, does it break more?"""
    attack, few = ground.gradients, max(8, len(ground.some.y) // 2)
    x, y = ground.robust.x[:few], ground.robust.y[:few]
    if attack is None or not len(x):
        return ()
    steps = getattr(attack, "steps", None)
    longer: EvasionAttack = replace(cast(Any, attack), steps=2 * steps) if steps else attack
    target, threat = ground.bench.target, ground.bench.threat
    raw = candidates(longer, target, x, y, threat, stream(ground.bench.seed, "longer"))
    found, _ = settled(raw, allowed(threat, x, target.spec.bounds))
    aim = Aim(y)
    moved = (found != x).flatten(1).any(1)
    flat = (aim.lead(_logits(target, found)) <= aim.lead(_logits(target, x)))[moved]
    broken = errs(answers(target, found), y, threat)
    climbs = share(CLIMBS, flat, 0.1, "robust samples saw their loss not rise along the attack")
    if not bool(moved.any()):
        climbs = (unanswered(CLIMBS, "cannot be told: the attack returns the clean input of what it did not break"),)
    if not steps:
        return climbs
    return climbs + beaten(MORE_STEPS, broken, f"robust samples fell to {title(attack)} with twice the steps")


def _unbounded(ground: Ground) -> tuple[Trial, ...]:
    ball, (x, y, _) = ground.scope.ball, ground.right
    if ball is None or not len(x):
        return ()
    radius = _everything(ball.norm, x, ground.bench.target.spec.bounds)
    place = streams(ground.bench.seed, len(ground.bench.attacks), "unbounded")
    done = assault(ground.bench.target, ground.bench.attacks, x, y, ground.bench.threat.radius(radius), place)
    left = done.stage < 0
    allowance = 0.05 if ground.gradients is not None else 0.2
    return share(UNBOUNDED, left, allowance, f"samples are still robust at radius {radius:g}, where all may change")


def _everything(norm: Norm, x: torch.Tensor, bounds: tuple[float, float]) -> float:
    """Return a radius that holds the whole box."""
    width, d = bounds[1] - bounds[0], math.prod(x.shape[1:])
    return {"linf": width, "l2": width * math.sqrt(d), "l1": width * d, "l0": float(d)}[norm]


def _black_box(ground: Ground) -> tuple[Trial, ...]:
    ball, (x, y, _) = ground.scope.ball, ground.robust
    if ground.gradients is None or ball is None or ball.norm not in ("linf", "l2") or not len(x):
        return ()
    attack = cast(EvasionAttack, build("attacks", "evasion.square", {"queries": SQUARE_QUERIES}))
    done = assault(ground.bench.target, (attack,), x, y, ground.bench.threat, streams(ground.bench.seed, 1, "square"))
    return beaten(BLACK_BOX, done.stage > 0, f"robust samples fell to Square with {SQUARE_QUERIES} queries")


def _noise(ground: Ground) -> tuple[Trial, ...]:
    x, y, _ = ground.robust
    if not len(x):
        return ()
    if ground.scope.data.spec.layout == "tokens":
        return (unanswered(NOISE, NAMES),)
    where, rng = allowed(ground.bench.threat, x, ground.bench.target.spec.bounds), stream(ground.bench.seed, "noise")
    broken = torch.zeros(len(x), dtype=torch.bool)
    for _ in range(NOISES):
        broken |= errs(answers(ground.bench.target, where.scatter(rng)), y, ground.bench.threat)
    return share(NOISE, broken, 0.0, f"robust samples fell to {NOISES} draws of random noise")


def _control(ground: Ground) -> tuple[Trial, ...]:
    if ground.scope.data.spec.layout == "tokens":
        return (unanswered(CONTROL, NAMES),)
    control = train(ground.scope.data, ground.bench.target.spec)
    if control is None:
        return (unanswered(CONTROL, "not made: the inputs are too large for one"),)
    x, y, _ = ground.some
    clean = control.predict(x).argmax(1) == y
    x, y = x[clean], y[clean]
    threat = ground.bench.threat
    known = breakable(control, x, y, threat)
    whole = _everything(threat.ball.norm, x, control.spec.bounds) if threat.ball is not None else 0.0
    while ground.scope.ball is not None and threat.ball is not None and 2 * int(known.sum()) < len(x):
        if threat.ball.radius >= whole:
            break
        threat = msgspec.structs.replace(threat, ball=Ball(threat.ball.norm, min(whole, 2 * threat.ball.radius)))
        known = breakable(control, x, y, threat)
    if int(known.sum()) < 4:
        detail = f"not made: only {int(known.sum())} of its samples can be broken within the threat"
        return (unanswered(CONTROL, detail),)
    attacks = tuple(attack for attack in ground.bench.attacks if set(attack.card.needs) <= powers(control))
    if not attacks:
        return (unanswered(CONTROL, "not made: a linear model has no trees to attack"),)
    done = assault(control, attacks, x, y, threat, streams(ground.bench.seed, len(attacks), "control"))
    broken, total = int((done.stage > 0)[known].sum()), int(known.sum())
    need = NEEDED["table" if ground.scope.threat.kind == "constraints" else _route(ground)]
    at = f" at radius {threat.ball.radius:g}" if ground.scope.ball is not None and threat.ball is not None else ""
    detail = f"{broken} of {total} samples that are known to be breakable{at} were broken"
    scope = replace(ground.scope, target=control, sequential=False, gated=False)
    robust = int((done.stage < 0).sum())
    note = f"the same attacks on a linear model trained on this data; {detail}"
    figure = scope.share(
        "robust_accuracy",
        robust,
        len(ground.some.y),
        "control",
        note,
        radius=threat.ball.radius if ground.scope.ball is not None and threat.ball is not None else None,
    )
    return (Trial(Indicator(name=CONTROL, passed=broken >= need * total, detail=detail), (figure,)),)


def _route(ground: Ground) -> str:
    if ground.gradients is not None:
        return "white-box"
    scores = any("scores" in attack.card.needs for attack in ground.bench.attacks)
    return "score" if scores else "decision"


NAMES = "not made: ids of tokens are names, not numbers"
STEADY = "the model answers the same twice"
BATCHES = "an answer does not depend on the batch"
STAYS = "the attacks stay in the threat's set"
SATURATION = "scores are not saturated"
FLAT = "gradients are there"
CLIMBS = "the attack climbs"
MORE_STEPS = "more steps change nothing"
UNBOUNDED = "without a bound nothing is robust"
BLACK_BOX = "no black-box attack does better"
NOISE = "random noise does no better"
CONTROL = "the attack breaks a weak control model"
CHECKS: dict[str, Check] = {
    STEADY: _steady,
    BATCHES: _batches,
    STAYS: _stays,
    SATURATION: _saturated,
    FLAT: _flat,
    CLIMBS: _longer,
    UNBOUNDED: _unbounded,
    BLACK_BOX: _black_box,
    NOISE: _noise,
    CONTROL: _control,
}
