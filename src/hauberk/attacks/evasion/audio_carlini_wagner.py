"""Audio Carlini–Wagner: the quietest change of a sound that makes the model err, or the least audible one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.driver import Driving, Plan, Round, Turn, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region
from hauberk.numeric.losses import LOSSES
from hauberk.numeric.moments import Moments, untouched
from hauberk.numeric.psychoacoustics import masking, spectrum, wave_of

Tensor = torch.Tensor

_QUIETER = 0.8
"""What a bound becomes where a change within it was enough (Carlini & Wagner 2018, section III-A)."""
_TINY = 1e-12
_GO_ON = Driving(early_stop=False)


@dataclass(frozen=True, slots=True)
class Sound:
    """Where the search stands.

    x: (n, t). bound: (n,) share of `loudest` a change may have now. loudest: (n, 1, 1) the largest value a change may
    have, or (n, bins, windows) of its spectrum. memory: Adam's, (n, t).
    """

    x: Tensor
    bound: Tensor
    loudest: Tensor
    memory: Moments


@dataclass(frozen=True, slots=True)
class AudioCarliniWagner:
    """The attack of Carlini & Wagner on sounds.

    steps: gradients. pace: length of a step as a share of the bound of the moment. masking: bound a change by what the
    sound masks, pitch by pitch, instead of by its largest value. rate: samples a second, for the masking. window: of
    its spectrum, in samples. headroom: decibels above the masking threshold a change may have in the beginning.
    driving: how the driver runs it; an early stop ends a search at the first error inside the ball, however loud.
    """

    card: ClassVar[Card] = Card(
        title="Carlini–Wagner on audio",
        summary="The quietest error of a wave, or the least audible by masking; for classes, not transcripts.",
        paper="Carlini & Wagner 2018, arXiv:1801.01944; masking: Qin et al. 2019, arXiv:1903.10346",
        needs=("gradients",),
        norms=("linf", "l2"),
        inputs=("wave",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 200
    pace: float = 0.1
    masking: bool = False
    rate: int = 16000
    window: int = 512
    headroom: float = 20.0
    driving: Driving = _GO_ON

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return waves of x's shape (n, t), the nearest errors found, cut to the threat's ball where it has one.

        Raises UsageError for a ball of another norm, and for inputs that are no waves.
        """
        if threat.ball is not None and threat.ball.norm not in self.card.norms:
            raise UsageError(f"evasion.audio_carlini_wagner works in linf, l2; {threat.name} has {threat.ball.norm}")
        if x.ndim != 2 or (self.masking and x.shape[1] < self.window):
            raise UsageError(f"inputs have shape {tuple(x.shape)}", fix=f"give waves (n, t) of {self.window} or more")
        method = _Search(self, threat.ball.radius if threat.ball and threat.ball.norm == "linf" else math.inf)
        rounds = (Round(LOSSES["margin"], self.steps),)
        plan = Plan(rounds=rounds, keep="nearest", leave="inside", free=True, norm="linf")
        return drive(method, plan, target, x, y, threat, rng, self.driving)


@dataclass(frozen=True, slots=True)
class _Search:
    """The settings, and the largest value a change may have."""

    how: AudioCarliniWagner
    radius: float

    def start(self, region: Region, rng: torch.Generator) -> Sound:  # noqa: ARG002
        """Begin at the clean sound, with a change allowed that is as loud as it, or masked but for the headroom."""
        wave = region.center
        if self.how.masking:
            masked = masking(wave, self.how.rate, self.how.window).amplitude()
            loudest = masked * 10 ** (self.how.headroom / 20)
        else:
            loudest = wave.abs().amax(1).clamp(min=_TINY, max=self.radius).reshape(-1, 1, 1)
        return Sound(wave, wave.new_ones(len(wave)), loudest, untouched(wave))

    def step(self, state: Sound, seen: Seen, turn: Turn) -> Sound:
        """Climb by Adam, signs of steady gradients, and come back under the bound, which every error lowers."""
        bound = torch.where(seen.hit, state.bound * _QUIETER, state.bound)
        memory, center = state.memory.after(seen.gradient), turn.region.center
        far = self.how.pace * bound * self._peak(state)
        move = self._quiet(
            state.x - center + far.unsqueeze(1) * memory.way(_TINY), state.loudest * bound.reshape(-1, 1, 1)
        )
        return Sound(turn.region.project(center + move), bound, state.loudest, memory)

    def _peak(self, state: Sound) -> Tensor:
        """Return how large a value (n,) a change may have, about: of a spectrum, its mean magnitude as a wave's."""
        if not self.how.masking:
            return state.loudest.flatten(1)[:, 0]
        level: Tensor = state.loudest.square().flatten(1).mean(1).sqrt()
        return level / math.sqrt(self.how.window)

    def _quiet(self, move: Tensor, loudest: Tensor) -> Tensor:
        """Bring changes (n, t) under the bound, cell by cell of their spectrum or value by value."""
        if not self.how.masking:
            most = loudest.squeeze(2)
            return move.clamp(-most, most)
        window, hop = self.how.window, self.how.window // 4
        cells = spectrum(move, window, hop)
        kept = cells * (loudest / cells.abs().clamp(min=_TINY)).clamp(max=1)
        return wave_of(kept, window, hop, move.shape[1]).clamp(-self.radius, self.radius)
