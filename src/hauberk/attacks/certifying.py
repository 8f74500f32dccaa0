"""The verified side of a robust accuracy on trees: the share of samples no allowed change can break, with its proof."""

from __future__ import annotations

import torch

from hauberk.attacks.allowed import allowed
from hauberk.attacks.cascade import answers, errs
from hauberk.attacks.chunks import samples_at, stream
from hauberk.attacks.tree_target import aim_of, forest_of, set_of
from hauberk.core.evidence import Measurement, Setting, Skipped
from hauberk.core.protocols import Dataset, Target, powers
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat
from hauberk.numeric.intervals import clopper_pearson
from hauberk.numeric.tree_bounds import certified

RECIPE = "attacks.certifying"
LEVEL = 0.95
SAMPLES = 200
"""At most so many are looked at: each takes some hundredths of a second."""
LEAVES = 2**15
"""Ensembles with more leaves in all are not looked at: their bounds are loose and dear."""


def certifiable(target: Target, threat: Threat) -> bool:
    """Tell whether there is something to prove: trees that show, and a ball or a table's constraints."""
    return "trees" in powers(target) and threat.family == "evasion" and threat.kind in ("ball", "constraints")


def examine_certified(
    target: Target,
    data: Dataset,
    threat: Threat,
    *,
    stamp: Stamp,
    seed: int = 0,
    samples: int = SAMPLES,
    merges: int = 3,
) -> Measurement | Skipped:
    """Measure the share of test samples that are classified right and proven to stay so under any allowed change.

    The samples are the first of the order the attacks of a run with this seed take, so that their robust accuracy on
    the same ones lies above this figure. The truth lies between the two. merges: how hard to try (`tree_bounds`).
    Raises MissingPower where the target shows no trees.
    """
    x, y = chosen(data, threat, seed, min(samples, SAMPLES))
    forest = forest_of(target, x)
    settings = (Setting(name="merges", value=merges),)
    if len(forest.feature) > 2 * LEAVES:
        return Skipped(
            subject="certified_accuracy",
            reason=f"the ensemble has more than {LEAVES} leaves",
            provenance=stamp.of(RECIPE, settings, seed),
            kind="limit",
        )
    right = (~errs(answers(target, x), y, threat)).nonzero().squeeze(1)
    where = set_of(allowed(threat, x[right], target.spec.bounds), threat)
    proven = int(certified(forest, where, aim_of(y[right], threat), merges).sum())
    interval = clopper_pearson(proven, len(y), LEVEL)
    ball = threat.ball if threat.kind == "ball" else None
    return Measurement(
        name="certified_accuracy",
        subject=target.spec.name,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        level=LEVEL,
        method="clopper-pearson",
        n=len(y),
        unit="share",
        better="higher",
        provenance=stamp.of(RECIPE, settings, seed),
        population=len(data.test.y),
        threat=threat.name,
        norm=ball.norm if ball else "",
        radius=ball.radius if ball else None,
        note="proven for every allowed change by bounds over merged trees; the true robust accuracy lies above",
    )


def chosen(data: Dataset, threat: Threat, seed: int, samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Take the first samples in the order of the attacks' examiner."""
    y = torch.tensor(data.test.y.tolist(), dtype=torch.long)
    # Whoever wants class c has nothing to do on samples of class c.
    rows = torch.arange(len(y)) if threat.target_class is None else (y != threat.target_class).nonzero().squeeze(1)
    mixed = rows[torch.randperm(len(rows), generator=stream(seed, "order"))]
    found = samples_at(data, mixed[:samples])
    return found[0], found[1]
