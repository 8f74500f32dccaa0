"""Output perturbation: a regularised linear classifier with noise on its weights, once, at the end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.privacy_events import GaussianRelease
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.private_defense import SEEDED, UNLIMITED, UNSEEN, Account, Budget, Private, applied
from hauberk.defenses.private_linear import built, prepared, promised, within_budget
from hauberk.numeric.calibration import noise_for
from hauberk.numeric.convex_fit import SOLVED, fit_linear
from hauberk.numeric.private_noise import NoiseSource


@dataclass(frozen=True, slots=True)
class OutputPerturbation:
    """Train a linear classifier to the minimum of a strongly convex loss and add noise to what comes out.

    The minimum moves by 2L / (n · ridge) at most when one row is another (L = √2: softmax gradients of rows of norm 1).
    Chaudhuri, Monteleoni & Sarwate 2011, §3.2; as the "bolt-on" method: Wu et al. 2017, arXiv:1606.04722.

    epsilon, delta: the promise; delta 0 for rows^−1.1. ridge: strength of regularisation, per row. norm: a bound on the
    rows' norms known beforehand; 0 for what the input bounds allow. secret: noise nobody can make again.
    """

    card: ClassVar[Card] = Card(
        title="Output perturbation",
        summary="A linear classifier with noise added once, after training: simple, any solver, one release.",
        paper="Chaudhuri et al. 2011; Wu et al. 2017, arXiv:1606.04722",
        needs=("gradients", "module"),
        inputs=("chw", "row"),
        threats=("AML.T0024.000", "OWASP-ML04"),
        extra="privacy",
    )

    epsilon: float = 3.0
    delta: float = 0.0
    ridge: float = 1e-2
    norm: float = 0.0
    secret: bool = True

    def planned(self, rows: int, budget: Budget = UNLIMITED) -> Account:
        """Say what one run releases."""
        delta = promised(self.delta, rows)
        noise = noise_for(lambda sigma: (GaussianRelease(noise=sigma),), self.epsilon, delta, relation="replace")
        events = (GaussianRelease(noise=noise),)
        within_budget(events, delta, budget)
        return Account(
            events=events,
            relation="replace",
            delta=delta,
            rows=rows,
            sampling="every row is used once, in one convex problem",
            noise_source=UNSEEN if self.secret else SEEDED,
            noise=noise,
            tuned=("ridge", "norm"),
            notes=() if self.secret else ("the noise can be made again from the seed: for tests only",),
            mechanism=f"output perturbation of a linear classifier, ridge {self.ridge:g}",
        )

    def train(
        self, target: Target, data: Split, rng: torch.Generator, *, budget: Budget = UNLIMITED, progress: Progress
    ) -> Private:
        """Return the private classifier and what it cost."""
        account = self.planned(len(data.y), budget)
        modular, rows = prepared(target, data, self.norm)
        with progress.step("output perturbation", 1, "fits") as step:
            weights = fit_linear(rows.x, rows.y, rows.classes, self.ridge)
            step.advance()
        # Two data sets of n rows that differ in one: 2L/n on the gradient, and twice the solver's own gap.
        moved = 2 * (math.sqrt(2) / len(rows.y) + SOLVED) / self.ridge
        source = NoiseSource() if self.secret else NoiseSource.seeded(rng)
        # The accountant's noise multiplies half of what replacing a row moves.
        scale = float(account.noise or 0.0) * moved / 2
        noisy = weights + source.normal(*weights.shape, scale=scale).double()
        return Private(built(modular, noisy, rows, "output perturbation"), account)

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
