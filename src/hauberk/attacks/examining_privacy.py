"""The examiner of membership inference: can an attacker tell who was in the training data?"""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple, TypeAlias

import torch

from hauberk.attacks.examining_records import Audit, exposed
from hauberk.attacks.examining_scores import from_scores, steps
from hauberk.attacks.membership_checks import overlap, read_as, relabelled, shift, shuffled, similar
from hauberk.attacks.recorded import bare
from hauberk.attacks.recording import (
    Recorder,
    Samples,
    answers,
    as_known,
    demand,
    generator,
    guarded,
    recipe_of,
    samples,
)
from hauberk.attacks.shadows import Lender, Shadows
from hauberk.core.errors import MissingPower
from hauberk.core.evidence import Entry
from hauberk.core.progress import Silent
from hauberk.core.protocols import Dataset, MembershipAttack, Progress, ReferenceAttack, References, Target
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat

POPULATION = 1 / 3
"""Share of the non-members that an attack on a population learns from; the others are audited."""

LONELY = 0.25
"""Share of records that may be left out because no given reference model was trained on them."""

Attack: TypeAlias = MembershipAttack | ReferenceAttack


class Audited(NamedTuple):
    """Who is audited: members and as many others, as places in train and test, and outsiders kept for a population.

    smaller: how many there were of the scarcer kind.
    """

    members: torch.Tensor
    others: torch.Tensor
    population: torch.Tensor
    smaller: int


def examine_privacy(
    target: Target,
    data: Dataset,
    attack: Attack,
    threat: Threat,
    *,
    stamp: Stamp,
    seed: int = 0,
    progress: Progress | None = None,
    level: float = 0.95,
    most: int = 5000,
    lender: Lender | None = None,
    given: References | None = None,
    records: bool = True,
) -> Generator[Entry, None, Audit | None]:
    """Measure how well the attack tells training samples (members) from test samples, as many of each.

    Asks about at most `most` samples a side, and never more than threat.queries in all. lender: trains the reference
    models that an attack compares with; given: reference models instead, `member` over all of train and then all of
    test. Yields the headlines membership_auc, membership_balanced_accuracy, membership_advantage and
    membership_tpr_at_1pct_fpr / …_0_1pct_fpr / …_0_01pct_fpr, the ROC curve on a logarithmic axis, both accuracies as
    diagnostics, and with `records` the most exposed records and groups. What cannot be measured becomes a Skipped.
    The generator returns every record's score and risk.
    """
    to = Recorder(recipe_of(attack), target.spec.name, threat, stamp, seed, attack, level)
    work = _Examination(as_known(target, threat), target, data, attack, to, progress or Silent(), lender, given)
    return (yield from guarded(work.run(most, records), to))


