"""Randomized smoothing: the class most noisy looks at the input agree on, with a certificate in l2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn.functional import cross_entropy

from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import EvasionAttack, Modular, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.smoothed import smoothed
from hauberk.defenses.transforming_training import descend, tensors

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class RandomizedSmoothing:
    """Answer by vote over Gaussian noise, and prove with a sequential test that no small change alters the vote.

    Only noise the model has learned to see through leaves a certificate: it is fine-tuned on noisy training inputs.
    Falls to: nothing within the certified radius, but for the certificate's error; beyond it to attacks on the mean
    (Salman et al. 2019, arXiv:1906.04584). Each answer costs `looks` answers of the model.

    sigma: of the noise, in input units. looks: of an answer. error: of a certificate; most: looks it may take.
    epochs, rate: of the fine-tuning; 0 epochs for none. draws: means a search takes of gradients.
    """

    card: ClassVar[Card] = Card(
        title="Randomized smoothing",
        summary="Votes over noisy looks; the only defense here whose robustness in l2 is proven for any network.",
        paper="Cohen et al. 2019, arXiv:1902.02918",
        norms=("l2", "linf", "l1", "l0"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    sigma: float = 0.25
    looks: int = 50
    error: float = 0.001
    most: int = 10000
    epochs: int = 5
    rate: float = 1e-3
    draws: int = 4

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
        """Return the smoothed target, fine-tuned where it is a module.

        Raises UsageError for settings without sense and for too few samples to fine-tune on.
        """
        if self.sigma <= 0 or self.looks < 1 or not 0 < self.error < 0.5 or self.most < 1:
            raise UsageError(
                f"sigma {self.sigma:g}, looks {self.looks}, error {self.error:g}, most {self.most}",
                fix="choose sigma above 0, an error below 0.5 and at least one look",
            )
        if isinstance(target, Modular) and self.epochs:
            x, y = tensors(data, "randomized smoothing")
            target.predict(x[:2])
            module = target.module()

            def loss(part: Tensor, labels: Tensor) -> Tensor:
                return cross_entropy(module(part + self.sigma * torch.randn(part.shape, generator=rng)), labels)

            descend(module, loss, x, y, self.epochs, self.rate, rng, progress, "randomized smoothing")
            target = target.rebuild(module, f"{target.spec.name} tuned to noise")
        return smoothed(target, self.sigma, self.looks, self.error, self.most, self.draws, rng)
