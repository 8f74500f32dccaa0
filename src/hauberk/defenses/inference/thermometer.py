"""Thermometer encoding: each value becomes the row of levels it has reached, read by weights fine-tuned for it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from hauberk.core.card import Card
from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.protocols import Differentiable, EvasionAttack, Modular, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.transforming import Paired
from hauberk.defenses.transforming_training import descend, tensors

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Thermometer:
    """Encode every value by the levels it has reached, read the code by learned weights, and fine-tune the model.

    The first linear layer of the code reads each channel by weights of its own, which start as the mean of the levels:
    the model then sees its input rounded. Falls to: BPDA with a ramp for every level (Athalye et al. 2018, §5.2: 30 %
    left at CIFAR-10's 8/255, no more than adversarial training alone). levels: of each value. epochs, rate: of the
    fine-tuning on the training split.
    """

    card: ClassVar[Card] = Card(
        title="Thermometer encoding",
        summary="Rounds inputs into a code the model learns to read; hides the gradient and falls to BPDA.",
        paper="Buckman et al. 2018, OpenReview S18Su--CW",
        needs=("gradients", "module"),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    levels: int = 16
    epochs: int = 3
    rate: float = 1e-3

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
        """Return the fine-tuned model behind the code.

        Raises MissingPower for a target without a module, UsageError for too few samples or fewer than 2 levels.
        """
        if not isinstance(target, Modular):
            raise MissingPower(f"{target.spec.name} cannot give its module", fix="load it as a torch model")
        if self.levels < 2:
            raise UsageError(f"{self.levels} levels tell nothing apart", fix="choose 2 or more")
        x, y = tensors(data, "thermometer encoding")
        target.predict(x[:2])  # a target in memory learns its shape from its first answer
        module = _Encoded(target.module(), x.shape[1], self.levels, target.spec.bounds)
        descend(
            module,
            lambda part, labels: cross_entropy(module(part), labels),
            x,
            y,
            self.epochs,
            self.rate,
            rng,
            progress,
            "thermometer encoding",
        )
        name = f"{target.spec.name} + thermometer encoding"
        deployed = target.rebuild(copy.deepcopy(module), name)
        module.smooth = True
        smooth = target.rebuild(module, name)
        assert isinstance(deployed, Differentiable)
        assert isinstance(smooth, Differentiable)
        return Paired(deployed, smooth, target)


class _Encoded(nn.Module):
    """A network behind its inputs' code.

    smooth: whether a level passes on the gradient of a ramp, as an adaptive attacker has it (Athalye et al., §5.2).
    """

    at: Tensor

    def __init__(self, net: nn.Module, channels: int, levels: int, bounds: tuple[float, float]) -> None:
        super().__init__()
        self.net, self.smooth, self.bounds = net, False, bounds
        self.register_buffer("at", torch.linspace(0, 1, levels + 1)[1:] - 0.5 / levels)
        self.weight = nn.Parameter(torch.full((channels, levels), 1 / levels))

    def forward(self, x: Tensor) -> Tensor:
        """Score x (n, channels, …)."""
        low, high = self.bounds
        unit = (x - low) / (high - low)
        gap = unit.unsqueeze(-1) - self.at
        code = (gap >= 0).to(x) + 0 * gap  # its true derivative, which comparisons would leave out
        if self.smooth and x.requires_grad and torch.is_grad_enabled():
            ramp = (gap + 0.5).clamp(0, 1)
            code = code + (ramp - ramp.detach())
        weight = self.weight.reshape(1, self.weight.shape[0], *[1] * (x.ndim - 2), -1)
        read = (code * weight).sum(-1)
        scores: Tensor = self.net(low + (high - low) * read)
        return scores
