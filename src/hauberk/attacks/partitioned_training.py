"""Train the target many times, each time on the rows of its own buckets alone, and keep what each model votes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch

from hauberk.attacks.recording import Samples, decisions, generator
from hauberk.core.protocols import Progress, Target, Trainable
from hauberk.numeric.partitions import buckets, canonical_order, spreading

Tensor = torch.Tensor

_TRAINING = 21
"""Stage of the random source: of a learner's number alone, so that no row of another learner can move it."""


@dataclass(frozen=True, slots=True)
class Partitions:
    """How training is cut: `parts` disjoint shares of the rows, every row seen by `degree` learners."""

    target: Target
    parts: int
    degree: int
    seed: int

    @property
    def spread(self) -> Tensor:
        """Which learners see which bucket: (parts · degree, degree)."""
        return spreading(self.parts, self.degree)

    def shares(self, rows: Samples) -> list[Samples]:
        """Return each learner's rows, in an order of their own."""
        spread, where = self.spread, buckets(rows.x, self.parts * self.degree)
        found = []
        for learner in range(len(spread)):
            own = (spread == learner).any(1).nonzero()[:, 0]
            mine = rows.take(torch.isin(where, own).nonzero()[:, 0])
            found.append(mine.take(canonical_order(*mine)))
        return found

    def votes(self, rows: Samples, inputs: Mapping[str, Tensor], progress: Progress) -> dict[str, Tensor]:
        """Train all learners on the rows and return their votes on each of the inputs (n, *shape): (n, learners).

        Raises what `refit` raises. Models are not kept: a hundred of them may not fit.
        """
        found: dict[str, list[Tensor]] = {name: [] for name in inputs}
        shares = self.shares(rows)
        with progress.step("learners of partitions", len(shares), "models") as step:
            for learner, share in enumerate(shares):
                for name, vote in self._learn(learner, share, inputs).items():
                    found[name].append(vote)
                step.advance()
        return {name: torch.stack(votes, 1) for name, votes in found.items()}

    def _learn(self, learner: int, share: Samples, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        # Nothing to tell apart: the only class, or class 0 of no row. Any fixed rule keeps the proof.
        if len(set(share.y.tolist())) < 2:
            answer = int(share.y[0]) if len(share.y) else 0
            return {name: torch.full((len(x),), answer) for name, x in inputs.items()}
        rng = generator(self.seed, _TRAINING + 1000 * learner)
        model = cast(Trainable, self.target).refit(share.x, share.y, rng)
        return {name: decisions(model, x) for name, x in inputs.items()}
