"""What do detectors notice of attacks that know them, and what was claimed of them under attacks that do not?

A small convolutional network on the bundled digits, l∞ 0.2. Plain: PGD on the model alone. Adaptive: PGD on model and
detector at once (selective and orthogonal), the less suspicious of both counted. Rates are at 5 % and 1 % false alarms
on clean digits, with 95 % intervals that allow for the threshold being estimated.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from hauberk.attacks.driver import Driving
from hauberk.attacks.evasion.pgd import PGD
from hauberk.attacks.examining_detection import examine_detection
from hauberk.core.defending import Detection
from hauberk.core.evidence import Measurement
from hauberk.core.plugins import build, catalog
from hauberk.core.protocols import Split
from hauberk.core.provenance import Stamp
from hauberk.core.schema import DatasetSpec
from hauberk.core.threat import Ball, Threat
from hauberk.targets import from_torch

RADIUS, TRAIN = 0.2, 1000
SHOWN = ("detection_auc", "detection_tpr_at_5pct_fpr", "detection_tpr_at_1pct_fpr")


@dataclass
class Data:
    """Digits in memory."""

    train: Split
    test: Split
    spec: DatasetSpec


def digits() -> Data:
    """The bundled digits in an order of their own."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    x, y = (x[order] / 16).reshape(-1, 1, 8, 8).astype(np.float32), y[order].astype(np.int64)
    spec = DatasetSpec(
        name="digits",
        layout="chw",
        shape=(1, 8, 8),
        classes=tuple("0123456789"),
        digest="",
        bounds=(0.0, 1.0),
        train=TRAIN,
        test=len(y) - TRAIN,
    )
    return Data(Split(x[:TRAIN], y[:TRAIN]), Split(x[TRAIN:], y[TRAIN:]), spec)


def network(data: Data) -> nn.Module:
    """Train a small convolutional network."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    x, y = torch.tensor(data.train.x), torch.tensor(data.train.y)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(20):
        for rows in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            optimizer.step()
    return net.eval()


def cell(row: Measurement) -> str:
    """Write a figure with its interval."""
    return f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=300, help="clean samples")
    most = parser.parse_args().most
    torch.set_num_threads(1)
    data = digits()
    target = from_torch(network(data), (0, 1))
    threat = Threat(name="pixels", ball=Ball("linf", RADIUS))
    walk = PGD(steps=20, driving=Driving(early_stop=False, precision="float32"))
    rows = []
    for listing in catalog("defenses"):
        if not listing.name.startswith("detection."):
            continue
        detection = cast(Detection, build("defenses", listing.name))
        found = {
            row.name: row
            for row in examine_detection(target, data, detection, walk, threat, stamp=Stamp(), most=most)
            if isinstance(row, Measurement) and row.role != "curve"
        }
        line: dict[str, object] = {"detector": listing.name.removeprefix("detection.")}
        for name in SHOWN:
            words = name.removeprefix("detection_").replace("_", " ")
            line[f"{words}, plain"] = cell(found[f"{name}_plain"])
            line[f"{words}, adaptive"] = cell(found[name])
        line["errors that pass model and detector"] = cell(found["undetected_error"])
        rows.append(line)
        print(line, flush=True)
    result = {
        "question": (__doc__ or "").partition("\n")[0],
        "rows": rows,
        "settings": {"radius": RADIUS, "samples": most, "steps": 100},
        "versions": {"torch": importlib.metadata.version("torch"), "hauberk": "this tree"},
        "machine": {"kind": platform.machine(), "threads": 1},
    }
    path = Path(__file__).parents[1] / "results" / "defenses_detectors.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
