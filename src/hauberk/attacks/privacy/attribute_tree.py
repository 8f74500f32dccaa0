"""Attribute inference, white box, on trees: which value leads a record's path to leaves that training filled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.attributes import Hidden
from hauberk.attacks.recording import answers
from hauberk.core.card import Card
from hauberk.core.protocols import Ensemble
from hauberk.numeric.membership import log_probabilities

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class AttributeTree:
    """Weigh each value by how many known records share the record's leaves with it, and by the label there.

    Fredrikson et al. 2015, doi:10.1145/2810103.2813677, §4.2 (white-box with counts): for each value the paths that the
    trees take are known, and the records that fall into the same leaves tell how likely the value is there.
    """

    card: ClassVar[Card] = Card(
        title="Attribute inference on trees (white box with counts)",
        summary="Uses the trees' leaves: stronger than the black box where trees are deep.",
        paper="Fredrikson et al. 2015, doi:10.1145/2810103.2813677, §4.2",
        needs=("trees", "scores"),
        inputs=("row",),
        threats=("AML.T0024.001", "OWASP-ML03"),
        extra="models",
    )

    def infer(self, target: Ensemble, hidden: Hidden, rng: torch.Generator) -> Tensor:  # noqa: ARG002
        """Return guesses (n,), the place of a value in hidden.values each."""
        forest = target.trees()
        known = forest.leaves(hidden.known_x)
        rows = []
        for value, often in zip(hidden.values, hidden.frequencies.tolist(), strict=True):
            asked = hidden.guessed(value)
            own = forest.leaves(asked)
            same = hidden.known_x[:, hidden.column] == value
            weight = torch.log(torch.tensor(often))
            for tree in range(own.shape[1]):
                size = int(max(own[:, tree].max(), known[:, tree].max())) + 1
                counts = torch.bincount(known[same, tree], minlength=size).double()
                weight = weight + torch.log((counts[own[:, tree]] + 1) / (float(same.sum()) + size)) / own.shape[1]
            label = log_probabilities(answers(target, asked), target.spec.answers)
            rows.append(weight + label.gather(1, hidden.y[:, None])[:, 0])
        return torch.stack(rows, 1).argmax(1)
