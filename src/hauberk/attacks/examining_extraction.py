"""The examiner of model theft: how faithful a copy does a query budget buy?"""

from __future__ import annotations

from collections.abc import Generator
from hashlib import blake2b

import msgspec
import torch

from hauberk.attacks.recording import (
    Recorder,
    as_known,
    batches,
    decisions,
    demand,
    generator,
    guarded,
    recipe_of,
    samples,
)
from hauberk.core.errors import BudgetSpent, DataError
from hauberk.core.evidence import Entry, Indicator
from hauberk.core.progress import Silent
from hauberk.core.protocols import Dataset, ExtractionAttack, Progress, Target, TargetSpec
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat
from hauberk.numeric.intervals import Interval

CURVE = (0.25, 0.5)
"""Shares of the budget at which the copy is measured too."""
POOL = 0.5
"""Share of the test samples that plays the attacker's own data; the rest scores the copy."""


class Metered:
    """A target that counts: it answers at most `budget` inputs, and remembers answers in `paid`.

    An input asked again by the same thief costs him again, but the target is spared: `paid` is shared between thieves
    of one run, so that the points of a curve cost no further queries of a remote model.
    """

    def __init__(self, target: Target, budget: int | None, paid: dict[bytes, torch.Tensor]) -> None:
        self._target, self._budget, self._paid = target, budget, paid
        self.spent = 0

    @property
    def spec(self) -> TargetSpec:
        """What the target is."""
        return self._target.spec

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Answer and count; raises BudgetSpent, before anything is asked, where the budget does not suffice."""
        if self._budget is not None and self.spent + len(x) > self._budget:
            raise BudgetSpent(
                f"the attack asked for {self.spent + len(x)} answers, its budget is {self._budget}",
                fix="raise the threat's queries, or mend the attack",
            )
        self.spent += len(x)
        keys = [blake2b(row.numpy().tobytes(), digest_size=16).digest() for row in x.detach().cpu().contiguous()]
        fresh = [index for index, key in enumerate(keys) if key not in self._paid]
        for part in batches(torch.tensor(fresh, dtype=torch.long)):
            for index, answer in zip(part.tolist(), self._target.predict(x[part]), strict=True):
                self._paid[keys[index]] = answer
        return torch.stack([self._paid[key] for key in keys]) if keys else self._target.predict(x)


def examine_extraction(
    target: Target,
    data: Dataset,
    attack: ExtractionAttack,
    threat: Threat,
    *,
    stamp: Stamp,
    seed: int = 0,
    progress: Progress | None = None,
    level: float = 0.95,
) -> Generator[Entry, None, Target | None]:
    """Measure how often a stolen copy agrees with the target; the generator returns the copy.

    Half of the test samples are the thief's pool, the other half scores the copy. Yields extraction_agreement against
    queries as a curve, a control that asks nothing, and the headlines extraction_agreement and extraction_accuracy
    at threat.queries. What cannot be measured becomes a Skipped, and the copy None.
    """
    to = Recorder(recipe_of(attack), target.spec.name, threat, stamp, seed, attack, level)
    return (yield from guarded(_examine(target, data, attack, to, progress or Silent()), to))


def _examine(
    target: Target, data: Dataset, attack: ExtractionAttack, to: Recorder, progress: Progress
) -> Generator[Entry, None, Target | None]:
    demand(attack.card, target)
    test = samples(data.test)
    order = torch.randperm(len(test.y), generator=generator(to.seed, 1))
    cut = int(POOL * len(order))
    pool, held = test.x[order[:cut]], test.take(order[cut:])
    budget = cut if to.threat.queries is None else to.threat.queries
    if cut < 2 or budget < 1:
        yield to.skipped("too few test samples or queries to train a copy", fix="give more test samples, raise queries")
        return None
    truth = decisions(target, held.x)
    yield _unasked(truth, to)
    paid: dict[bytes, torch.Tensor] = {}
    points = sorted({max(1, int(share * budget)) for share in CURVE} - {budget})
    with progress.step("theft", len(points) + 1, "copies") as step:
        for queries in (*points, budget):
            thief = msgspec.structs.replace(to.threat, queries=queries)
            meter = Metered(as_known(target, thief), queries, paid)
            try:
                copy = attack.steal(meter, pool, thief, generator(to.seed, 2))
            except DataError as error:
                yield to.skipped(error.what, fix=error.fix)
                return None
            agreed = decisions(copy, held.x) == truth
            yield to.share("extraction_agreement", agreed, role="curve", along="queries", at=float(meter.spent))
            step.advance(note=f"agrees {float(agreed.double().mean()):.0%}")
    within = Indicator(
        name="the budget was kept",
        passed=meter.spent <= budget,
        detail=f"{meter.spent} of {budget} queries were answered",
    )
    note = f"{meter.spent} queries, drawn from {cut} test samples that do not score the copy"
    if meter.spent > cut:
        note += ", and from mixtures of them"
    yield to.share("extraction_agreement", agreed, indicators=(within,), note=note)
    own = float((truth == held.y).double().mean())
    yield to.share("extraction_accuracy", decisions(copy, held.x) == held.y, note=f"the target itself: {own:.3f}")
    spent = float(meter.spent)
    yield to.where("neither").figure(
        "extraction_queries", Interval(spent, spent, spent), len(held.y), "exact", role="diagnostic", unit="queries"
    )
    return copy


def _unasked(truth: torch.Tensor, to: Recorder) -> Entry:
    common = torch.bincount(truth).argmax()
    return to.share(
        "extraction_agreement", truth == common, role="control", note="a copy that always says the commonest class"
    )
