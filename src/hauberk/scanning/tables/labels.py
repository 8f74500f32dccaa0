"""Rows whose label their neighbours contradict: a list for review, and those that are probably wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hauberk.core.tables import FIRST, Rows
from hauberk.scanning.tables.confident import label_errors
from hauberk.scanning.tables.facts import Suspects
from hauberk.scanning.tables.gathered import rows_of
from hauberk.scanning.tables.neighbours import Neighbours
from hauberk.scanning.tables.probabilities import held_out

if TYPE_CHECKING:
    from hauberk.core.protocols import Floats

CLASSES = 200
"""More classes than this are no classes but names or measurements."""


def suspects(
    x: Floats, y: np.ndarray, classes: tuple[str, ...], ids: np.ndarray, near: Neighbours, rng: np.random.Generator
) -> Suspects | None:
    """Judge labels y (n,) of rows x (n, d) whose ids are `ids`; None where there is nothing to judge by.

    Two operating points: `likely` are the errors confident learning names (few false ones), `review` every row the
    source gives another label (nearly no error missed).
    """
    counts = np.bincount(y, minlength=len(classes))
    if len(x) < 20 or x.shape[1] == 0 or (counts > 0).sum() < 2:
        return None
    source = held_out(x, y, len(classes), rng, near)
    wrong = label_errors(y, source.probabilities)
    review = source.probabilities.argmax(1) != y
    margin = source.probabilities.max(1) - source.probabilities[np.arange(len(y)), y]
    order = np.flatnonzero(wrong)[np.argsort(-margin[wrong], kind="stable")]
    best = source.probabilities.argmax(1)
    return Suspects(
        source=source.name,
        trust=source.accuracy,
        majority=float(counts.max() / len(y)),
        review=rows_of(ids[review]),
        likely=Rows(count=len(order), first=tuple(int(ids[row]) for row in order[:FIRST])),
        suggested=tuple((int(ids[row]), classes[y[row]], classes[best[row]]) for row in order.tolist()),
        of=len(y),
    )