class _Examination:
    """One examination: what stays the same during it."""

    def __init__(
        self,
        target: Target,
        whole: Target,
        data: Dataset,
        attack: Attack,
        to: Recorder,
        progress: Progress,
        lender: Lender | None,
        given: References | None,
    ) -> None:
        self.target, self.whole, self.data, self.attack, self.to = target, whole, data, attack, to
        self.progress, self.lender, self.given = progress, lender, given
        self.train, self.test = samples(data.train), samples(data.test)

    def run(self, most: int, records: bool) -> Generator[Entry, None, Audit | None]:
        """Draw, score, check, and say what came of it."""
        demand(self.attack.card, self.target)
        audited = self._drawn(most)
        if audited is None:
            reason = "fewer than 2 training or test samples, or queries, to compare"
            yield self.to.skipped(reason, fix="give the data the model was trained on")
            return None
        members, others = self.train.take(audited.members), self.test.take(audited.others)
        n = len(members.y)
        left = int((~self._comparable()).sum())
        if left:
            reason = f"{left} records are in, or in none of, all the reference models given, and were left out"
            yield self.to.skipped(reason, fix="give more reference models", part="lonely records")
        told = answers(self.target, torch.cat((members.x, others.x)))
        seen, kind = relabelled(self.target, told)
        rng = generator(self.to.seed, 1)
        score, references = self._scores(seen, members, others, audited, seen_otherwise=kind is not None)
        inside, outside = score[:n], score[n:]
        right = told.argmax(1) == torch.cat((members.y, others.y))
        bared = [bare(self.target.spec.kind, part) for part in (members, others, self.train, self.test)]
        checks = [shuffled(inside, outside, rng), shift(bared[0], bared[1], rng), overlap(bared[2], bared[3])]
        checks += [kind] if kind is not None else []
        checks += [similar(references, members, others, right)] if references is not None else []
        note = "members: training samples; others: test samples; 0.5 is guessing"
        if steps(score) <= 2:
            note += "; the target answers with labels only, so the attack knows only whether it is right (gap attack)"
        yield from from_scores(inside, outside, self.to, audited.smaller, tuple(checks), note)
        plain = self.to.where("neither")
        for name, part in (("member_accuracy", right[:n]), ("non_member_accuracy", right[n:])):
            yield plain.share(name, part, role="diagnostic")
        audit = Audit(audited.members, audited.others, inside, outside, members, others, told)
        if records:
            yield from exposed(audit, seen.spec, self.data.spec, self.to)
        return audit

    def _drawn(self, most: int) -> Audited | None:
        """Draw as many members as others; None for fewer than two of each."""
        rng = generator(self.to.seed, 1)
        outsiders = torch.randperm(len(self.test.y), generator=generator(self.to.seed, 5))
        apart = int(POPULATION * len(outsiders)) if _uses(self.attack) == "population" else 0
        kept, known = outsiders[apart:].sort().values, outsiders[:apart]
        fit = self._comparable()
        inside, kept = fit[: len(self.train.y)].nonzero()[:, 0], kept[fit[len(self.train.y) + kept]]
        smaller = min(len(inside), len(kept))
        n = min(smaller, most)
        if self.to.threat.queries is not None:
            n = min(n, self.to.threat.queries // 2)
        if n < 2:
            return None
        members, others = (part[torch.randperm(len(part), generator=rng)[:n]] for part in (inside, kept))
        return Audited(members, others, known, smaller)

    def _comparable(self) -> torch.Tensor:
        """Tell which records of train and test the given reference models can be compared on (n,) bool.

        Each must be outside of one model; and inside of one too, where that leaves out few (LONELY at most).
        """
        fit = torch.ones(len(self.train.y) + len(self.test.y), dtype=torch.bool)
        if self.given is None or _uses(self.attack) != "models" or not len(self.given.member):
            return fit
        fit = (~self.given.member).any(0)
        both = fit & self.given.member.any(0)
        return both if int(both.sum()) >= (1 - LONELY) * int(fit.sum()) else fit

    def _scores(
        self, target: Target, members: Samples, others: Samples, audited: Audited, *, seen_otherwise: bool
    ) -> tuple[torch.Tensor, References | None]:
        """Run the attack → scores of members, then others, and the reference models it was given."""
        n, seed = len(members.y), self.to.seed
        with self.progress.step("membership", 2 * n, "samples") as step:
            if not isinstance(self.attack, ReferenceAttack):
                inside = self.attack.score(target, members.x, members.y, generator(seed, 2))
                step.advance(n)
                outside = self.attack.score(target, others.x, others.y, generator(seed, 3))
                step.advance(n)
                return torch.cat((inside, outside)), None
            known = self.test.take(audited.population)
            references = self._references(audited, known)
            if seen_otherwise:
                own = tuple(read_as(model, target.spec.answers) for model in references.models)
                references = references._replace(models=own)
            both = Samples(torch.cat((members.x, others.x)), torch.cat((members.y, others.y)))
            score = self.attack.compare(target, *both, references, generator(seed, 2))
            step.advance(2 * n)
            return score, references if references.models else None

    def _references(self, audited: Audited, known: Samples) -> References:
        """Gather what the attack compares with; raises MissingPower where there is none."""
        rows = torch.cat((audited.members, len(self.train.y) + audited.others))
        if _uses(self.attack) == "population":
            return References((), torch.zeros(0, len(rows), dtype=torch.bool), known.x, known.y)
        if self.given is not None and self.given.models:
            models, member = self.given.models, self.given.member
        elif self.lender is not None:
            lent = self._lent(self.lender)
            models, member = lent.models, lent.member
        else:
            raise MissingPower(
                "the attack compares with reference models and there are none",
                fix="references = 8 in [privacy], or their answers in the .npz",
            )
        return References(tuple(as_known(model, self.to.threat) for model in models), member[:, rows], known.x, known.y)

    def _lent(self, lender: Lender) -> Shadows:
        return lender.lend(self.whole, *pool_of(self.data), self.progress)


def pool_of(data: Dataset) -> tuple[Samples, Samples]:
    """Return the records that reference models are trained on halves of, and those the target was trained on."""
    train, test = samples(data.train), samples(data.test)
    return Samples(torch.cat((train.x, test.x)), torch.cat((train.y, test.y))), train


def _uses(attack: Attack) -> str:
    return attack.uses if isinstance(attack, ReferenceAttack) else ""
