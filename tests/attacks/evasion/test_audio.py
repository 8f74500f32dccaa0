"""Attacks on sounds: what an ear masks, a filter whose optimum is known, and a real detector of speech."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from hauberk.attacks.evasion.audio_carlini_wagner import AudioCarliniWagner
from hauberk.core.errors import UsageError
from hauberk.core.threat import Ball, Threat
from hauberk.numeric.psychoacoustics import bark, masking, quiet, spectrum, wave_of
from hauberk.targets import from_torch

RATE = 16000
ANY = Threat(name="t")


def tone(*pitches, length=4096, loud=0.3):
    time = torch.arange(length) / RATE
    return torch.stack([loud * torch.sin(2 * math.pi * pitch * time) for pitch in pitches])


def test_a_tone_masks_near_pitches_more_upwards_than_downwards():
    masked = masking(tone(1000.0), RATE)
    pitch = torch.linspace(0, RATE / 2, 257)
    middle = masked.threshold[0, :, 16]
    at = int((pitch - 1000).abs().argmin())
    # A tonal masker of 96 dB, its three bins joined (a Hann window's tone: + 1.8 dB), shifted by − 6.025 − 0.275 Bark.
    expected = 96 + 10 * math.log10(1.5) - 6.025 - 0.275 * float(bark(pitch[at]))
    assert float(middle[at]) == pytest.approx(expected, abs=0.1)
    two = 2.0
    above, below = (int((bark(pitch) - bark(pitch[at]) - side).abs().argmin()) for side in (two, -two))
    assert float(middle[at] - middle[below]) == pytest.approx(27 * float(bark(pitch[at]) - bark(pitch[below])), abs=0.5)
    assert float(middle[at] - middle[above]) < 0.4 * float(middle[at] - middle[below])
    assert bool((middle >= quiet(pitch) - 1e-3).all())


def test_what_is_masked_counts_as_unheard_and_louder_counts_by_its_decibels():
    fade = torch.hann_window(4096)
    wave, other = tone(1000.0) * fade, tone(5000.0) * fade
    masked = masking(wave, RATE)
    assert float(masked.excess(torch.zeros_like(wave))[0]) == 0
    assert float(masked.excess(0.001 * wave)[0]) < 0.1 * float(masked.excess(0.001 * other)[0])
    ten, twenty = (10 ** (db / 20) for db in (10, 20))
    loud = torch.randn(1, 4096, generator=torch.Generator().manual_seed(0))  # above the threshold everywhere
    assert float(masked.excess(twenty * loud) - masked.excess(ten * loud)) == pytest.approx(10, abs=0.1)


def test_a_spectrum_leads_back_to_its_wave():
    wave = torch.randn(2, 3000, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(wave_of(spectrum(wave, 512, 128), 512, 128, 3000), wave, atol=1e-5)


def test_it_finds_the_quietest_change_of_a_linear_model(make_linear, rng):
    target = make_linear(64, 3, bounds=(-1.0, 1.0))
    x = torch.rand(30, 64, generator=rng) - 0.5
    y = target.predict(x).argmax(1)
    found = AudioCarliniWagner(steps=300, pace=0.05).run(target, x, y, ANY, rng)
    scores, weight = target.predict(x), target.net.weight.detach()
    gap = scores.gather(1, y[:, None]) - scores
    slope = (weight.unsqueeze(0) - weight[y].unsqueeze(1)).abs().sum(2)
    exact = (gap / slope.clamp(min=1e-9)).scatter(1, y[:, None], torch.inf).amin(1)
    reached = (found - x).abs().amax(1)
    assert bool((target.predict(found).argmax(1) != y).all())
    assert bool((reached >= exact * (1 - 1e-4)).all())
    assert float((reached / exact).median()) < 1.35


def test_it_keeps_to_the_ball_and_the_goal(make_linear, rng):
    target = make_linear(64, 3, bounds=(-1.0, 1.0))
    x = torch.rand(30, 64, generator=rng) - 0.5
    y = target.predict(x).argmax(1)
    for ball in (Ball("linf", 0.02), Ball("l2", 0.1)):
        threat = Threat(name="t", ball=ball, target_class=1)
        found = AudioCarliniWagner(steps=60).run(target, x, y, threat, rng)
        assert (
            float((found - x).flatten(1).norm(2 if ball.norm == "l2" else torch.inf, 1).max()) <= ball.radius * 1.000001
        )
        assert (target.predict(found).argmax(1) == 1).sum() > (y == 1).sum()
    with pytest.raises(UsageError, match="waves"):
        AudioCarliniWagner(masking=True).run(target, x, y, ANY, rng)


class Heard(nn.Module):
    """silero-vad at 16 kHz, from the weights its package ships: a logit of speech for each 512 samples of a wave."""

    def __init__(self):
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 258, 256, stride=128, bias=False)
        sizes = ((129, 128, 1), (128, 64, 2), (64, 64, 2), (64, 128, 1))
        for place, (low, high, stride) in enumerate(sizes, 1):
            setattr(self, f"conv{place}", nn.Conv1d(low, high, 3, stride=stride, padding=1))
        self.lstm_cell = nn.LSTMCell(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(self, x):
        wave, state, scores = nn.functional.pad(x, (64, 0)), None, []
        for start in range(64, wave.shape[1], 512):
            part = nn.functional.pad(wave[:, start - 64 : start + 512], (0, 64), mode="reflect").unsqueeze(1)
            cells = self.stft_conv(part)
            seen = (cells[:, :129].square() + cells[:, 129:].square() + 1e-12).sqrt()
            for place in range(1, 5):
                seen = getattr(self, f"conv{place}")(seen).relu()
            state = self.lstm_cell(seen.squeeze(-1), state)
            scores.append(self.final_conv(state[0].relu().unsqueeze(-1)).flatten(1))
        return torch.cat(scores, 1)


class Detector(nn.Module):
    """Logits of no speech and speech in a wave: the mean over its parts."""

    def __init__(self, heard):
        super().__init__()
        self.heard = heard

    def forward(self, x):
        speech = self.heard(x).mean(1, keepdim=True)
        return torch.cat((-speech, speech), 1)


@pytest.fixture(scope="module")
def silero():
    found = importlib.util.find_spec("silero_vad")
    if found is None or found.origin is None:
        pytest.skip("silero-vad is not installed (pip install --no-deps silero-vad): a voice model with its weights")
    folder = Path(found.origin).parent / "data"
    # Its safetensors file holds an older network; the TorchScript file has the weights in the order of the layers.
    state = torch.jit.load(folder / "silero_vad.jit").state_dict()
    heard = Heard()
    weights = [value for name, value in state.items() if name.startswith("_model.")]
    heard.load_state_dict(dict(zip(heard.state_dict(), weights, strict=True)))
    return folder, heard.eval()


@pytest.fixture(scope="module")
def detector(silero):
    return from_torch(Detector(silero[1]), bounds=(-1, 1), shape=(4096,), classes=2)


def test_the_detector_is_the_one_its_package_ships(silero):
    import onnxruntime

    folder, heard = silero
    wave = spoken(1)
    theirs = onnxruntime.InferenceSession(str(folder / "silero_vad_16k_sequence.onnx"))
    parts = nn.functional.pad(wave, (64, 0)).unfold(1, 576, 512)[0].numpy()
    still = torch.zeros(1, 1, 128).numpy()
    with torch.no_grad():
        ours = torch.sigmoid(heard(wave)).flatten()
    (said,) = theirs.run(["speech_probs"], {"input": parts, "h": still, "c": still})
    assert torch.allclose(ours, torch.from_numpy(said).flatten(), atol=1e-3)


def spoken(n, length=4096, seed=0):
    """Make vowels: pulses of a voice's pitch through the resonances of a throat, one after the other."""
    rng = torch.Generator().manual_seed(seed)
    time, past, voices = torch.arange(length) / RATE, torch.arange(800) / RATE, []
    for _ in range(n):
        draw = torch.rand(4, generator=rng)
        pitch = (90 + 120 * float(draw[0])) * (1 + 0.1 * torch.sin(2 * math.pi * 3 * time))
        wave = (torch.cumsum(pitch / RATE, 0).floor().diff(prepend=torch.zeros(1)) > 0).float()
        formants = ((300 + 500 * draw[1], 60), (900 + 1300 * draw[2], 90), (2400 + 600 * draw[3], 150), (3500, 200))
        for middle, wide in formants:
            ring = torch.exp(-math.pi * wide * past) * torch.sin(2 * math.pi * middle * past)
            wave = nn.functional.conv1d(wave.view(1, 1, -1), ring.flip(0).view(1, 1, -1), padding=799).flatten()[
                :length
            ]
        syllables = 0.55 + 0.45 * torch.sin(2 * math.pi * 4 * time)
        voices.append(0.5 * syllables * wave / wave.abs().max())
    return torch.stack(voices)


def test_speech_is_hidden_and_made_up_before_a_real_detector(detector, rng):
    x = torch.cat((spoken(8), 0.02 * torch.randn(4, 4096, generator=rng)))
    y = detector.predict(x).argmax(1)
    assert y[:8].float().mean() > 0.5
    assert not y[8:].any()
    plain, hidden = (AudioCarliniWagner(steps=50, masking=masked) for masked in (False, True))
    quiet_one, masked_one = (attack.run(detector, x, y, ANY, rng) for attack in (plain, hidden))
    for found in (quiet_one, masked_one):
        assert (detector.predict(found).argmax(1) != y).float().mean() > 0.9
    loud = masking(x, RATE)
    assert float(loud.excess(masked_one - x)[:8].median()) < 0.3 * float(loud.excess(quiet_one - x)[:8].median())
