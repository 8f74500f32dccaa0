"""A target that answers by the vote of many noisy looks, and certifies its answers in an l2 ball."""

from __future__ import annotations

import math

import msgspec
import torch
from torch.nn.functional import one_hot

from hauberk.core.defending import Certifying, Proof
from hauberk.core.protocols import Differentiable, Target, TargetSpec
from hauberk.core.threat import Threat
from hauberk.numeric.smoothing import Question, needed

Tensor = torch.Tensor

_BATCH = 2048
"""Noisy inputs asked at once."""
CHOSEN = 64
"""Looks that guess the class before others test it: the test must not see what chose it."""


class Smoothed:
    """A target behind Gaussian noise: its scores are the shares of `looks` in which a class came first.

    Cohen et al. 2019, arXiv:1902.02918. sigma: standard deviation in input units. error: of a certificate.
    most: looks a certificate may take.
    """

    def __init__(
        self, target: Target, sigma: float, looks: int, error: float, most: int, draws: int, rng: torch.Generator
    ) -> None:
        self._target, self._sigma, self._looks, self._error, self._most = target, sigma, looks, error, most
        self._draws, self._rng = draws, rng

    @property
    def spec(self) -> TargetSpec:
        """What it is: it answers with shares of votes."""
        own = self._target.spec
        return msgspec.structs.replace(own, name=f"{own.name} + randomized smoothing", answers="probabilities")

    @property
    def draws(self) -> int:
        """Looks whose mean a search should take."""
        return self._draws

    def predict(self, x: Tensor) -> Tensor:
        """Vote over x (n, *shape) → shares (n, classes)."""
        return self.counts(x, self._looks, self._rng).float() / self._looks

    def counts(self, x: Tensor, looks: int, rng: torch.Generator) -> Tensor:
        """Count how often each class comes first in noisy looks at x (n, *shape) → (n, classes) int64."""
        classes = self._target.spec.classes
        total = torch.zeros(len(x), classes, dtype=torch.long)
        for rows in torch.split(torch.arange(len(x)), max(1, _BATCH // looks)) if len(x) else ():
            for part in torch.split(torch.arange(looks), max(1, _BATCH // len(rows))):
                noise = torch.randn((len(rows), len(part), *x.shape[1:]), generator=rng)
                told = self._asked((x[rows].unsqueeze(1) + self._sigma * noise).flatten(0, 1)).argmax(1)
                total[rows] += one_hot(told, classes).reshape(len(rows), len(part), classes).sum(1)
        return total

    def bare(self) -> Target:
        """Return the target without noise."""
        return self._target

    def adaptive(self) -> Target:
        """Return this target: the mean over noise is what an attacker climbs (Salman et al. 2019, arXiv:1906.04584)."""
        return self

    def certifies(self, threat: Threat) -> bool:
        """Tell whether the threat is an l2 ball of untargeted or targeted errors."""
        return threat.kind == "ball" and threat.ball is not None and threat.ball.norm == "l2"

    def certify(self, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Proof:
        """Test for each x (n, *shape) whether class y (n,) surely wins within the ball, until it is known."""
        assert threat.ball is not None
        least = needed(threat.ball.radius, self._sigma)
        used, safe = 0, torch.zeros(len(y), dtype=torch.bool)
        if least < 1:
            question = Question(least, self._error)
            for row in range(len(y)):
                safe[row], spent = self._tested(x[row : row + 1], int(y[row]), question, rng)
                used += spent
        mean = used / max(1, len(y))
        how = f"randomized smoothing with noise {self._sigma:g}, {mean:.0f} looks a sample by a sequential test"
        return Proof(safe, self._error, how)

    def _tested(self, x: Tensor, label: int, question: Question, rng: torch.Generator) -> tuple[bool, int]:
        """Look at one input x (1, *shape) in growing portions until it is known; also say how many looks it took."""
        guess = int(self.counts(x, CHOSEN, rng).argmax())
        if guess != label:
            return False, CHOSEN
        hits = draws = 0
        while draws < self._most:
            part = min(max(32, draws // 4), self._most - draws)
            hits += int(self.counts(x, part, rng)[0, label])
            draws += part
            verdict = question.answer(hits, draws)
            if verdict != "open":
                return verdict == "proven", CHOSEN + draws
        return False, CHOSEN + draws

    def _asked(self, noisy: Tensor) -> Tensor:
        """Ask for noisy inputs, which may lie out of the target's bounds, as far as it lets itself be asked so."""
        if isinstance(self._target, Differentiable):
            with torch.no_grad():
                return self._target.forward(noisy)
        return self._target.predict(noisy)


class SmoothSmoothed(Smoothed):
    """One whose target gives gradients."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute the log of the mean probability under a few looks (n, classes): votes have no slope.

        Source: Salman et al. 2019, arXiv:1906.04584, §3, equation 7. It orders classes nearly as votes do.
        """
        assert isinstance(self._target, Differentiable)
        looks = [
            self._target.forward(x + self._sigma * torch.randn(x.shape, generator=self._rng)).log_softmax(1)
            for _ in range(_LOOKS)
        ]
        return torch.stack(looks).logsumexp(0) - math.log(_LOOKS)


_LOOKS = 4
"""Looks of one gradient; a search takes the mean of `draws` such."""


def smoothed(
    target: Target, sigma: float, looks: int, error: float, most: int, draws: int, rng: torch.Generator
) -> Certifying:
    """Smooth a target, with gradients where it has them."""
    own = torch.Generator().manual_seed(int(torch.randint(2**62, (1,), generator=rng)))
    kind = SmoothSmoothed if isinstance(target, Differentiable) else Smoothed
    return kind(target, sigma, looks, error, most, draws, own)
