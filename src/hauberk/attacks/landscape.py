"""A slice of the loss landscape: the margin on the way to the attack's end, and in a random direction as far."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import torch

from hauberk.attacks.allowed import allowed
from hauberk.attacks.cascade import answers, candidates, settled
from hauberk.attacks.chunks import stream
from hauberk.attacks.trials import Ground, Trial
from hauberk.core.evidence import Indicator, Measurement
from hauberk.core.protocols import Differentiable, EvasionAttack
from hauberk.numeric.balls import size
from hauberk.numeric.intervals import bootstrap_median
from hauberk.numeric.losses import lead

Tensor = torch.Tensor

SLICE = "the attack ends where its own way is lowest"
SHARES = tuple(step / 8 for step in range(13))
"""Places on the way: 0 is the clean input, 1 the attack's end; half as far again shows what comes after it."""
SAMPLES = 32
PASSED_BY = 0.05
"""An attack that went past a point lower than its end, by more than this share of its descent, has not settled."""


def sliced(ground: Ground) -> tuple[Trial, ...]:
    """Measure the median margin along both ways, and tell whether the attack went past a lower point than its end.

    The slice of Pintor et al. 2022, arXiv:2106.09947, section 3. Beyond the end it leaves the ball, never the bounds.
    """
    target, (x, y, _) = ground.bench.target, ground.right
    attack, x, y = ground.gradients, x[:SAMPLES], y[:SAMPLES]
    if attack is None or ground.scope.ball is None or not len(x) or not isinstance(target, Differentiable):
        return ()
    end = _end(ground, attack, x, y)
    rng = stream(ground.bench.seed, "slice")
    noise = torch.randn(x.shape, generator=rng)
    far = size(end - x, "l2") / size(noise, "l2").clamp(min=1e-12)
    noise = noise * far.reshape(-1, *[1] * (x.ndim - 1))
    ways = {"margin_towards_attack": end - x, "margin_towards_noise": noise}
    margins = {name: _margins(ground, x, y, move) for name, move in ways.items()}
    shown = [
        _figure(ground, name, share, column)
        for name, rows in margins.items()
        for share, column in zip(SHARES, rows.unbind(1), strict=True)
    ]
    found = margins["margin_towards_attack"]
    last = SHARES.index(1.0)
    descent = (found[:, 0] - found[:, last]).clamp(min=0)
    bad = found[:, 1:last].amin(1) < found[:, last] - PASSED_BY * descent - 1e-6
    detail = f"{int(bad.sum())} of {len(bad)} attacked samples went past a lower margin than they ended with"
    passed = int(bad.sum()) <= 0.1 * len(bad)
    return (Trial(Indicator(name=SLICE, passed=passed, detail=detail), tuple(shown)),)


def _end(ground: Ground, attack: EvasionAttack, x: Tensor, y: Tensor) -> Tensor:
    """Let the attack go on after a break, so that its end is where it found the margin lowest."""
    driving = getattr(attack, "driving", None)
    if driving is not None:
        attack = replace(cast(Any, attack), driving=replace(driving, early_stop=False))
    target, threat = ground.bench.target, ground.bench.threat
    raw = candidates(attack, target, x, y, threat, stream(ground.bench.seed, "slice end"))
    return settled(raw, allowed(threat, x, target.spec.bounds))[0]


def _margins(ground: Ground, x: Tensor, y: Tensor, move: Tensor) -> Tensor:
    """Return by how many logits the right class leads (n, places)."""
    target = ground.bench.target
    assert isinstance(target, Differentiable)
    low, high = target.spec.bounds
    rows = []
    for share in SHARES:
        point = (x + share * move).clamp(low, high)
        with torch.no_grad():
            logits = target.forward(point).float() if target.spec.answers != "logits" else answers(target, point)
        rows.append(-lead(logits, y))
    return torch.stack(rows, 1)


def _figure(ground: Ground, name: str, share: float, margins: Tensor) -> Measurement:
    scope = ground.scope
    interval = bootstrap_median(margins, stream(scope.seed, "slice", name, f"{share}"), scope.level)
    return Measurement(
        name=name,
        subject=scope.target.spec.name,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        level=scope.level,
        method="bootstrap",
        n=len(margins),
        unit="logits",
        better="higher",
        provenance=scope.provenance(),
        role="curve",
        population=scope.population,
        threat=scope.threat.name,
        along="share of the way",
        at=share,
        note="median lead of the right class; an honest slope falls all the way to the attack's end",
    )
