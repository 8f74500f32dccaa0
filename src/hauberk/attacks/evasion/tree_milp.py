"""Tree MILP: the exact nearest error of a small tree ensemble by integer programme, or the proof that there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.allowed import allowed
from hauberk.attacks.tree_target import aim_of, forest_of, set_of
from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.active import take
from hauberk.numeric.rows import Rows
from hauberk.numeric.tree_moves import cells
from hauberk.numeric.tree_programme import Solution, nearest_error
from hauberk.numeric.tree_reach import taken


@dataclass(frozen=True, slots=True)
class TreeMILP:
    """Mixed-integer programme on a tree ensemble.

    seconds: for each sample; what is not solved by then returns the nearest error found so far.
    """

    card: ClassVar[Card] = Card(
        title="Exact attack on trees",
        summary="Exact nearest error by integer programme: the yardstick on small ensembles, too slow for large ones.",
        paper="Kantchelian, Tygar & Joseph 2016, arXiv:1509.07892",
        needs=("trees",),
        norms=("linf", "l2", "l1", "l0"),
        sets=("constraints",),
        inputs=("row",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    seconds: float = 10.0

    def run(
        self,
        target: Target,
        x: torch.Tensor,
        y: torch.Tensor,
        threat: Threat,
        rng: torch.Generator,  # noqa: ARG002
    ) -> torch.Tensor:
        """Return the nearest error of each row x (n, d) inside the set, or the row itself where none was found.

        Nothing is random, but a run that meets its time limit depends on the machine. Raises as `solve`.
        """
        found = [solution.x for solution in self.solve(target, x, y, threat)]
        return torch.stack(found) if found else x.clone()

    def solve(self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat) -> list[Solution]:
        """Return all that is known of each row x (n, d): nearest error, its distance, a lower bound, and the status.

        Raises MissingPower where the target shows no trees, UsageError for a threat without ball or constraints, and
        for a table with one-hot groups or relations.
        """
        forest = forest_of(target, x)
        where, aim = set_of(allowed(threat, x, target.spec.bounds), threat), aim_of(y, threat)
        if isinstance(where, Rows) and (len(where.links.values) or any(len(columns) > 1 for columns in where.units)):
            raise UsageError(
                "evasion.tree_milp knows no one-hot groups and no relations", fix="use evasion.tree_coordinates"
            )
        cut, rows = cells(forest), [torch.tensor([row]) for row in range(len(x))]
        return [nearest_error(forest, cut, taken(where, row), take(aim, row), self.seconds) for row in rows]
