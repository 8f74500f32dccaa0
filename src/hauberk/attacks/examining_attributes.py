"""The examiner of attribute inference: what does the model add to what a hidden column can be guessed from anyway?"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from msgspec import structs

from hauberk.attacks.attributes import Hidden, guess
from hauberk.attacks.recording import Recorder, Samples, demand, generator, guarded, recipe_of, samples
from hauberk.core.card import Card
from hauberk.core.evidence import Entry
from hauberk.core.protocols import Dataset, Target
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat
from hauberk.numeric.difference import difference
from hauberk.numeric.intervals import Interval, wilson

VALUES = 12
"""Most values a hidden column may take; a column of numbers is guessed as below or above its median."""
FEWEST = 40
"""Records on each side under which nothing is measured."""


@runtime_checkable
class AttributeAttack(Protocol):
    """Guess a hidden column of records."""

    card: ClassVar[Card]

    def infer(self, target: Target, hidden: Hidden, rng: torch.Generator) -> torch.Tensor:
        """Return the place (n,) of the guessed value in hidden.values."""
        ...


class _Case(NamedTuple):
    """A hidden column on members, and on others."""

    name: str
    members: Hidden
    others: Hidden


def examine_attributes(
    target: Target,
    data: Dataset,
    attack: AttributeAttack,
    threat: Threat,
    columns: tuple[int, ...],
    *,
    stamp: Stamp,
    seed: int = 0,
    level: float = 0.95,
    most: int = 2000,
) -> Iterator[Entry]:
    """Guess each of the columns on training records, and on test records that were not used to learn from.

    Half of the test records are the attacker's own. Yields for each column attribute_inference_gain (headline: accuracy
    on members less that of the same learner without the model), attribute_inference_member_gap (accuracy on members
    less that on others: what training itself leaks), and the accuracies behind them.
    """
    to = Recorder(recipe_of(attack), target.spec.name, threat, stamp, seed, attack, level)
    yield from guarded(_examine(target, data, attack, columns, most, to), to)


def _examine(
    target: Target, data: Dataset, attack: AttributeAttack, columns: tuple[int, ...], most: int, to: Recorder
) -> Generator[Entry, None, None]:
    demand(attack.card, target)
    train, test = samples(data.train), samples(data.test)
    if train.x.ndim != 2 or not columns:
        reason = "the data is not a table" if train.x.ndim != 2 else "no column is named as sensitive"
        yield to.skipped(reason, fix="mark columns with sensitive = true in [data.columns]")
        return
    for column in columns:
        name = data.spec.schema.columns[column].name if data.spec.schema else str(column)
        case = _case(name, column, train, test, most, to.seed)
        if case is None:
            few = f"{len(train.y)} training and {len(test.y)} test records, or a column of one value, are too few"
            yield to.skipped(few, part=name)
            continue
        own = structs.replace(to.threat, name=f"{to.threat.name} on {name}")
        yield from _column(target, attack, case, replace(to, threat=own))


def _case(name: str, column: int, train: Samples, test: Samples, most: int, seed: int) -> _Case | None:
    """Hide the column of up to `most` members and others; None where there is too little."""
    values = torch.unique(train.x[:, column])
    order = torch.randperm(len(test.y), generator=generator(seed, 11))
    known, others = test.take(order[: len(order) // 2]), test.take(order[len(order) // 2 :][:most])
    members = train.take(torch.randperm(len(train.y), generator=generator(seed, 12))[:most])
    if min(len(known.y), len(others.y), len(members.y)) < FEWEST or len(values) < 2:
        return None
    if len(values) > VALUES:
        values = _ends(train.x[:, column])
        known, others, members = (_halved(part, column, values) for part in (known, others, members))
    steps = tuple(values.tolist())
    hidden = [Hidden(column, steps, part.x, part.y, known.x, known.y) for part in (members, others)]
    return _Case(name, hidden[0], hidden[1])


def _ends(column: torch.Tensor) -> torch.Tensor:
    """Return a low and a high value of a column of numbers: the middles of its halves."""
    return column.quantile(torch.tensor([0.25, 0.75]))


def _halved(part: Samples, column: int, ends: torch.Tensor) -> Samples:
    """Replace numbers by the nearer of the two ends."""
    x = part.x.clone()
    x[:, column] = torch.where((x[:, column] - ends[0]).abs() <= (x[:, column] - ends[1]).abs(), ends[0], ends[1])
    return Samples(x, part.y)


def _column(target: Target, attack: AttributeAttack, case: _Case, to: Recorder) -> Iterator[Entry]:
    n = len(case.members.y)
    hits = [_hits(attack.infer(target, side, generator(to.seed, 13)), side) for side in (case.members, case.others)]
    nothing = [torch.zeros(len(part), 0) for part in (case.members.known_y, case.members.y)]
    blind = _hits(guess(case.members, nothing[0], nothing[1], "logistic", generator(to.seed, 13)), case.members)
    rates = [wilson(int(part.sum()), len(part), to.level) for part in (*hits, blind)]
    gain = _paired(hits[0], blind, to.level)
    yield to.figure(
        "attribute_inference_gain",
        gain,
        n,
        "wilson",
        unit="accuracy − accuracy",
        note=f'column "{case.name}", {len(case.members.values)} values: {rates[0].value:.1%} with the model, '
        f"{rates[2].value:.1%} by the same columns and label without it",
    )
    yield to.figure(
        "attribute_inference_member_gap",
        difference(rates[0], rates[1]),
        n + len(case.others.y),
        "mover",
        unit="accuracy − accuracy",
        note=f'column "{case.name}": {rates[0].value:.1%} on training records, {rates[1].value:.1%} on others; what is '
        "above 0 comes of having been trained on",
    )
    yield to.share("attribute_inference_accuracy", hits[0], role="diagnostic", note=f'column "{case.name}", members')


def _hits(guessed: torch.Tensor, side: Hidden) -> torch.Tensor:
    return torch.tensor(side.values)[guessed] == side.x[:, side.column]


def _paired(first: torch.Tensor, second: torch.Tensor, level: float) -> Interval:
    """Return the difference of two accuracies on the same records: from the records that only one gets right."""
    won, lost, n = int((first & ~second).sum()), int((~first & second).sum()), len(first)
    split = wilson(won, won + lost, level)
    share = (won + lost) / n
    return Interval((won - lost) / n, share * (2 * split.low - 1), share * (2 * split.high - 1))
