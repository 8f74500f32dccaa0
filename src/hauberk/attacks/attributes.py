"""A hidden column: what an attacker knows of records whose one value he wants."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import one_hot

from hauberk.numeric.learners import LEARNERS, Learner

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Hidden:
    """Records whose column `column` is wanted, and others that the attacker knows whole.

    x (n, d), y (n,): the records; x holds the true value too, which only the model may see: an attack looks at
    `without(x)`. known_x (m, d), known_y (m,): of the attacker's own. values: what the column can be, rising.
    """

    column: int
    values: tuple[float, ...]
    x: Tensor
    y: Tensor
    known_x: Tensor
    known_y: Tensor

    def without(self, x: Tensor) -> Tensor:
        """Return rows (n, d − 1) without the column."""
        return torch.cat((x[:, : self.column], x[:, self.column + 1 :]), 1)

    def guessed(self, value: float) -> Tensor:
        """Return the records (n, d) as they would be with this value."""
        changed = self.x.clone()
        changed[:, self.column] = value
        return changed

    @property
    def frequencies(self) -> Tensor:
        """How often each value occurs among the known records (values,), each at least once."""
        own = self.known_x[:, self.column]
        counts = torch.tensor([float((own == value).sum()) for value in self.values]) + 1
        return counts / counts.sum()


def guess(hidden: Hidden, known: Tensor, asked: Tensor, learner: Learner, rng: torch.Generator) -> Tensor:
    """Train one classifier for each value on the known records and take the surest (n,).

    known (m, k), asked (n, k): what the target told of the known and of the wanted records; no column for nothing.
    """
    classes = int(torch.cat((hidden.known_y, hidden.y)).max()) + 1

    def features(x: Tensor, y: Tensor, told: Tensor) -> Tensor:
        return torch.cat((hidden.without(x).double(), one_hot(y, classes).double(), told.double()), 1)

    first = features(hidden.known_x, hidden.known_y, known)
    second = features(hidden.x, hidden.y, asked)
    centre, scale = first.mean(0), first.std(0).clamp_min(1e-9)
    truth = hidden.known_x[:, hidden.column]
    rows = []
    for value in hidden.values:
        score = LEARNERS[learner]((first - centre) / scale, truth == value, rng)
        rows.append(score((second - centre) / scale))
    return torch.stack(rows, 1).argmax(1)
