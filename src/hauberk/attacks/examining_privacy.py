"""The examiner of membership inference: can an attacker tell who was in the training data?"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import torch

from hauberk.attacks.recording import (
    Recorder,
    Samples,
    as_known,
    decisions,
    demand,
    generator,
    guarded,
    recipe_of,
    samples,
)
from hauberk.core.evidence import Entry, Indicator
from hauberk.core.progress import Silent
from hauberk.core.protocols import Dataset, MembershipAttack, Progress, Target
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat
from hauberk.numeric.roc import advantage, area, curve, true_positives
from hauberk.numeric.two_sample import separability

RATES = ((0.01, "membership_tpr_at_1pct_fpr"), (0.001, "membership_tpr_at_0_1pct_fpr"))
"""False positive rates at which Carlini et al. 2022 (arXiv:2112.03570, §IV) ask for the true positive rate."""
SHIFTED = 0.55
"""Area above which train and test inputs differ so much that "member" may just mean "from the other source"."""
COMPARED = 750
"""Samples a side for that comparison: its cost grows with the cube."""
SURE = 0.9999
"""Level of the self-check on shuffled membership: it should cry wolf in one run of ten thousand."""


def examine_privacy(
    target: Target,
    data: Dataset,
    attack: MembershipAttack,
    threat: Threat,
    *,
    stamp: Stamp,
    seed: int = 0,
    progress: Progress | None = None,
    level: float = 0.95,
    most: int = 5000,
) -> Iterator[Entry]:
    """Measure how well the attack tells training samples (members) from test samples, as many of each.

    Asks about at most `most` samples a side, and never more than threat.queries in all. Yields the headlines
    membership_auc, membership_advantage and membership_tpr_at_1pct_fpr / …_0_1pct_fpr, the ROC curve on a logarithmic
    axis, and both accuracies as diagnostics. What cannot be measured becomes a Skipped.
    """
    to = Recorder(recipe_of(attack), target.spec.name, threat, stamp, seed, attack, level)
    yield from guarded(_examine(as_known(target, threat), data, attack, most, to, progress or Silent()), to)


def _examine(
    target: Target, data: Dataset, attack: MembershipAttack, most: int, to: Recorder, progress: Progress
) -> Generator[Entry, None, None]:
    demand(attack.card, target)
    whole = (samples(data.train), samples(data.test))
    smaller = min(len(whole[0].y), len(whole[1].y))
    n = min(smaller, most)
    if to.threat.queries is not None:
        n = min(n, to.threat.queries // 2)
    if n < 2:
        reason = "fewer than 2 training or test samples, or queries, to compare"
        yield to.skipped(reason, fix="give the data the model was trained on")
        return
    rng = generator(to.seed, 1)
    members, others = (part.take(torch.randperm(len(part.y), generator=rng)[:n]) for part in whole)
    with progress.step("membership", 2 * n, "samples") as step:
        inside = attack.score(target, members.x, members.y, generator(to.seed, 2))
        step.advance(n)
        outside = attack.score(target, others.x, others.y, generator(to.seed, 3))
        step.advance(n)
    checks = (_shuffled(inside, outside, rng), _shift(members, others, rng))
    yield from _headlines(inside, outside, target.spec.answers == "labels", smaller, checks, to)
    if target.spec.answers != "labels":
        yield from _rates(inside, outside, smaller, to)
        yield from _curve(inside, outside, to)
    plain = to.where("neither")
    for name, part in (("member_accuracy", members), ("non_member_accuracy", others)):
        yield plain.share(name, decisions(target, part.x) == part.y, role="diagnostic")


def _headlines(
    inside: torch.Tensor,
    outside: torch.Tensor,
    gap: bool,
    population: int,
    checks: tuple[Indicator, ...],
    to: Recorder,
) -> Iterator[Entry]:
    n = len(inside)
    note = "members: training samples; others: test samples; 0.5 is guessing"
    if gap:
        note += "; the target answers with labels only, so the attack knows only whether it is right (gap attack)"
    yield to.figure(
        "membership_auc",
        area(inside, outside, to.level),
        2 * n,
        "delong",
        unit="area",
        population=2 * population,
        indicators=checks,
        note=note,
    )
    # Yeom et al., §3.2: a member is what has at most the average training loss, which the attacker knows.
    threshold = float(inside.double().mean())
    yield to.figure(
        "membership_advantage",
        advantage(inside, outside, 0.0 if gap else threshold, to.level),
        2 * n,
        "wilson",
        unit="TPR − FPR",
        population=2 * population,
        indicators=checks,
        note="at the average training loss; the interval is Newcombe's, from Wilson's",
    )


def _rates(inside: torch.Tensor, outside: torch.Tensor, population: int, to: Recorder) -> Iterator[Entry]:
    for fpr, name in RATES:
        if len(outside) * fpr < 1:
            needed = round(1 / fpr)
            reason = f"{len(outside)} non-members cannot show a false positive rate of {fpr:.1%}: {needed} are needed"
            yield to.skipped(reason, fix=f"give {needed} test and training samples", part=name)
            continue
        rate = true_positives(inside, outside, fpr, to.level)
        yield to.figure(
            name,
            rate.interval,
            2 * len(inside),
            "clopper-pearson",
            population=2 * population,
            note=f"rests on {rate.spent} false positives among {len(outside)} non-members; the interval allows for "
            f"the threshold being estimated; guessing gives {fpr:.1%}",
        )


def _curve(inside: torch.Tensor, outside: torch.Tensor, to: Recorder) -> Iterator[Entry]:
    """Points at 1, 2, 5 · 10^k, from one false positive up: Carlini et al. ask for a logarithmic axis."""
    line = curve(inside, outside)
    n = len(outside)
    for fpr in (digit * 10.0**power for power in range(-5, 0) for digit in (1, 2, 5)):
        if n * fpr < 1:
            continue
        hits = round(float(line.tpr[line.fpr <= fpr + 1e-12].max()) * len(inside))
        caught = torch.arange(len(inside)) < hits
        yield to.share("membership_tpr", caught, role="curve", along="false positive rate", at=fpr)


def _shuffled(inside: torch.Tensor, outside: torch.Tensor, rng: torch.Generator) -> Indicator:
    pooled = torch.cat((inside, outside))
    pooled = pooled[torch.randperm(len(pooled), generator=rng)]
    half = area(pooled[: len(inside)], pooled[len(inside) :], SURE)
    return Indicator(
        name="with membership shuffled the attack guesses",
        passed=half.low <= 0.5 <= half.high,
        detail=f"area {half.value:.3f} [{half.low:.3f}, {half.high:.3f}] on shuffled membership",
    )


def _shift(members: Samples, others: Samples, rng: torch.Generator) -> Indicator:
    name = "train and test inputs come from one distribution"
    size = min(len(members.y), COMPARED)
    if size < 20:
        return Indicator(name=name, passed=None, detail=f"{size} samples a side are too few to tell")
    found = separability(members.x[:size], others.x[:size], rng)
    consequence = "" if found.low <= SHIFTED else ": the membership figures may show this difference, not memory"
    return Indicator(
        name=name,
        passed=found.low <= SHIFTED,
        detail=f"a classifier tells them apart with area {found.value:.3f} [{found.low:.3f}, {found.high:.3f}], "
        f"without asking the model{consequence}",
    )
