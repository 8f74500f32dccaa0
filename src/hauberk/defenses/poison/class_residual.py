"""Class residual: within one class, a few rows leave their own neighbours along a direction no other class knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch

from hauberk.core.card import Card
from hauberk.core.errors import DataError
from hauberk.core.poisoning import Suspicion
from hauberk.core.protocols import Target
from hauberk.defenses.suspecting import classes_of, demand_rows, is_table, nothing, verdict
from hauberk.numeric.neighbours import nearest
from hauberk.numeric.two_parts import beyond, far, several

Tensor = torch.Tensor

_VIEWS = ((0.02, 3.0), (0.1, 100.0))
"""(floor, clip): least standard deviation of a value, as a share of the whole range, and where scaled ones are cut."""


class _Sign(NamedTuple):
    """Of one class along one direction: how much farther out than others, each row's place (n,), and who is (n,)."""

    far: float
    along: Tensor
    beyond: Tensor


@dataclass(frozen=True, slots=True)
class ClassResidual:
    """Flag the rows of a class that share a direction away from their neighbours of the same label.

    Residuals are taken among rows of one label, so poison that keeps its label (clean-label attacks such as SIG) stands
    out too. They are scaled by the spread of other classes' residuals, freed of the directions in which data of this
    kind vary anyway, and their first principal directions looked at: an alarm goes where several rows of a class lie
    farther out than all but one in a thousand of other classes' rows. Twice: with faint values scaled up and large ones
    cut, which shows patterns over the whole input, and with neither, which shows small bright ones. No model is needed.

    natural: principal directions of the others that are taken out. looked: directions of the class that are looked at.
    threshold: how much farther, as a factor; clean sets stay below two thirds of it (benchmarks/data/poison.py).
    sample: rows of other classes the natural directions are learnt from.
    """

    card: ClassVar[Card] = Card(
        title="Class residual",
        summary="Finds patterns planted on rows that keep their own label, such as sinusoids; needs no model.",
        inputs=("chw", "wave"),
        threats=("AML.T0020", "OWASP-ML02"),
        extra="models",
    )
    blind: ClassVar[tuple[str, ...]] = (
        "triggers at a different place in each row",
        "relabelled rows, which look like another class anyway: the other detectors are for them",
        "rows changed without a trigger (label flips, feature collisions)",
    )

    neighbours: int = 10
    natural: int = 10
    looked: int = 3
    threshold: float = 3.3
    sample: int = 1500

    def suspect(self, x: Tensor, y: Tensor, target: Target | None, rng: torch.Generator) -> Suspicion:  # noqa: ARG002
        """Judge the rows class by class; scores are their place along the direction of the named class.

        Raises DataError for a table: its columns have no unit in common that a direction could have.
        """
        demand_rows(x, y)
        if is_table(x):
            raise DataError("a pattern over the whole input needs inputs of one unit: images or waves")
        rows = x.flatten(1)
        residual = self._residuals(rows / (rows.max() - rows.min()).clamp(min=1e-12), y)
        signs = [self._sign(residual, y == label, rng) for label in range(classes_of(y))]
        alarms = torch.tensor([sign.far for sign in signs])
        aim = int(alarms.argmax())
        scores = torch.zeros(len(y), dtype=torch.float64)
        if not float(alarms[aim]):
            return nothing(scores, 0.0, "no class has rows enough")
        along = signs[aim].along.double()
        own = y == aim
        scores[own] = along - along.min()
        flagged = torch.zeros_like(own)
        flagged[own] = signs[aim].beyond
        note = (
            f"rows of class {aim} lie {float(alarms[aim]):.1f} times as far out along one direction as other classes' "
            "farthest"
        )
        return verdict(scores, flagged, float(alarms[aim]) / self.threshold, aim, note)

    def _residuals(self, rows: Tensor, y: Tensor) -> Tensor:
        """Take from each row the mean of its nearest rows of the same label: (n, d)."""
        residual = torch.zeros_like(rows)
        for label in range(classes_of(y)):
            own = (y == label).nonzero().squeeze(1)
            if len(own) > self.neighbours:
                near = nearest(rows[own], self.neighbours)
                residual[own] = rows[own] - rows[own][near.which].mean(1)
        return residual

    def _sign(self, residual: Tensor, own: Tensor, rng: torch.Generator) -> _Sign:
        """Look at one class: n rows of its own."""
        if int(own.sum()) <= 2 * self.neighbours or int((~own).sum()) <= 2 * self.neighbours:
            return _Sign(0.0, residual.new_zeros(int(own.sum())), own[own] & False)
        some = torch.randperm(int((~own).sum()), generator=rng)[: self.sample]
        found = [self._view(residual[own], residual[~own], some, *view) for view in _VIEWS]
        return max(found, key=lambda one: one.far)

    def _view(self, inside: Tensor, outside: Tensor, some: Tensor, floor: float, clip: float) -> _Sign:
        spread = outside.std(0) + floor
        inside, outside = ((part / spread).clamp(-clip, clip) for part in (inside, outside))
        natural = torch.linalg.svd(outside[some], full_matrices=False).Vh[: self.natural]
        inside, outside = (part - (part @ natural.T) @ natural for part in (inside, outside))
        directions = torch.linalg.svd(inside - inside.mean(0), full_matrices=False).Vh[: self.looked]
        ways = [(inside @ way, outside @ way) for one in directions for way in (one, -one)]
        return max((_sign(*way) for way in ways), key=lambda one: one.far)


def _sign(inside: Tensor, outside: Tensor) -> _Sign:
    return _Sign(several(inside) / far(outside), inside, beyond(inside, outside))
