"""The examiner of model inversion: how like the training records is what the model gives away of each class?"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import ClassVar, Protocol, runtime_checkable

import torch

from hauberk.attacks.recording import Recorder, answers, demand, generator, guarded, recipe_of, samples
from hauberk.core.card import Card
from hauberk.core.evidence import Entry
from hauberk.core.protocols import Dataset, Target
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat
from hauberk.numeric.intervals import bootstrap_median
from hauberk.numeric.smoothness import similarity

Tensor = torch.Tensor

CLASSES = 20
"""Classes that are inverted, at most."""


@runtime_checkable
class InversionAttack(Protocol):
    """Make a typical input of a class from what the model tells."""

    card: ClassVar[Card]

    def invert(self, target: Target, classes: Tensor, start: Tensor, rng: torch.Generator) -> Tensor:
        """Return an input (m, *shape) for each of the classes (m,); start (*shape), or one for each class."""
        ...


def examine_inversion(
    target: Target, data: Dataset, attack: InversionAttack, threat: Threat, *, stamp: Stamp, seed: int = 0
) -> Iterator[Entry]:
    """Invert up to 20 classes from the mean test record, and compare with each class's mean training record.

    Yields inversion_similarity (headline: median over classes, structural similarity of images, correlation of rows),
    what the start itself has as a control, and the similarity to the nearest training record as a diagnostic.
    """
    to = Recorder(recipe_of(attack), target.spec.name, threat, stamp, seed, attack)
    yield from guarded(_examine(target, data, attack, to), to)


def _examine(target: Target, data: Dataset, attack: InversionAttack, to: Recorder) -> Generator[Entry, None, None]:
    demand(attack.card, target)
    train, test = samples(data.train), samples(data.test)
    present = torch.unique(train.y)[:CLASSES]
    if len(present) < 2 or not len(test.y):
        yield to.skipped("fewer than two classes of training records, or no test record to start from")
        return
    start = test.x.mean(0)
    if "gradients" not in attack.card.needs:
        start = torch.stack([_first(test.x, answers(target, test.x).argmax(1), int(label), start) for label in present])
    found = attack.invert(target, present, start, generator(to.seed, 21))
    wanted = torch.stack([train.x[train.y == label].mean(0) for label in present])
    begun = start if start.ndim == wanted.ndim else start.expand_as(wanted)
    low, high = target.spec.bounds
    before, after = (_alike(part, wanted, high - low) for part in (begun, found))
    nearest = torch.stack(
        [_alike(one.expand_as(own), own, high - low).max() for one, own in _each(found, train.x, train.y, present)]
    )
    for name, values, role in (
        ("inversion_similarity", after, "headline"),
        ("inversion_similarity", before, "control"),
        ("inversion_nearest_similarity", nearest, "diagnostic"),
    ):
        yield to.figure(
            name,
            bootstrap_median(values, generator(to.seed, 22)),
            len(values),
            "bootstrap",
            role=role,  # type: ignore[arg-type]
            unit="similarity",
            note={
                "headline": "of each class's inverted input and its mean training record, median over classes",
                "control": "of the start, which knows nothing of the model",
                "diagnostic": "of the inverted input and the training record of its class most like it",
            }[role],
        )


def _each(found: Tensor, x: Tensor, y: Tensor, present: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for one, label in zip(found, present, strict=True):
        yield one, x[y == label][:500]


def _first(x: Tensor, told: Tensor, label: int, otherwise: Tensor) -> Tensor:
    """Take an input the model already gives the class: a label-only search needs one."""
    own = (told == label).nonzero()[:, 0]
    return x[own[0]] if len(own) else otherwise


def _alike(first: Tensor, second: Tensor, span: float) -> Tensor:
    if first.ndim == 4 and min(first.shape[2:]) >= 3:
        return similarity(first, second, span)
    a, b = first.flatten(1).double(), second.flatten(1).double()
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    found: Tensor = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp_min(1e-12)
    return found
