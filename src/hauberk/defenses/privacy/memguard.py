"""MemGuard: answers moved, within what a user tolerates, to where a membership classifier can only guess."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.plain_training import Course, fit
from hauberk.defenses.transforming import Transformation, transformed

LEAST_ROWS = 40


@dataclass(frozen=True, slots=True)
class MemGuard:
    """Train a membership classifier of the defender's own and move each answer to where it says one half.

    Jia et al. 2019, arXiv:1909.10594: the class stays the same; the answer is moved towards that of the least memorised
    look-alike until the defender's classifier is at 0.5, at most by `distortion` in L1 on average.
    The classifier needs rows that were not trained on: `others` of the split, which the model must not have seen; where
    it has seen all of them the classifier finds nothing and the defense does little, which the measurement shows.
    Falls to attacks that do not read scores (label-only), and to reference-model attacks that read the label's loss: a
    defense of this kind moves what is read, not what was learned (Song & Mittal 2021, arXiv:2003.10595).

    others: share of the split that the model has not seen, at its end. distortion: largest L1 distance of an answer
    from the true one.
    """

    card: ClassVar[Card] = Card(
        title="MemGuard",
        summary="Moves answers so that a membership classifier only guesses; the class stays. A mask, not a cure.",
        paper="Jia et al. 2019, arXiv:1909.10594",
        needs=("scores",),
        inputs=("chw", "row", "wave", "frames", "tokens"),
        threats=("AML.T0024.000", "OWASP-ML04"),
        extra="models",
    )

    others: float = 0.5
    distortion: float = 1.0
    epochs: int = 60

    def apply(
        self,
        target: Target,
        data: Split,
        threat: Threat,  # noqa: ARG002
        rng: torch.Generator,
        *,
        attack: EvasionAttack,  # noqa: ARG002
        progress: Progress,
    ) -> Target:
        """Return the target behind the guard; raises UsageError for too few rows."""
        x = torch.from_numpy(np.array(data.x))
        unseen = round(self.others * len(x))
        if min(unseen, len(x) - unseen) < LEAST_ROWS:
            raise UsageError(f"{len(x)} rows are too few for a membership classifier", fix="give at least 80")
        with progress.step("membership classifier", 1, "fits") as step:
            scores = _shares(target, x)
            member = torch.cat((torch.ones(len(x) - unseen), torch.zeros(unseen))).long()
            judge = _judge(scores.shape[1], rng)
            fit(judge, _sorted(scores), member, Course(self.epochs, 64, 3e-3, 1e-3), rng)
            step.advance()
        judge.requires_grad_(False)
        most = self.distortion

        def guarded(shares: torch.Tensor) -> torch.Tensor:
            return _moved(shares, judge, most)

        return transformed(target, "MemGuard", Transformation(after=guarded), rng)


def _judge(classes: int, rng: torch.Generator) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(int(torch.randint(2**62, (1,), generator=rng)))
        return nn.Sequential(nn.Linear(classes, 64), nn.ReLU(), nn.Linear(64, 2))


def _shares(target: Target, x: torch.Tensor) -> torch.Tensor:
    scores = torch.cat([target.predict(part) for part in torch.split(x, 256)])
    return scores.softmax(1) if target.spec.answers == "logits" else scores


def _sorted(shares: torch.Tensor) -> torch.Tensor:
    """Sort log-probabilities (n, classes) from high to low: what classifiers of members read."""
    return shares.clamp_min(1e-12).log().sort(1, descending=True).values


def _moved(shares: torch.Tensor, judge: nn.Module, most: float) -> torch.Tensor:
    """Move answers towards the even one or the sure one, as little as brings the judge to one half.

    Both ways keep the order of classes, so that no decision changes. The place is found by bisection: whoever stops at
    the first good step leaves members on one side of one half and others on the other. Where neither way crosses it,
    the end nearest to it is taken.
    """
    even = torch.full_like(shares, 1 / shares.shape[1])
    sure = torch.zeros_like(shares).scatter_(1, shares.argmax(1, keepdim=True), 1.0)

    def told(answers: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = judge(_sorted(answers)).softmax(1)[:, 1:] - 0.5
        return found

    best, gap, begin = shares, told(shares).abs(), told(shares)
    for goal in (even, sure):
        reach = (shares - goal).abs().sum(1, keepdim=True).clamp_min(1e-12)
        low, high = torch.zeros_like(reach), (most / reach).clamp_max(0.999)
        end = told(shares + high * (goal - shares))
        crosses = (begin * end) < 0
        for _ in range(24):
            middle = (low + high) / 2
            before = (told(shares + middle * (goal - shares)) * begin) > 0
            low, high = torch.where(before & crosses, middle, low), torch.where(before & crosses, high, middle)
            high = torch.where(crosses, high, (most / reach).clamp_max(0.999))
        tried = shares + high * (goal - shares)
        away = told(tried).abs()
        best, gap = torch.where(away < gap, tried, best), torch.minimum(away, gap)
    return best
