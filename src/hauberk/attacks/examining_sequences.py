"""The examiner of sequence models, from log probabilities alone: membership, and exposure of canaries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Protocol, runtime_checkable

import torch

from hauberk.attacks.examining_scores import from_scores
from hauberk.attacks.recording import Recorder, recipe_of
from hauberk.core.card import Card
from hauberk.core.evidence import Entry
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat
from hauberk.numeric.exposure import Exposure, extrapolated, interpolated
from hauberk.numeric.intervals import Interval
from hauberk.numeric.sequence_membership import Sequences


@runtime_checkable
class SequenceAttack(Protocol):
    """Tell training sequences from others by their tokens' log probabilities."""

    card: ClassVar[Card]

    def rank(self, sequences: Sequences) -> torch.Tensor:
        """Score (n,): higher means more likely a member. Raises ValueError for what it needs and is not known."""
        ...


def examine_sequences(
    name: str,
    sequences: Sequences,
    member: torch.Tensor,
    attack: SequenceAttack,
    threat: Threat,
    *,
    stamp: Stamp,
    seed: int = 0,
    level: float = 0.95,
) -> Iterator[Entry]:
    """Measure how well the attack tells members (n,) bool from the others; yields what `examine_privacy` yields."""
    to = Recorder(recipe_of(attack), name, threat, stamp, seed, attack, level)
    try:
        score = attack.rank(sequences)
    except ValueError as error:
        yield to.skipped(str(error), fix="add it to the .npz, see docs/privacy.md")
        return
    yield from from_scores(score[member], score[~member], to)


def examine_canaries(
    name: str, canaries: torch.Tensor, references: torch.Tensor, threat: Threat, *, stamp: Stamp, seed: int = 0
) -> Iterator[Entry]:
    """Measure how far canaries' log perplexities (m,) stand out from references' (n,): exposure in bits.

    The headline is the largest exposure by interpolation, with the p-value of its rank among all canaries
    (Bonferroni); exposures of each canary and the extrapolated ones are diagnostics.
    """
    to = Recorder("privacy.secret_sharer", name, threat, stamp, seed)
    found = interpolated(canaries, references)
    best = int(found.bits.argmax())
    chance = min(1.0, float(found.chance[best]) * len(canaries))
    most = float(torch.tensor(len(references) + 1.0).log2())
    note = (
        f"canary {best}; the most that {len(references)} references can show is {most:.1f} bits; p = {chance:.3g} that "
        f"an unplanted canary ranks so, for the best of {len(canaries)}"
    )
    yield _bits("canary_exposure", found, best, to, "headline", note)
    for index in range(len(canaries)):
        yield _bits("canary_exposure", found, index, to, "diagnostic", f"canary {index}")
    try:
        further = extrapolated(canaries, references)
    except ValueError as error:
        yield to.skipped(str(error), part="extrapolated exposure", fix="give more references")
        return
    best = int(further.bits.argmax())
    yield _bits(
        "canary_exposure_extrapolated", further, best, to, "diagnostic", f"canary {best}; from a fitted skew normal"
    )


def _bits(name: str, found: Exposure, index: int, to: Recorder, role: str, note: str) -> Entry:
    value = float(found.bits[index])
    return to.figure(
        name,
        Interval(value, value, value),
        1,
        "none",
        role="headline" if role == "headline" else "diagnostic",
        unit="bits",
        along="" if role == "headline" else "canary",
        at=None if role == "headline" else float(index),
        note=note,
    )
