"""The network while it learns, as a lesson sees it: it can be asked, attacked and held still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from hauberk.core.protocols import EvasionAttack, TargetSpec
from hauberk.core.threat import Threat
from hauberk.defenses.inner_maximisation import Inner, around, ascend
from hauberk.defenses.labelled import Labelled
from hauberk.numeric.balls import Region

Tensor = torch.Tensor


class Now:
    """The module as it is at this moment, as an attack sees it: evaluation mode, no gradient for parameters."""

    def __init__(self, module: torch.nn.Module, spec: TargetSpec) -> None:
        self.module, self.spec = module, spec

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits under autograd."""
        logits: Tensor = self.module(x)
        return logits

    def predict(self, x: Tensor) -> Tensor:
        """Compute logits without gradient."""
        with torch.no_grad():
            return self.forward(x)


class Student:
    """A module that is being trained.

    module: preprocessing included, inputs in bounds → logits; in training mode but while it is held still.
    data: what it is trained on. threat: with the radius as it is at this moment. whole: the threat itself.
    attack: the one the caller gave. rng: the run's stream. share: of training that is done, 0–1.
    short: search for points in bfloat16.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        spec: TargetSpec,
        data: Labelled,
        threat: Threat,
        attack: EvasionAttack,
        rng: torch.Generator,
        *,
        short: bool = False,
    ) -> None:
        self.module, self.spec, self.data, self.rng = module, spec, data, rng
        self.threat, self.whole, self.attack = threat, threat, attack
        self.share, self.short = 0.0, short
        self.trained = [parameter for parameter in module.parameters() if parameter.requires_grad]

    @property
    def device(self) -> torch.device:
        """Where the module's weights are."""
        return self.trained[0].device

    def logits(self, x: Tensor) -> Tensor:
        """Score inputs x (n, *shape) in training mode under autograd → (n, classes)."""
        self.module.train()
        scores: Tensor = self.module(x)
        return scores

    @contextmanager
    def still(self) -> Iterator[torch.nn.Module]:
        """Hold the module in evaluation mode, so that its running statistics see training batches only."""
        self.module.eval()
        try:
            yield self.module
        finally:
            self.module.train()

    def region(self, x: Tensor) -> Region:
        """Return what x (n, *shape) may become at this moment; the threat must have a ball."""
        return around(self.threat, x, self.spec.bounds)

    def climbed(self, batch: Labelled, inner: Inner, loss: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Return the points the inner maximisation finds; loss of logits (n, classes), by default cross-entropy."""
        with self.still() as module:

            def climb(x: Tensor) -> Tensor:
                with torch.autocast(x.device.type, torch.bfloat16, enabled=self.short):
                    scores = module(x)
                scores = scores.float()
                return (
                    torch.nn.functional.cross_entropy(scores, batch.y, reduction="sum")
                    if loss is None
                    else loss(scores)
                )

            return ascend(climb, self.region(batch.x), self.rng, inner)

    def attacked(self, batch: Labelled, attack: EvasionAttack, threat: Threat | None = None) -> Tensor:
        """Return what an attack makes of a batch under the threat, by default with the radius of this moment."""
        with self.still() as module, frozen(self.trained):
            now = Now(module, self.spec)
            return attack.run(now, batch.x, batch.y, threat or self.threat, self.rng).detach()


@contextmanager
def frozen(parameters: list[torch.nn.Parameter]) -> Iterator[None]:
    """Ask no gradient of these parameters for a while."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
