"""Objective perturbation: linear classifiers whose loss is tilted by noise before it is minimised."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.privacy_events import BoundedRelease
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.private_defense import SEEDED, UNLIMITED, UNSEEN, Account, Budget, Private, applied
from hauberk.defenses.private_linear import built, prepared, promised, within_budget
from hauberk.numeric.convex_fit import fit_logistic
from hauberk.numeric.private_noise import NoiseSource

LIPSCHITZ, SMOOTH = 1.0, 0.25
"""Of the logistic loss with rows of norm 1: largest gradient, largest curvature."""


@dataclass(frozen=True, slots=True)
class ObjectivePerturbation:
    """Train one logistic regression a class, each on a loss with a random linear term, to its minimum.

    Kifer, Smith & Thakurta 2012, algorithm 1 with Gaussian noise: ‖gradient‖ ≤ 1 and curvature ≤ 1/4 for rows of norm
    1, regularisation 2 · curvature / ε, noise variance (8 ln(2/δ) + 4ε)/ε². A problem of k classes is k such releases
    (one for two classes), each with its share of ε and δ. The proof is of the exact minimum; solved to 1e-7 in float64.

    epsilon, delta: the promise; delta 0 for rows^−1.1. ridge: regularisation besides, per row. norm: a bound on the
    rows' norms known beforehand; 0 for what the input bounds allow. secret: noise nobody can make again.
    """

    card: ClassVar[Card] = Card(
        title="Objective perturbation",
        summary="Logistic regression whose loss is tilted by noise: often more accurate than noise at the end.",
        paper="Kifer, Smith & Thakurta 2012; Chaudhuri et al. 2011, §3.3",
        needs=("gradients", "module"),
        inputs=("chw", "row"),
        threats=("AML.T0024.000", "OWASP-ML04"),
        extra="privacy",
    )

    epsilon: float = 3.0
    delta: float = 0.0
    ridge: float = 1e-4
    norm: float = 0.0
    secret: bool = True

    def planned(self, rows: int, budget: Budget = UNLIMITED) -> Account:
        """Say what a run releases at most, as one problem: k of them share the same ε and δ."""
        return self._account(rows, 1, budget)

    def _account(self, rows: int, problems: int, budget: Budget) -> Account:
        delta = promised(self.delta, rows)
        event = BoundedRelease(epsilon=self.epsilon / problems, delta=delta / (2 * problems), count=problems)
        within_budget((event,), delta, budget)
        return Account(
            events=(event,),
            relation="add_or_remove",
            delta=delta,
            rows=rows,
            sampling="every row is used once in each convex problem",
            noise_source=UNSEEN if self.secret else SEEDED,
            tuned=("ridge", "norm"),
            notes=("the proof is of the exact minimum; it was solved to a gradient norm of 1e-7",),
            mechanism=f"objective perturbation, {problems} logistic regressions",
        )

    def train(
        self, target: Target, data: Split, rng: torch.Generator, *, budget: Budget = UNLIMITED, progress: Progress
    ) -> Private:
        """Return the private classifier and what it cost."""
        modular, rows = prepared(target, data, self.norm)
        problems = 1 if rows.classes == 2 else rows.classes
        account = self._account(len(rows.y), problems, budget)
        source = NoiseSource() if self.secret else NoiseSource.seeded(rng)
        found = []
        with progress.step("objective perturbation", problems, "fits") as step:
            for wanted in range(1 if problems == 1 else 0, 2 if problems == 1 else problems):
                label = (rows.y == wanted).long()
                found.append(self._one(rows.x, label, account.events[0], source))
                step.advance()
        weights = torch.stack([torch.zeros_like(found[0]), found[0]]) if problems == 1 else torch.stack(found)
        return Private(built(modular, weights, rows, "objective perturbation"), account)

    def _one(self, x: torch.Tensor, y: torch.Tensor, event: object, source: NoiseSource) -> torch.Tensor:
        """Solve one problem; returns its weights (d,)."""
        assert isinstance(event, BoundedRelease)
        n, e = len(y), event.epsilon
        ridge = self.ridge + 2 * SMOOTH / (n * e)
        scale = LIPSCHITZ * math.sqrt(8 * math.log(2 / event.delta) + 4 * e) / e
        tilt = source.normal(x.shape[1], scale=scale).double()
        return fit_logistic(x, y, ridge, tilt)

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
        """Return the private classifier alone."""
        return applied(self.train(target, data, rng, progress=progress))
