"""Attack P: how a record's signal ranks among records of a population that the model has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.references import signals
from hauberk.core.card import Card
from hauberk.core.protocols import References, Target
from hauberk.numeric.membership import Signal


@dataclass(frozen=True, slots=True)
class AttackP:
    """Score each record by the share of the population that it outranks.

    Ye et al. 2022, arXiv:2111.09679, §4.2 (Attack P). per_class: against the population of the record's own class,
    which is Song & Mittal's threshold of each class (arXiv:2003.10595, §3.2); a class of which the population has no
    record is ranked against all. Without per_class the order is that of the signal itself.
    """

    card: ClassVar[Card] = Card(
        title="Attack P (thresholds of each class)",
        summary="Ranks a record among outsiders of its own class, so that easy and hard classes are judged alike.",
        paper="Ye et al. 2022, arXiv:2111.09679, §4.2; Song & Mittal 2021, arXiv:2003.10595, §3.2",
        needs=("scores",),
        inputs=("chw", "row", "wave", "frames", "tokens"),
        threats=("AML.T0024.000", "OWASP-ML04"),
        extra="models",
    )
    uses: ClassVar[Literal["models", "population"]] = "population"

    signal: Signal = "log-odds"
    per_class: bool = True

    def compare(
        self,
        target: Target,
        x: torch.Tensor,
        y: torch.Tensor,
        references: References,
        rng: torch.Generator,  # noqa: ARG002
    ) -> torch.Tensor:
        """Return shares of the population (n,) float64; records above all of it are told apart by their lead."""
        own = signals(target, x, y, self.signal)
        others = signals(target, references.x, references.y, self.signal)
        score = _rank(own, others)
        for label in torch.unique(y) if self.per_class else ():
            same = references.y == label
            if bool(same.any()):
                score[y == label] = _rank(own[y == label], others[same])
        return score


def _rank(own: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Rank own (n,) among others (m,), linear between neighbours so that no two different signals tie."""
    ordered = others.sort().values
    place = torch.searchsorted(ordered, own, right=True).clamp(1, max(1, len(ordered) - 1))
    if len(ordered) < 2:
        return (own > ordered[0]).double() if len(ordered) else torch.zeros_like(own)
    low, high = ordered[place - 1], ordered[place]
    return (place - 1 + (own - low) / (high - low).clamp_min(1e-12)).clamp(-len(ordered), 2 * len(ordered)) / len(
        ordered
    )
