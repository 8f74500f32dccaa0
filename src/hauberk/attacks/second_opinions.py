"""Self-checks that attack once more by other means, another step size or a stolen copy: do they beat the cascade?"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch

from hauberk.attacks.allowed import allowed
from hauberk.attacks.cascade import answers, assault, errs, settled
from hauberk.attacks.chunks import stream, streams
from hauberk.attacks.landscape import SLICE, sliced
from hauberk.attacks.trials import Check, Ground, Trial, beaten, unanswered
from hauberk.core.errors import HauberkError
from hauberk.core.plugins import build
from hauberk.core.protocols import Differentiable, EvasionAttack, ExtractionAttack
from hauberk.core.threat import Threat

PACES = "another step size changes nothing"
TRANSFER = "what breaks a copy does not break the model"
STEP_SIZES = (0.0125, 0.5)
"""Shares of the radius: an eighth of PGD's usual step, for a rugged loss, and half the ball, which leaps over it."""
STEPS = 80
ASKED, TRAINED = 512, 200
"""Answers a copy is trained on, and steps of its training: enough to agree on most clean inputs, in a second or so."""


def paces(ground: Ground) -> tuple[Trial, ...]:
    """Walk again with far smaller and far larger steps from a random start (Carlini et al. 2019, section 4.3)."""
    norms = ("linf", "l2", "l1")
    ball, (x, y, _) = ground.scope.ball, ground.robust
    if ground.gradients is None or ball is None or ball.norm not in norms or not len(x):
        return ()
    walks = tuple(
        cast(EvasionAttack, build("attacks", "evasion.pgd", {"steps": STEPS, "pace": pace, "loss": "margin"}))
        for pace in STEP_SIZES
    )
    done = assault(ground.bench.target, walks, x, y, ground.bench.threat, streams(ground.bench.seed, 2, "paces"))
    sizes = " and ".join(f"{size:g}" for size in STEP_SIZES)
    return beaten(PACES, done.stage > 0, f"robust samples fell to PGD with steps of {sizes} radii")


def transfer(ground: Ground) -> tuple[Trial, ...]:
    """Attack a copy of the model, trained on its answers, and try what breaks it on the model.

    A white-box attack that a transferred one beats has not optimised (Pintor et al. 2022, indicator "transfer failure";
    Athalye et al. 2018, arXiv:1802.00420, section 3.1).
    """
    scope, (x, y, _) = ground.scope, ground.robust
    if ground.gradients is None or scope.ball is None or scope.ball.norm not in ("linf", "l2") or not len(x):
        return ()
    train = scope.data.train if len(scope.data.train.y) else scope.data.test
    pool = torch.from_numpy(np.array(train.x[: 4 * ASKED], dtype=np.float32))
    threat = Threat(name="copy", family="extraction", knowledge="score", queries=ASKED)
    thief = cast(ExtractionAttack, build("attacks", "extraction.knockoff", {"steps": TRAINED}))
    try:
        copy = thief.steal(ground.bench.target, pool, threat, stream(ground.bench.seed, "copy"))
    except HauberkError as error:
        return (unanswered(TRANSFER, f"no copy could be trained: {error.what}"),)
    if not isinstance(copy, Differentiable):
        return (unanswered(TRANSFER, "the copy gives no gradients"),)
    carrier = cast(
        EvasionAttack,
        build("attacks", "evasion.apgd", {"loss": "margin", "steps": 50, "driving.early_stop": False}),
    )
    moved = carrier.run(copy, x, y, ground.bench.threat, stream(ground.bench.seed, "carried"))
    where = allowed(ground.bench.threat, x, ground.bench.target.spec.bounds)
    broken = errs(answers(ground.bench.target, settled(moved, where)[0]), y, ground.bench.threat)
    agreed = float((copy.predict(pool).argmax(1) == ground.bench.target.predict(pool).argmax(1)).float().mean())
    what = f"robust samples fell to points made on a copy (trained on {ASKED} answers, agrees on {agreed:.0%})"
    return beaten(TRANSFER, broken, what)


DEEP: dict[str, Check] = {PACES: paces, TRANSFER: transfer, SLICE: sliced}
"""Made in the standard and the full profile: together they cost more than a quick attack."""
