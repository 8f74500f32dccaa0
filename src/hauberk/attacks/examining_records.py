"""Who is exposed: every record's risk, the most exposed training records by index, and groups that leak most."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch

from hauberk.attacks.recording import Recorder, Samples
from hauberk.core.evidence import Entry
from hauberk.core.protocols import TargetSpec
from hauberk.core.schema import DatasetSpec
from hauberk.numeric.intervals import clopper_pearson
from hauberk.numeric.isotonic import isotonic
from hauberk.numeric.membership import Kind, log_odds
from hauberk.numeric.roc import area

Tensor = torch.Tensor

SHOWN = 10
"""Most exposed records, and groups, that evidence names; all of them are in the written list."""
FEWEST = 20
"""Members, and others, that a group must have to be measured by itself."""
BANDS = 5
"""Bands of confidence."""


class Audit(NamedTuple):
    """What an audit knows of each record.

    rows, other_rows: places (n,) in the training and the test data. inside, outside: scores (n,) float64.
    members, others: the records. told: the target's answers (2n, classes), members first.
    """

    rows: Tensor
    other_rows: Tensor
    inside: Tensor
    outside: Tensor
    members: Samples
    others: Samples
    told: Tensor

    @property
    def score(self) -> Tensor:
        """Scores (2n,), members first."""
        return torch.cat((self.inside, self.outside))

    @property
    def member(self) -> Tensor:
        """Whether each of the 2n records is a member."""
        return torch.arange(2 * len(self.inside)) < len(self.inside)


class Group(NamedTuple):
    """Records of one kind: which of the 2n belong to it."""

    name: str
    chosen: Tensor


def risks(audit: Audit) -> Tensor:
    """Return each record's privacy risk (2n,): the share of members among records scored alike.

    The posterior probability of membership for an attacker who holds either to be as likely (Song & Mittal 2021,
    arXiv:2003.10595, §4), from an isotonic fit; a block of k records counts as k + 2 with one of each kind more, so
    that a handful of members at the top is not called certain.
    """
    place, blocks = isotonic(audit.score, audit.member)
    return torch.tensor([(block.hits + 1) / (block.size + 2) for block in blocks], dtype=torch.float64)[place]


def exposed(audit: Audit, target: TargetSpec, data: DatasetSpec, to: Recorder) -> Iterator[Entry]:
    """Yield the most exposed training records as membership_risk, and the groups of highest membership_auc."""
    yield from _records(audit, data, to)
    yield from _groups(audit, target, data, to)


def _records(audit: Audit, data: DatasetSpec, to: Recorder) -> Iterator[Entry]:
    place, blocks = isotonic(audit.score, audit.member)
    order = audit.inside.argsort(descending=True, stable=True)[:SHOWN]
    for row in order.tolist():
        block = blocks[int(place[row])]
        interval = clopper_pearson(block.hits, block.size, to.level)
        label = int(audit.members.y[row])
        name = data.classes[label] if label < len(data.classes) else str(label)
        yield to.figure(
            "membership_risk",
            interval,
            block.size,
            "clopper-pearson",
            role="diagnostic",
            along="training record",
            at=float(audit.rows[row]),
            note=f"training record {int(audit.rows[row])}, class {name}: so many of the {block.size} records "
            "scored like it are members",
        )


def _groups(audit: Audit, target: TargetSpec, data: DatasetSpec, to: Recorder) -> Iterator[Entry]:
    """Yield the worst groups; their level is shared between all that were looked at (Bonferroni)."""
    groups = [group for group in slices(audit, target.answers, data) if _measurable(audit, group)]
    if len(groups) < 2:
        return
    level = 1 - (1 - to.level) / len(groups)
    found = []
    for group in groups:
        inside, outside = audit.score[group.chosen & audit.member], audit.score[group.chosen & ~audit.member]
        found.append((area(inside, outside, level), len(inside) + len(outside), group.name))
    found.sort(key=lambda row: -row[0].value)
    for index, (interval, n, name) in enumerate(found[:SHOWN]):
        yield to.figure(
            "membership_auc",
            interval,
            n,
            "delong",
            role="diagnostic",
            unit="area",
            along="group",
            at=float(index),
            note=f"{name}; one of {len(groups)} groups looked at, and the interval allows for that",
        )


def slices(audit: Audit, kind: Kind, data: DatasetSpec) -> list[Group]:
    """Cut the records by class, by whether the answer is right, by confidence, and by sensitive columns of a table."""
    y = torch.cat((audit.members.y, audit.others.y))
    names = data.classes
    groups = [
        Group(f"class {names[label] if label < len(names) else label}", y == label)
        for label in torch.unique(y).tolist()
    ]
    right = audit.told.argmax(1) == y
    groups += [Group("answered right", right), Group("answered wrong", ~right)]
    if kind != "labels":
        confidence = log_odds(audit.told, y, kind)
        band = (confidence.argsort().argsort() * BANDS) // len(confidence)
        groups += [Group(f"confidence band {index + 1} of {BANDS}", band == index) for index in range(BANDS)]
    return groups + _subgroups(torch.cat((audit.members.x, audit.others.x)), data)


def _subgroups(x: Tensor, data: DatasetSpec) -> list[Group]:
    """Cut a table by its sensitive columns: by category, or below and above the median."""
    groups: list[Group] = []
    for index, column in enumerate(data.schema.columns if data.schema else ()):
        if not column.sensitive or x.ndim != 2:
            continue
        values = x[:, index]
        if column.kind in ("categorical", "boolean"):
            for value in torch.unique(values).tolist():
                known = column.kind == "categorical" and int(value) < len(column.categories)
                word = column.categories[int(value)] if known else f"{value:g}"
                groups.append(Group(f"{column.name} = {word}", values == value))
        else:
            middle = values.median()
            groups += [
                Group(f"{column.name} ≤ {float(middle):g}", values <= middle),
                Group(f"{column.name} > {float(middle):g}", values > middle),
            ]
    return groups


def _measurable(audit: Audit, group: Group) -> bool:
    inside = int((group.chosen & audit.member).sum())
    return min(inside, int(group.chosen.sum()) - inside) >= FEWEST
