"""How like the training digits is what model inversion makes of each class, at equal steps, beside ART's MI-Face?

MNIST-5k, 4,000 digits to train on; a dense net of 128 hidden units and a small convolutional one. Every entrant takes
200 gradient steps on each class from the same start: black, or the mean of the test digits. Similarity is structural
similarity to the mean training digit of the class, median over the ten; the feature distance is to the same mean in the
hidden layer of a network that no entrant sees. ART's step size is its default and the best of three.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from _settings import digits, fitted, machine, versions
from torch import nn

from hauberk.attacks.privacy.mi_face import MIFace
from hauberk.numeric.smoothness import similarity
from hauberk.targets import from_torch

STEPS = 200
Entrant = Callable[[torch.Tensor], torch.Tensor]


def dense() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))


def conv() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(1568, 10),
    )


def ours(net: nn.Module, **settings: float) -> Entrant:
    target = from_torch(net, bounds=(0, 1), shape=(1, 28, 28), classes=10)
    attack = MIFace(steps=STEPS, **settings)
    return lambda start: attack.invert(target, torch.arange(10), start, torch.Generator().manual_seed(0))


def art(net: nn.Module, rate: float) -> Entrant:
    from art.attacks.inference.model_inversion import MIFace as Theirs
    from art.estimators.classification import PyTorchClassifier

    soft = nn.Sequential(net, nn.Softmax(1))
    model = PyTorchClassifier(soft, nn.NLLLoss(), (1, 28, 28), 10, clip_values=(0, 1), device_type="cpu")
    attack = Theirs(model, max_iter=STEPS, threshold=1.0, learning_rate=rate, batch_size=10, verbose=False)

    def run(start: torch.Tensor) -> torch.Tensor:
        begun = np.repeat(start[None].numpy(), 10, 0)
        return torch.from_numpy(attack.infer(begun.copy(), np.arange(10)))

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=3)
    choice = parser.parse_args()
    torch.set_num_threads(1)
    x, y = digits()
    x = x.reshape(-1, 1, 28, 28)
    train, test = slice(0, 4000), slice(4000, None)
    means = torch.stack([x[train][y[train] == label].mean(0) for label in range(10)])
    judge = fitted(dense(), x[train], y[train], 8, 99)
    result: dict[str, object] = {"question": (__doc__ or "").partition("\n")[0], "settings": {"steps": STEPS}}
    for name, make in (("dense", dense), ("convolutional", conv)):
        net = fitted(make(), x[train], y[train], 8, 0)
        entrants: dict[str, Entrant] = {
            "hauberk": ours(net),
            "hauberk, plain": ours(net, smooth=0.0, near=0.0, noise=0.0, shift=0),
        }
        try:
            entrants |= {f"ART MI-Face, rate {rate:g}": art(net, rate) for rate in (0.1, 1.0, 10.0)}
        except ImportError:
            print("ART is not installed")
        rows = []
        for begin, start in (("black", torch.zeros(1, 28, 28)), ("test mean", x[test].mean(0))):
            seconds: dict[str, list[float]] = {key: [] for key in entrants}
            found: dict[str, torch.Tensor] = {}
            for _ in range(choice.repetitions):
                for key, run in entrants.items():
                    begun = time.process_time()
                    found[key] = run(start).detach()
                    seconds[key].append(time.process_time() - begun)
            for key, made in found.items():
                with torch.no_grad():
                    features = (judge[:3](made) - judge[:3](means)).norm(dim=1)
                    right = float((judge(made).argmax(1) == torch.arange(10)).double().mean())
                rows.append(
                    {
                        "entrant": key,
                        "start": begin,
                        "similarity_median": round(float(similarity(made, means, 1.0).median()), 3),
                        "feature_distance_median": round(float(features.median()), 3),
                        "judged_right": right,
                        "time_ratio": round(
                            statistics.median(a / b for a, b in zip(seconds[key], seconds["hauberk"], strict=True)),
                            2,
                        ),
                    }
                )
                print(name, rows[-1], flush=True)
        result[name] = rows
    result["versions"], result["machine"] = versions("adversarial-robustness-toolbox"), machine()
    path = Path(__file__).parents[1] / "results" / "privacy_inversion.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
