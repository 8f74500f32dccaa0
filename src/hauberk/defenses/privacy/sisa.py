"""SISA: training in shards and slices, so that rows can be forgotten by training little again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from hauberk.core.card import Card
from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.protocols import EvasionAttack, Modular, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.plain_training import Course
from hauberk.defenses.private_training import fresh_copy
from hauberk.defenses.sharded import Shards


@dataclass(frozen=True, slots=True)
class SISA:
    """Train a committee of shards, and forget the rows named: what is left is what training without them gives.

    Bourtoule et al. 2021, arXiv:1912.03817. Exact for the network: a forgotten row has no influence at all, which a
    membership attack on it confirms. It says nothing of copies, backups, or of what was learned from its twins.

    shards, slices: more make forgetting cheaper and the committee weaker. forget: a JSON file with the row numbers to
    forget; empty for none. epochs: of each slice.
    """

    card: ClassVar[Card] = Card(
        title="SISA unlearning",
        summary="Shards and slices with kept states: rows are forgotten exactly, by training a part again.",
        paper="Bourtoule et al. 2021, arXiv:1912.03817",
        needs=("gradients", "module"),
        inputs=("chw", "row", "tokens", "wave"),
        threats=("AML.T0024.000", "OWASP-ML04"),
        extra="models",
    )

    shards: int = 5
    slices: int = 3
    forget: str = ""
    epochs: int = 15
    learning_rate: float = 3e-3
    batch: int = 64

    def learn(self, target: Target, data: Split, rng: torch.Generator) -> Shards:
        """Train the shards; keep what comes back to forget rows later."""
        if not isinstance(target, Modular):
            raise MissingPower(f"{target.spec.name} cannot give its module", fix="load it as a torch model")
        x, y = torch.from_numpy(np.array(data.x)), torch.from_numpy(np.array(data.y))
        if min(self.shards, self.slices) < 1 or len(y) < 4 * self.shards * self.slices:
            raise UsageError(
                f"{len(y)} rows cannot be cut into {self.shards} shards of {self.slices} slices", fix="set fewer"
            )
        target.predict(x[:2])
        seed = int(torch.randint(2**31, (1,), generator=rng))
        course = Course(self.epochs, self.batch, self.learning_rate)
        return Shards(fresh_copy(target.module(), rng), x, y, self.shards, self.slices, course, seed)

    def apply(
        self,
        target: Target,
        data: Split,
        threat: Threat,  # noqa: ARG002
        rng: torch.Generator,
        *,
        attack: EvasionAttack,  # noqa: ARG002
        progress: Progress,
    ) -> Target:
        """Return the committee without the rows to forget; raises UsageError for a file that cannot be read."""
        rows = _rows(self.forget, len(data.y)) if self.forget else []
        with progress.step("SISA", 1, "committees") as step:
            shards = self.learn(target, data, rng)
            if rows:
                shards.forget(rows)
            step.advance()
        assert isinstance(target, Modular)
        return target.rebuild(shards.committee(), f"{target.spec.name} + SISA")


def _rows(path: str, n: int) -> list[int]:
    """Read row numbers; raises UsageError."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot be read: {error}", where=path, fix="give a JSON list of row numbers") from error
    if not isinstance(found, list) or not all(isinstance(row, int) and 0 <= row < n for row in found):
        raise UsageError(f"holds no list of row numbers from 0 to {n - 1}", where=path)
    return found
