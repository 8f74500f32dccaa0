"""Watermark by trigger set: the model learns secret labels of secret inputs beside its task."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch.nn.functional import one_hot

from hauberk.core.card import Card
from hauberk.core.errors import DataError, MissingPower
from hauberk.core.protocols import EvasionAttack, Modular, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.plain_training import Course, fit
from hauberk.defenses.secret_marks import marks


@dataclass(frozen=True, slots=True)
class TriggerSet:
    """Fine-tune the model on its training rows, with its own answers, and on marks that follow from a secret.

    Adi et al. 2018, arXiv:1802.04633, §4; labels are uniform, so that the p-value of a match is exact for any model
    that is independent of the secret (`hauberk.defenses.secret_marks.p_value`). Seal a digest of the secret with the
    model: a secret found afterwards proves nothing.
    Falls to: extraction and distillation on other inputs, which seldom carry the marks over; long fine-tuning and
    pruning wear it down (Lukas et al. 2022, arXiv:2108.04974).

    secret: at least 16 random characters; evidence keeps its SHA-256 alone, which dates it. count: marks.
    share: of the rows trained on that are marks, in (0, 1).
    epochs, rate: of the fine-tuning.
    """

    card: ClassVar[Card] = Card(
        title="Watermark by trigger set",
        summary="Teaches the model secret labels of secret inputs, so that a copy of it can be recognised.",
        paper="Adi et al. 2018, arXiv:1802.04633",
        needs=("module",),
        inputs=("chw", "row"),
        threats=("AML.T0024.002", "OWASP-ML05"),
        extra="models",
    )

    secret: str = field(default="", repr=False, metadata={"secret": True})
    count: int = 50
    share: float = 0.2
    epochs: int = 30
    rate: float = 3e-3

    def apply(
        self,
        target: Target,
        data: Split,
        threat: Threat,  # noqa: ARG002
        rng: torch.Generator,
        *,
        attack: EvasionAttack,  # noqa: ARG002
        progress: Progress,  # noqa: ARG002
    ) -> Target:
        """Return a marked copy.

        Raises MissingPower where the model cannot be rebuilt, UsageError for a short secret, DataError without rows or
        for a share outside (0, 1).
        """
        if not isinstance(target, Modular):
            raise MissingPower(f"{target.spec.name} cannot be rebuilt", fix="reach it as a torch module")
        if not len(data.y) or not 0 < self.share < 1:
            raise DataError(
                f"{len(data.y)} training rows and a share of {self.share:g}", fix="give rows and a share in (0, 1)"
            )
        secret, labels = marks(self.secret, target.spec, self.count)
        x = torch.from_numpy(data.x.copy())
        own = target.predict(x)
        shares = own.softmax(1) if target.spec.answers == "logits" else own
        times = max(1, round(self.share / (1 - self.share) * len(x) / self.count))
        rows = torch.cat((x, secret.repeat(times, *[1] * (x.ndim - 1))))
        goal = torch.cat((shares, one_hot(labels, shares.shape[1]).to(shares).repeat(times, 1)))
        module = target.module()
        fit(module, rows, goal, Course(epochs=self.epochs, rate=self.rate), rng)
        return target.rebuild(module.eval(), f"{target.spec.name} + watermark")
