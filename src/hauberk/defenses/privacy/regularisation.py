"""Regularisation against membership inference: weight decay, smoothed labels and early stopping on rows held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from hauberk.core.card import Card
from hauberk.core.errors import MissingPower
from hauberk.core.protocols import EvasionAttack, Modular, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.plain_training import Course, fit
from hauberk.defenses.private_training import fresh_copy


@dataclass(frozen=True, slots=True)
class Regularisation:
    """Train afresh so that training rows are not remembered better than others: the cheapest defense, without a proof.

    Members show by lower loss; what narrows the gap between training and other rows narrows that (Yeom et al. 2018,
    arXiv:1709.01604; Song & Mittal 2021, arXiv:2003.10595). It hides the average row better than the unusual one: ask
    LiRA or RMIA at low false positive rates before trusting it.

    epochs, patience: passes at most, and those without improvement on held_out rows that end training. weight_decay:
    decoupled. smoothing: share of each label spread over all classes.
    """

    card: ClassVar[Card] = Card(
        title="Regularisation and early stopping",
        summary="Trains less, smaller and less sure: narrows the gap that membership attacks read; proves nothing.",
        paper="Yeom et al. 2018, arXiv:1709.01604; Song & Mittal 2021, arXiv:2003.10595",
        needs=("gradients", "module"),
        inputs=("chw", "row", "tokens", "wave"),
        threats=("AML.T0024.000", "OWASP-ML04"),
        extra="models",
    )

    epochs: int = 60
    patience: int = 5
    held_out: float = 0.2
    weight_decay: float = 0.1
    smoothing: float = 0.0
    learning_rate: float = 3e-3
    batch: int = 64

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
        """Return a target like this one, trained afresh; raises MissingPower for one without a module."""
        if not isinstance(target, Modular):
            raise MissingPower(f"{target.spec.name} cannot give its module", fix="load it as a torch model")
        x, y = torch.from_numpy(np.array(data.x)), torch.from_numpy(np.array(data.y))
        target.predict(x[:2])
        module = fresh_copy(target.module(), rng)
        course = Course(
            self.epochs,
            self.batch,
            self.learning_rate,
            self.weight_decay,
            self.smoothing,
            self.held_out,
            self.patience,
        )
        with progress.step("regularised training", 1, "runs") as step:
            fit(module, x, y, course, rng)
            step.advance()
        return target.rebuild(module, f"{target.spec.name} + regularisation")
