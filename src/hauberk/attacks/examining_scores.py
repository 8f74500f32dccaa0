"""What scores of members and of others amount to: area, advantage, rates at few false positives, and the curve."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from hauberk.attacks.recording import Recorder, generator
from hauberk.core.evidence import Entry, Indicator
from hauberk.numeric.roc import advantage, area, balanced_accuracy, curve, true_positives

RATES = (
    (0.01, "membership_tpr_at_1pct_fpr"),
    (0.001, "membership_tpr_at_0_1pct_fpr"),
    (0.0001, "membership_tpr_at_0_01pct_fpr"),
)
"""False positive rates at which Carlini et al. 2022 (arXiv:2112.03570, §IV) ask for the true positive rate."""
GUESSING = "0.5 is guessing"


def from_scores(
    inside: torch.Tensor,
    outside: torch.Tensor,
    to: Recorder,
    population: int | None = None,
    checks: tuple[Indicator, ...] = (),
    note: str = GUESSING,
) -> Iterator[Entry]:
    """Yield every figure of a membership attack from its scores of members (m,) and others (n,).

    population: how many of the scarcer kind there were. A false positive rate that the others are too few to show
    becomes a Skipped instead of a number; an attack of two scores (right or wrong) has no rates.
    """
    both = 2 * (population or min(len(inside), len(outside)))
    yield from _headlines(inside, outside, both, checks, note, to)
    if steps(torch.cat((inside, outside))) > 2:
        yield from _rates(inside, outside, both, to)
        yield from _curve(inside, outside, to)


def steps(score: torch.Tensor) -> int:
    """Count different scores."""
    return len(torch.unique(score))


def _headlines(
    inside: torch.Tensor,
    outside: torch.Tensor,
    population: int,
    checks: tuple[Indicator, ...],
    note: str,
    to: Recorder,
) -> Iterator[Entry]:
    n, pooled = len(inside) + len(outside), torch.cat((inside, outside))
    yield to.figure(
        "membership_auc",
        area(inside, outside, to.level),
        n,
        "delong",
        unit="area",
        population=population,
        indicators=checks,
        note=note,
    )
    # Yeom et al., §3.2: a member is what has at most the average training loss, which the attacker knows.
    threshold = float(pooled.max()) if steps(pooled) <= 2 else float(inside.double().mean())
    yield to.figure(
        "membership_advantage",
        advantage(inside, outside, threshold, to.level),
        n,
        "wilson",
        unit="TPR − FPR",
        population=population,
        indicators=checks,
        note="at the members' average score (for the loss: the average training loss); the interval is Newcombe's, "
        "from Wilson's",
    )
    yield to.figure(
        "membership_balanced_accuracy",
        balanced_accuracy(inside, outside, generator(to.seed, 4), to.level),
        n,
        "wilson",
        population=population,
        note="each half of the records is judged at the threshold that served best on the other; 50 % is guessing",
    )


def _rates(inside: torch.Tensor, outside: torch.Tensor, population: int, to: Recorder) -> Iterator[Entry]:
    for fpr, name in RATES:
        if len(outside) * fpr < 1 - 1e-9:
            needed = round(1 / fpr)
            reason = (
                f"not measurable: {len(outside)} non-members cannot show a false positive rate of {fpr:g}, "
                f"{needed} are needed"
            )
            yield to.skipped(reason, fix=f"give {needed} test and training samples", part=name)
            continue
        rate = true_positives(inside, outside, fpr, to.level)
        yield to.figure(
            name,
            rate.interval,
            len(inside) + len(outside),
            "clopper-pearson",
            population=population,
            note=f"rests on {rate.spent} false positives among {len(outside)} non-members; the interval allows for "
            f"the threshold being estimated; guessing gives {fpr:g}",
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
