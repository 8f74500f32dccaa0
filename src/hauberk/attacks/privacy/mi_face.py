"""Model inversion by gradient: what does the model think a class looks like?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn.functional import softplus

from hauberk.core.card import Card
from hauberk.core.protocols import Differentiable
from hauberk.numeric.adam import Adam
from hauberk.numeric.smoothness import total_variation

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class MIFace:
    """Climb the log odds of each class from one start, looking at noisy and moved copies of it.

    Fredrikson et al. 2015, "Model inversion attacks that exploit confidence information", §5 (MI-Face), and what makes
    it look like the class rather than like noise: the gradient is taken at a moved and noisy copy (Athalye et al.
    2018's expectation over transformations), what is added to the start is kept small and smooth, and steps shrink.
    All classes side by side; one gradient a step.

    steps: of Adam. rate: its first step as a share of the input's range. noise: deviation of the copy, same share.
    shift: pixels an image is moved by, at most. smooth: weight of the change's total variation. near: weight of the
    change's squared l2 length; both in units of the range.
    """

    card: ClassVar[Card] = Card(
        title="MI-Face (model inversion)",
        summary="Makes a typical input of every class from the model's gradient; leaks where classes are people.",
        paper="Fredrikson et al. 2015, doi:10.1145/2810103.2813677, §5",
        needs=("gradients",),
        inputs=("chw", "row"),
        threats=("AML.T0024.001", "OWASP-ML03"),
        extra="models",
    )

    steps: int = 200
    rate: float = 0.03
    noise: float = 0.3
    shift: int = 1
    smooth: float = 5.0
    near: float = 0.03

    def invert(self, target: Differentiable, classes: Tensor, start: Tensor, rng: torch.Generator) -> Tensor:
        """Return an input (m, *shape) for each of the classes (m,), from one start (*shape)."""
        low, high = target.spec.bounds
        span = high - low
        x = start.expand(len(classes), *start.shape).clone().requires_grad_()
        optimizer = Adam([x], self.rate * span)
        rows = torch.arange(len(classes))
        with torch.enable_grad():
            for step in range(self.steps):
                optimizer.rate = self.rate * span * (1 - step / self.steps)
                logits = target.forward(self._copy(x, span, rng))
                rest = logits.scatter(1, classes[:, None], -torch.inf).logsumexp(1)
                change = (x - start) / span
                loss = softplus(rest - logits[rows, classes]) + self.near * change.flatten(1).square().sum(1)
                if x.ndim == 4:
                    loss = loss + self.smooth * total_variation(change)
                optimizer.step(loss.sum())
                with torch.no_grad():
                    x.clamp_(low, high)
        return x.detach()

    def _copy(self, x: Tensor, span: float, rng: torch.Generator) -> Tensor:
        copy = x + self.noise * span * torch.randn(x.shape, generator=rng)
        if x.ndim == 4 and self.shift:
            down, right = torch.randint(-self.shift, self.shift + 1, (2,), generator=rng).tolist()
            copy = torch.roll(copy, (down, right), (2, 3))
        return copy
