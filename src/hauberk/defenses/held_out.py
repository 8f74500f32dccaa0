"""The held-out part that chooses the best state: attacked with the caller's attack at the full radius."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch

from hauberk.core.protocols import EvasionAttack, TargetSpec
from hauberk.core.threat import Threat
from hauberk.defenses.labelled import Accuracy, Labelled
from hauberk.defenses.student import Now, frozen


class HeldOut:
    """Samples kept from training, and how they are judged."""

    MOST: ClassVar[int] = 1000
    """Samples beyond which a better estimate would not change which state is best."""

    def __init__(
        self,
        data: Labelled,
        threat: Threat,
        attack: EvasionAttack,
        judge: Callable[[torch.nn.Module, Labelled], torch.Tensor] | None = None,
    ) -> None:
        self.data, self._threat, self._attack, self._judge = data, threat, attack, judge

    def accuracy(self, module: torch.nn.Module, spec: TargetSpec) -> Accuracy:
        """Measure a module, the student's or its average, in evaluation mode.

        A sample that is wrong without attack is not robust, whatever the attack made of it. The same attack stream at
        every look, so that looks differ by the weights alone.
        """
        robust, clean = [], []
        rng = torch.Generator().manual_seed(0)
        training = module.training
        for part in self.data.split():
            now = Now(module.eval(), spec)
            right = now.predict(part.x).argmax(1) == part.y
            clean.append(right)
            robust.append(right & self._withstands(now, part, rng))
        module.train(training)
        return Accuracy(float(torch.cat(robust).double().mean()), float(torch.cat(clean).double().mean()))

    def _withstands(self, now: Now, part: Labelled, rng: torch.Generator) -> torch.Tensor:
        if self._judge is not None:
            return self._judge(now.module, part)
        with frozen([parameter for parameter in now.module.parameters() if parameter.requires_grad]):
            attacked = self._attack.run(now, part.x, part.y, self._threat, rng).detach()
        return now.predict(attacked).argmax(1) == part.y
