"""What is left of a trigger-set watermark after fine-tuning, pruning, extraction and distillation, at what cost?

Bundled digits, a network of one hidden layer, 50 marks (5 matches are expected by chance), three seeds: least and most
matches over the seeds with their exact p-values. Independent models of the same kind give the null.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.utils import prune

sys.path.insert(0, str(Path(__file__).parents[1] / "attacks"))
from _models import machine, versions

from hauberk.attacks.extraction.knockoff import Knockoff
from hauberk.core.progress import Silent
from hauberk.core.protocols import Split, Target
from hauberk.core.threat import THEFT_1000, Threat
from hauberk.defenses.ownership.trigger_set import TriggerSet
from hauberk.defenses.plain_training import Course, fit
from hauberk.defenses.secret_marks import p_value
from hauberk.targets import from_torch

RESULT = Path(__file__).parents[1] / "results" / "privacy_watermark.json"
SECRET, MARKS, SEEDS = "correct horse battery staple", 50, (0, 1, 2)
OWN, OTHER, TEST = slice(0, 800), slice(800, 1400), slice(1400, 1797)


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """The bundled digits in an order of their own."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return torch.tensor(x[order] / 16).float().reshape(-1, 1, 8, 8), torch.tensor(y[order])


X, Y = digits()


def trained(rows: slice, seed: int) -> nn.Module:
    """A network trained on these rows."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    fit(net, X[rows], Y[rows], Course(epochs=20), torch.Generator().manual_seed(seed))
    return net.eval()


def target(net: nn.Module) -> Target:
    """The network as hauberk reaches it."""
    return from_torch(net, bounds=(0.0, 1.0), shape=(1, 8, 8), classes=10)


def tuned(net: nn.Module, seed: int, epochs: int) -> nn.Module:
    """Fine-tune a copy on other rows."""
    made = copy.deepcopy(net).requires_grad_(True)
    fit(made, X[OTHER], Y[OTHER], Course(epochs=epochs, rate=1e-3), torch.Generator().manual_seed(seed))
    return made


def pruned(net: nn.Module, share: float) -> nn.Module:
    """Set the smallest weights of a copy to 0."""
    made = copy.deepcopy(net)
    for layer in made.modules():
        if isinstance(layer, nn.Linear):
            prune.l1_unstructured(layer, "weight", amount=share)
            prune.remove(layer, "weight")
    return made


def distilled(net: nn.Module, seed: int) -> nn.Module:
    """Train a new network on the marked one's probabilities of other rows."""
    torch.manual_seed(100 + seed)
    made = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    with torch.no_grad():
        shares = net(X[OTHER]).softmax(1)
    fit(made, X[OTHER], shares, Course(epochs=20), torch.Generator().manual_seed(seed))
    return made


def stolen(net: nn.Module, seed: int) -> Target:
    """Copy it by 600 queries."""
    threat = Threat(name="theft", family="extraction", knowledge="score", queries=600)
    return Knockoff().steal(target(net), X[OTHER], threat, torch.Generator().manual_seed(seed))


def accuracy(model: Target) -> float:
    """Right answers on the test rows."""
    return float((model.predict(X[TEST]).argmax(1) == Y[TEST]).double().mean())


CHANGES: dict[str, Callable[[nn.Module, int], Target]] = {
    "nothing": lambda net, _: target(net),
    "fine-tuned on other rows, 5 epochs": lambda net, seed: target(tuned(net, seed, 5)),
    "fine-tuned on other rows, 20 epochs": lambda net, seed: target(tuned(net, seed, 20)),
    "fine-tuned on other rows, 60 epochs": lambda net, seed: target(tuned(net, seed, 60)),
    "pruned by 50 %": lambda net, _: target(pruned(net, 0.5)),
    "pruned by 90 %": lambda net, _: target(pruned(net, 0.9)),
    "distilled on other rows": lambda net, seed: target(distilled(net, seed)),
    "stolen by extraction.knockoff, 600 queries": stolen,
}


def main() -> None:
    """Measure and write."""
    torch.set_num_threads(1)
    rows: dict[str, list[tuple[int, float, float]]] = {name: [] for name in CHANGES}
    cost = []
    for seed in SEEDS:
        plain = target(trained(OWN, seed))
        data = Split(X[OWN].numpy(), Y[OWN].numpy())
        rng = torch.Generator().manual_seed(seed)
        marked = TriggerSet(secret=SECRET, count=MARKS).apply(
            plain, data, THEFT_1000, rng, attack=None, progress=Silent()
        )
        cost.append(accuracy(plain) - accuracy(marked))
        net = marked.module().eval().requires_grad_(False)
        for name, change in CHANGES.items():
            suspect = change(net, seed)
            matches, chance = p_value(suspect, SECRET, MARKS)
            rows[name].append((matches, chance, accuracy(suspect)))
    null = [p_value(target(trained(OTHER, 50 + seed)), SECRET, MARKS)[1] for seed in range(40)]
    result = {
        "question": (__doc__ or "").partition("\n")[0],
        "rows": [
            {
                "what was done": name,
                "marks answered": f"{min(found)[0]} – {max(found)[0]}",
                "p, least and most": f"{min(row[1] for row in found):.1e} – {max(row[1] for row in found):.1e}",
                "accuracy": f"{min(row[2] for row in found):.3f} – {max(row[2] for row in found):.3f}",
            }
            for name, found in rows.items()
        ],
        "cost": [round(value, 4) for value in cost],
        "independent models": {
            "n": len(null),
            "p below 0.05": sum(value < 0.05 for value in null),
            "least p": min(null),
        },
        "versions": versions(),
        "machine": machine(),
    }
    RESULT.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
