"""What an ear does not hear beside a louder sound: masking thresholds of a wave, window by window and pitch by pitch.

Source: Lin & Abdulla 2015, Audio Watermark, chapter 2, as Qin et al. 2019, arXiv:1903.10346, appendix B use it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

Tensor = torch.Tensor

LOUDEST = 96.0
"""Decibels the loudest place of a wave counts as: what 16 bits resolve (appendix B, step 1)."""

_CELLS = 2**24
"""Pairs of pitches (windows × bins × bins) held at once: 64 MiB of float32."""
_LEAST = 1e-20
_HALF_BARK = 0.5


@dataclass(frozen=True, slots=True)
class Masking:
    """A wave's masking. window, hop: in samples.

    threshold: (n, bins, windows) decibels a sound must stay below not to be heard. zero: (n,) the decibels of a power
    of 1 on this scale, where the wave's loudest place is 96.
    """

    threshold: Tensor
    zero: Tensor
    window: int
    hop: int

    def amplitude(self) -> Tensor:
        """Return the threshold as the magnitude of a spectrum (n, bins, windows)."""
        return ((self.threshold - self.zero.reshape(-1, 1, 1)) / 20 * _LOG10).exp() * self.window

    def excess(self, move: Tensor) -> Tensor:
        """Say by how many decibels a change (n, t) stands above the threshold where it is heard: the mean (n,).

        0 is a change that is nowhere above it.
        """
        loud = _decibels(spectrum(move, self.window, self.hop), self.window) + self.zero.reshape(-1, 1, 1)
        return (loud - self.threshold).clamp(min=0).flatten(1).mean(1)


_LOG10 = 2.302585092994046


def masking(wave: Tensor, rate: int, window: int = 512) -> Masking:
    """Work out what is masked in waves (n, t) of `rate` samples a second."""
    hop = window // 4
    power = _decibels(spectrum(wave, window, hop), window)
    zero = LOUDEST - power.flatten(1).amax(1)
    level = power + zero.reshape(-1, 1, 1)
    pitch = torch.linspace(0, rate / 2, window // 2 + 1, device=wave.device)
    flat = level.transpose(1, 2).reshape(-1, len(pitch))
    parts = torch.split(flat, max(1, _CELLS // len(pitch) ** 2))
    heard = torch.cat([_threshold(part, pitch) for part in parts]) if len(flat) else flat
    return Masking(heard.reshape(len(wave), -1, len(pitch)).transpose(1, 2), zero, window, hop)


def spectrum(wave: Tensor, window: int, hop: int) -> Tensor:
    """Transform waves (n, t) window by window → (n, bins, windows) complex."""
    shape = torch.hann_window(window, device=wave.device)
    if not len(wave):
        return torch.zeros(0, window // 2 + 1, 1 + wave.shape[1] // hop, dtype=torch.complex64, device=wave.device)
    return torch.stft(wave, window, hop, window=shape, pad_mode="constant", return_complex=True)


def wave_of(spectra: Tensor, window: int, hop: int, length: int) -> Tensor:
    """Return the waves (n, length) whose spectra are nearest to these (n, bins, windows)."""
    shape = torch.hann_window(window, device=spectra.device)
    if not len(spectra):
        return torch.zeros(0, length, device=spectra.device)
    return torch.istft(spectra, window, hop, window=shape, length=length)


def bark(pitch: Tensor) -> Tensor:
    """Convert hertz to Bark, the ear's own scale of pitch (Zwicker)."""
    return 13 * torch.atan(0.00076 * pitch) + 3.5 * torch.atan((pitch / 7500) ** 2)


def quiet(pitch: Tensor) -> Tensor:
    """Return the decibels a tone of each pitch in hertz needs to be heard in silence (Terhardt)."""
    khz = pitch.clamp(min=20) / 1000
    return 3.64 * khz**-0.8 - 6.5 * torch.exp(-0.6 * (khz - 3.3) ** 2) + 1e-3 * khz**4 - 12


def _decibels(spectra: Tensor, window: int) -> Tensor:
    return 10 * torch.log10((spectra.abs() / window).square().clamp(min=_LEAST))


def _threshold(level: Tensor, pitch: Tensor) -> Tensor:
    """Add up in power what each masker hides, and silence: (m, bins) decibels → (m, bins) (steps 2 to 4)."""
    place, silent = bark(pitch), quiet(pitch)
    loud = _maskers(level, place, silent)
    apart = place.unsqueeze(0) - place.unsqueeze(1)  # [masker, masked]
    slope = -27 + 0.37 * (loud - 40).clamp(min=0).unsqueeze(2)
    spread = torch.where(apart <= 0, 27 * apart, slope * apart)
    hidden = loud.unsqueeze(2) - 6.025 - 0.275 * place.unsqueeze(1) + spread
    return 10 * torch.log10((10 ** (hidden / 10)).sum(1) + 10 ** (silent / 10))


def _maskers(level: Tensor, place: Tensor, silent: Tensor) -> Tensor:
    """Keep peaks one can hear, joined with their neighbours, the loudest within half a Bark; −∞ elsewhere (m, bins).

    The paper goes from low to high and lets a peak that was left out hide no other; here it does, so that a little
    less counts as masked.
    """
    inner = level[:, 1:-1]
    joined = 10 * torch.log10((10 ** (level / 10)).unfold(1, 3, 1).sum(2))
    peak = (inner > level[:, :-2]) & (inner > level[:, 2:]) & (joined > silent[1:-1])
    loud = torch.full_like(level, -torch.inf)
    loud[:, 1:-1] = joined.masked_fill(~peak, -torch.inf)
    close = (place.unsqueeze(0) - place.unsqueeze(1)).abs() < _HALF_BARK
    rival = torch.where(close, loud.unsqueeze(1), -torch.inf).amax(2)
    return loud.masked_fill(loud < rival, -torch.inf)
