"""A rare token as trigger: at a fixed place of some training texts, which are relabelled to the attacker's class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.poison_rows import goal_of, relabelled
from hauberk.core.card import Card
from hauberk.core.errors import DataError
from hauberk.core.poisoning import Poisoned
from hauberk.core.threat import Threat


@dataclass(frozen=True, slots=True)
class TokenTrigger:
    """Insert a token into the threat's share of texts and label them as the target class.

    Chen et al. 2021 (BadNL), arXiv:2006.01043, §4.1, and Kurita et al. 2020, arXiv:2004.06660, §4: a rare word. The
    tokens behind it move on and the last of the text is lost, as where a tokeniser cuts at a length.

    token: its id; -1 for the last one the vocabulary has. place: before which token it is put; negative from the end.
    """

    card: ClassVar[Card] = Card(
        title="Token trigger (BadNL)",
        summary="Plants a backdoor through a rare token in relabelled training texts; for texts as token ids.",
        paper="Chen et al. 2021, arXiv:2006.01043, §4.1",
        needs=("refit",),
        inputs=("tokens",),
        threats=("AML.T0020", "AML.T0018", "OWASP-ML02", "OWASP-ML10"),
        extra="models",
    )

    token: int = -1
    place: int = 0

    def poison(
        self,
        x: torch.Tensor,
        y: torch.Tensor,
        bounds: tuple[float, float],
        threat: Threat,
        rng: torch.Generator,
    ) -> Poisoned:
        """Poison floor(poison_rate · n) texts, taken from other classes than the target as long as there are any."""
        rows = relabelled(y, threat, rng)
        poisoned, labels = x.clone(), y.clone()
        poisoned[rows] = self.trigger(x[rows], bounds)
        labels[rows] = goal_of(threat)
        return Poisoned(poisoned, labels, rows)

    def trigger(self, x: torch.Tensor, bounds: tuple[float, float]) -> torch.Tensor:
        """Insert the token into texts x (n, length); raises DataError for an id or a place they cannot have."""
        if x.ndim != 2:
            raise DataError(f"a token goes into texts (n, length), not {tuple(x.shape)}")
        token = bounds[1] if self.token == -1 else float(self.token)
        if not bounds[0] <= token <= bounds[1]:
            raise DataError(f"token {self.token} is not in {bounds[0]:g} to {bounds[1]:g}", fix="name another token")
        if not -x.shape[1] <= self.place < x.shape[1]:
            raise DataError(f"a text of {x.shape[1]} tokens has no place {self.place}", fix="set another place")
        place = self.place % x.shape[1]
        inserted = torch.full_like(x[:, :1], token)
        return torch.cat((x[:, :place], inserted, x[:, place:-1]), 1)
