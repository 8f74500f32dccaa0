"""PATE: teachers on disjoint rows vote with noise on the labels of other inputs, from which a student learns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch.nn.functional import one_hot

from hauberk.core.card import Card
from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.privacy_events import GaussianRelease
from hauberk.core.protocols import EvasionAttack, Modular, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.plain_training import Course, fit
from hauberk.defenses.private_defense import SEEDED, UNLIMITED, UNSEEN, Account, Budget, Private, applied
from hauberk.defenses.private_linear import promised, within_budget
from hauberk.defenses.private_training import fresh_copy
from hauberk.numeric.calibration import noise_for
from hauberk.numeric.private_noise import NoiseSource


@dataclass(frozen=True, slots=True)
class PATE:
    """Train teachers on disjoint parts, label public inputs by their noisy votes, and train the student on those.

    Papernot et al. 2018, arXiv:1802.08908 (GNMax). One row reaches one teacher, whose vote moves from one class to
    another: the votes move by √2 in L2 at most, whatever the training. Accounted by that alone; where teachers agree,
    the papers' data-dependent analysis would show less, but that figure must itself be kept secret.

    epsilon, delta: the promise for the teachers' rows; delta 0 for rows^−1.1. teachers: how many. public: share of the
    rows whose inputs serve the student: they are NOT protected, and count as public; their labels are not used.
    queries: inputs that are voted on. epochs: of every network. secret: noise nobody can make again.
    """

    card: ClassVar[Card] = Card(
        title="PATE",
        summary="A student taught by noisy votes of teachers on disjoint rows: any training, where inputs are public.",
        paper="Papernot et al. 2018, arXiv:1802.08908",
        needs=("gradients", "module"),
        inputs=("chw", "row", "tokens", "wave"),
        threats=("AML.T0024.000", "OWASP-ML04"),
        extra="privacy",
    )

    epsilon: float = 3.0
    delta: float = 0.0
    teachers: int = 50
    public: float = 0.3
    queries: int = 200
    epochs: int = 30
    learning_rate: float = 3e-3
    secret: bool = True

    def planned(self, rows: int, budget: Budget = UNLIMITED) -> Account:
        """Say what the votes release at most."""
        own = rows - round(self.public * rows)
        asked = min(self.queries, rows - own)
        if own < 2 * self.teachers or asked < 2:
            raise UsageError(
                f"{rows} rows are too few for {self.teachers} teachers and a student", fix="set fewer teachers"
            )
        delta = promised(self.delta, own)
        noise = noise_for(lambda sigma: (GaussianRelease(noise=sigma, count=asked),), self.epsilon, delta)
        events = (GaussianRelease(noise=noise, count=asked),)
        within_budget(events, delta, budget)
        return Account(
            events=events,
            relation="zero_out",
            delta=delta,
            rows=own,
            sampling="each row is in the part of one teacher; no gain of chance is counted",
            noise_source=UNSEEN if self.secret else SEEDED,
            noise=noise,
            tuned=("teachers", "queries", "epochs"),
            notes=(f"the inputs of {rows - own} rows count as public and are not protected",),
            mechanism=f"PATE: {asked} votes of {self.teachers} teachers, noise of {noise * math.sqrt(2):.1f} votes",
        )

    def train(
        self, target: Target, data: Split, rng: torch.Generator, *, budget: Budget = UNLIMITED, progress: Progress
    ) -> Private:
        """Return the student and what the votes cost."""
        if not isinstance(target, Modular):
            raise MissingPower(f"{target.spec.name} cannot give its module", fix="load it as a torch model")
        account = self.planned(len(data.y), budget)
        x, y = torch.from_numpy(np.array(data.x)), torch.from_numpy(np.array(data.y))
        target.predict(x[:2])
        order = torch.randperm(len(x), generator=rng)
        own, asked = order[: account.rows], order[account.rows :][: account.events[0].count]
        course = Course(self.epochs, 32, self.learning_rate)
        votes = torch.zeros(len(asked), target.spec.classes)
        with progress.step("PATE", self.teachers + 1, "networks") as step:
            for part in own.chunk(self.teachers):
                teacher = fresh_copy(target.module(), rng)
                fit(teacher, x[part], y[part], course, rng)
                with torch.no_grad():
                    votes += one_hot(teacher(x[asked]).argmax(1), votes.shape[1])
                step.advance()
            source = NoiseSource() if self.secret else NoiseSource.seeded(rng)
            scale = float(account.noise or 0.0) * math.sqrt(2)
            labels = (votes + source.normal(*votes.shape, scale=scale)).argmax(1)
            student = fresh_copy(target.module(), rng)
            fit(student, x[asked], labels, course, rng)
            step.advance()
        return Private(target.rebuild(student, f"{target.spec.name} + PATE"), account)

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
        """Return the student alone."""
        return applied(self.train(target, data, rng, progress=progress))
