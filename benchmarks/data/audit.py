"""What does an audit of data cost beside polars by hand, pandera and Great Expectations, and how good are its labels?

    HAUBERK_PEERS=…/bin/python python benchmarks/data/audit.py [ROWS | rules | labels]

Rules: a generated Parquet table (10⁷ rows unless said otherwise, ids shuffled), eight rules, reading included. Ours and
the peers also name failing rows; hand-written polars only counts, as one lazy select, the quicker of streaming and in
memory. Every run is a process of its own; runs of all engines take turns. Times are ratios; imports are not counted.
Labels: digits and MNIST-5k with 2, 5, 10 % of labels flipped, uniformly or to the next class, over several seeds, and
two tables (breast cancer, wine). Peer: cleanlab on probabilities of a logistic regression, five folds, on the same
points, and on pixels for one seed. F1 of the rows named, and the mean difference with a 95 % t interval over the cells.
Peers: pip install pandera[polars] great_expectations into the environment whose python is named.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median, stdev

RESULT = Path(__file__).resolve().parents[1] / "results" / "data_audit.json"
PEERS = os.environ.get("HAUBERK_PEERS", "")
LIBRARIES = ("polars", "pyarrow", "numpy", "cleanlab", "scikit-learn")
COUNTRIES = ["DE", "FR", "US", "GB"]
EMAIL, ZIP = r"^[^@\s]+@[^@\s]+\.[a-z]+$", r"^\d{5}$"
ROUNDS = {
    "hauberk": 3,
    "polars streaming": 3,
    "polars in memory": 3,
    "pandera": 2,
    "great expectations": 1,
    "hauberk audit": 1,
}


def generate(path: Path, rows: int) -> None:
    """Write the table in pieces, so that making it needs little memory."""
    import numpy as np
    import polars as pl
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    ids = rng.permutation(rows)
    ids[rows // 2] = ids[7]
    writer = None
    for start in range(0, rows, 500_000):
        n = min(500_000, rows - start)
        age, income = rng.integers(18, 90, n), rng.lognormal(10, 0.5, n)
        age[rng.random(n) < 5e-4] = -1
        income[rng.random(n) < 1e-3] = np.nan
        numbers = np.char.zfill(rng.integers(0, 99_999, n).astype(str), 5)
        frame = pl.DataFrame(
            {
                "id": ids[start : start + n],
                "age": age,
                "income": income,
                "score": rng.random(n),
                "country": rng.choice([*COUNTRIES, "XX"], n, p=[0.3, 0.3, 0.3, 0.099, 0.001]),
                "zip": np.where(rng.random(n) < 1e-4, "1234", numbers),
                "email": np.char.add(np.char.add("u", np.arange(start, start + n).astype(str)), "@example.com"),
                "label": rng.integers(0, 2, n),
            }
        ).to_arrow()
        writer = writer or pq.ParquetWriter(path, frame.schema)
        writer.write_table(frame)
    writer.close()


def by_hand(path: str, *, streaming: bool) -> dict[str, int]:
    """Count in one select, as one would write it."""
    import polars as pl

    c = pl.col
    rules = [
        (pl.len() - c("id").n_unique()).alias("id"),
        (~c("age").is_between(0, 120)).sum().alias("age"),
        (c("income").is_null() | c("income").is_nan()).sum().alias("income"),
        (~c("score").is_between(0, 1)).sum().alias("score"),
        (~c("country").is_in(COUNTRIES)).sum().alias("country"),
        (~c("zip").str.contains(ZIP)).sum().alias("zip"),
        (~c("email").str.contains(EMAIL)).sum().alias("email"),
        (~c("label").is_in([0, 1])).sum().alias("label"),
    ]
    if streaming:
        return pl.scan_parquet(path).select(rules).collect(engine="streaming").row(0, named=True)
    return pl.read_parquet(path).select(rules).row(0, named=True)


def plan():
    """Say the eight rules in hauberk's words."""
    from hauberk.core.project import ColumnSection as Column
    from hauberk.scanning.tables.engine import Plan

    columns = {
        "id": Column(unique=True),
        "age": Column(low=0, high=120),
        "income": Column(missing=0.0),
        "score": Column(low=0, high=1),
        "country": Column(categories=tuple(COUNTRIES)),
        "zip": Column(pattern=ZIP.strip("^$")),
        "email": Column(pattern=EMAIL.strip("^$")),
        "label": Column(kind="boolean"),
    }
    return Plan(columns=columns, label="label")


def ours(path: str) -> dict[str, int]:
    """Hold the table against the rules, first twenty row ids of each."""
    from hauberk.datasets.streaming import open_stream
    from hauberk.scanning.tables.engine import expectations_only

    found = expectations_only(open_stream(Path(path).parent, Path(path).name).undigested(), plan())
    return {one.column: one.broken.count for one in found.result()}


def whole_audit(path: str) -> dict[str, int]:
    """Audit everything: digests, profile, duplicates, texts, personal data, sample comparisons too."""
    from hauberk.datasets.streaming import open_stream
    from hauberk.scanning.pii.columns import PersonalColumns
    from hauberk.scanning.tables.engine import examine

    found = examine(open_stream(Path(path).parent, Path(path).name), plan(), personal=PersonalColumns())
    return {one.column: one.broken.count for one in found.facts.expectations}


def pandera(path: str) -> dict[str, int]:
    """Validate lazily with pandera's polars backend: every failing row is collected."""
    import pandera.polars as pa
    import polars as pl

    check, column = pa.Check, pa.Column
    schema = pa.DataFrameSchema(
        {
            "id": column(int, unique=True),
            "age": column(int, check.in_range(0, 120)),
            "income": column(float, nullable=False),
            "score": column(float, check.in_range(0, 1)),
            "country": column(str, check.isin(COUNTRIES)),
            "zip": column(str, check.str_matches(ZIP)),
            "email": column(str, check.str_matches(EMAIL)),
            "label": column(int, check.isin([0, 1])),
        }
    )
    frame = pl.read_parquet(path)
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        return dict(error.failure_cases.group_by("column").len().rows())
    return {}


def great_expectations(path: str) -> dict[str, int]:
    """Validate with Great Expectations' pandas engine: counts and the first twenty values."""
    import great_expectations as gx
    import great_expectations.expectations as gxe
    import pandas as pd

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("p").add_dataframe_asset("a")
    batch = asset.add_batch_definition_whole_dataframe("b").get_batch({"dataframe": pd.read_parquet(path)})
    suite = gx.ExpectationSuite(
        name="s",
        expectations=[
            gxe.ExpectColumnValuesToBeUnique(column="id"),
            gxe.ExpectColumnValuesToBeBetween(column="age", min_value=0, max_value=120),
            gxe.ExpectColumnValuesToNotBeNull(column="income"),
            gxe.ExpectColumnValuesToBeBetween(column="score", min_value=0, max_value=1),
            gxe.ExpectColumnValuesToBeInSet(column="country", value_set=COUNTRIES),
            gxe.ExpectColumnValuesToMatchRegex(column="zip", regex=ZIP),
            gxe.ExpectColumnValuesToMatchRegex(column="email", regex=EMAIL),
            gxe.ExpectColumnValuesToBeInSet(column="label", value_set=[0, 1]),
        ],
    )
    found = batch.validate(suite, result_format={"result_format": "SUMMARY", "partial_unexpected_count": 20})
    return {r.expectation_config.kwargs["column"]: r.result.get("unexpected_count", 0) for r in found.results}


ENGINES: dict[str, Callable[[str], dict[str, int]]] = {
    "hauberk": ours,
    "polars streaming": lambda path: by_hand(path, streaming=True),
    "polars in memory": lambda path: by_hand(path, streaming=False),
    "pandera": pandera,
    "great expectations": great_expectations,
    "hauberk audit": whole_audit,
}
WARM = {
    "pandera": ("pandera.polars",),
    "great expectations": ("great_expectations",),
    "hauberk": ("hauberk.scanning.tables.engine", "hauberk.datasets.stream_parquet"),
    "hauberk audit": (
        "hauberk.scanning.pii.columns",
        "hauberk.scanning.tables.engine",
        "hauberk.datasets.stream_parquet",
    ),
}


def work(name: str, path: str) -> None:
    """Run one engine once and print what it took."""
    import importlib

    importlib.import_module("polars")
    for module in WARM.get(name, ()):
        importlib.import_module(module)
    start, used = time.perf_counter(), time.process_time()
    found = ENGINES[name](path)
    row = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - used, "found": found}
    row["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print("\n" + json.dumps(row), flush=True)


def rules(rows: int) -> dict[str, object]:
    """Let the engines take turns on one table."""
    times: dict[str, list[float]] = {}
    cpu: dict[str, list[float]] = {}
    peaks, counts, failed = {}, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        generate(path, rows)
        size = path.stat().st_size
        for turn in range(max(ROUNDS.values())):
            for name in ENGINES:
                peer = name in ("pandera", "great expectations")
                if turn >= ROUNDS[name] or (peer and not PEERS) or name in failed:
                    continue
                command = [PEERS if peer else sys.executable, __file__, "--worker", name, str(path)]
                done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
                if done.returncode:
                    failed[name] = done.stderr.strip().splitlines()[-1:]
                    continue
                row = json.loads(done.stdout.strip().splitlines()[-1])
                times.setdefault(name, []).append(row["seconds"])
                cpu.setdefault(name, []).append(row["cpu"])
                peaks[name], counts[name] = max(row["peak"], peaks.get(name, 0)), row["found"]
                print(name, {k: round(v, 2) for k, v in row.items() if k != "found"}, flush=True)
    quick = min((name for name in times if name.startswith("polars")), key=lambda name: median(times[name]))
    own = median(times["hauberk"])
    return {
        "rows": rows,
        "file MB": round(size / 1e6),
        "hand-written": quick,
        "times of hand-written polars (wall)": {
            name: round(median(v) / median(times[quick]), 2) for name, v in times.items()
        },
        "times of hand-written polars (processor)": {
            name: round(median(v) / median(cpu[quick]), 2) for name, v in cpu.items()
        },
        "peer / hauberk (wall)": {name: round(median(v) / own, 2) for name, v in times.items()},
        "spread of runs (slowest / quickest)": {name: round(max(v) / min(v), 2) for name, v in times.items()},
        "peak memory MB": {name: round(v / 1e6) for name, v in peaks.items()},
        "failing rows": counts,
        "failed": failed,
    }


def flipped(y, rate: float, seed: int, targeted: bool):
    """Flip a share of labels to another class, or to the next one."""
    import numpy as np

    rng = np.random.default_rng(seed)
    classes, rows = int(y.max()) + 1, rng.choice(len(y), round(rate * len(y)), replace=False)
    y = y.copy()
    y[rows] = (y[rows] + (1 if targeted else rng.integers(1, classes, len(rows)))) % classes
    return y


def f1(found, truth) -> float:
    """Return the F1 of rows named."""
    return float(2 * (found & truth).sum() / max(1, found.sum() + truth.sum()))


def points(name: str):
    """Load a set as points: the principal components the audit itself uses, or standardised columns."""
    import numpy as np
    from sklearn import datasets

    from hauberk.datasets.streaming import open_stream
    from hauberk.scanning.tables.features import reduced

    if name in ("digits", "mnist5k"):
        batches = list(open_stream(Path(), f"bundled:{name}").batches())
        raw = np.concatenate([batch.vectors for batch in batches])
        return (
            raw,
            reduced(raw, np.random.default_rng(0)),
            np.concatenate([batch.frame["y"].to_numpy() for batch in batches]),
        )
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    x = ((x - x.mean(0)) / x.std(0)).astype(np.float32)
    return x, x, y


def _on_pixels(raw, y, truth, own: float) -> tuple[float, float]:
    """Run the peer on the pixels themselves, as it usually is; ours pays for its components."""
    import numpy as np
    from cleanlab.filter import find_label_issues
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    from hauberk.scanning.tables.features import reduced

    start = time.perf_counter()
    reduced(raw, np.random.default_rng(0))
    middle = time.perf_counter()
    p = cross_val_predict(LogisticRegression(max_iter=1000), raw, y, cv=5, method="predict_proba")
    found = find_label_issues(y, p, n_jobs=1)
    return f1(found, truth), (time.perf_counter() - middle) / (own + middle - start)


def labels() -> dict[str, object]:
    """Compare ours with cleanlab on cross-validated logistic regression, cell by cell."""
    import warnings

    import numpy as np
    from cleanlab.filter import find_label_issues
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    from hauberk.scanning.tables.confident import label_errors
    from hauberk.scanning.tables.probabilities import held_out

    warnings.simplefilter("ignore")
    made: dict[str, object] = {}
    for name, seeds in (("digits", 5), ("mnist5k", 3), ("breast_cancer", 5), ("wine", 5)):
        raw, x, clean = points(name)
        classes, cells, on_pixels = int(clean.max()) + 1, [], []
        for seed in range(seeds):
            for rate in (0.02, 0.05, 0.1):
                for targeted in (False, True):
                    y = flipped(clean, rate, 100 + seed, targeted)
                    start = time.perf_counter()
                    source = held_out(x, y, classes, np.random.default_rng(seed))
                    found = label_errors(y, source.probabilities)
                    middle = time.perf_counter()
                    model = LogisticRegression(max_iter=1000)
                    p = cross_val_predict(model, x, y, cv=5, method="predict_proba")
                    peer = find_label_issues(y, p, n_jobs=1)
                    end = time.perf_counter()
                    same = bool((label_errors(y, p) == peer).all())
                    same &= bool((find_label_issues(y, source.probabilities, n_jobs=1) == found).all())
                    truth = y != clean
                    cells.append((f1(found, truth), f1(peer, truth), (end - middle) / (middle - start), same))
                    if seed == 0 and raw is not x:
                        on_pixels.append(_on_pixels(raw, y, truth, middle - start))
        gaps = [a - b for a, b, _, _ in cells]
        half = 2.05 * stdev(gaps) / math.sqrt(len(gaps))
        made[name] = {
            "cells": len(cells),
            "F1 hauberk": round(mean(a for a, *_ in cells), 3),
            "F1 cleanlab + 5-fold logistic regression": round(mean(b for _, b, *_ in cells), 3),
            "difference": [round(mean(gaps) - half, 3), round(mean(gaps), 3), round(mean(gaps) + half, 3)],
            "peer's time / ours (median)": round(median(t for *_, t, _ in cells), 2),
            "peer on pixels: F1, its time / ours with components": [
                round(mean(c), 3) for c in zip(*on_pixels, strict=True)
            ],
            "same decisions on the same probabilities": all(same for *_, same in cells),
            "cells where the peer is better": sum(gap < 0 for gap in gaps),
        }
        print(name, made[name], flush=True)
    return made


def main() -> None:
    """Run both parts and write the result."""
    if sys.argv[1:2] == ["--worker"]:
        work(sys.argv[2], sys.argv[3])
        return
    asked = sys.argv[1] if len(sys.argv) > 1 else "10000000"
    rows = int(float(asked)) if asked not in ("rules", "labels") else 10_000_000
    earlier = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    versions = {
        name: importlib.metadata.version(name) for name in ("polars", "pyarrow", "numpy", "cleanlab", "scikit-learn")
    }
    if PEERS:
        code = "from importlib.metadata import version as v; print(v('pandera'), v('great_expectations'), v('polars'))"
        said = subprocess.run([PEERS, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        versions |= dict(zip(("pandera", "great_expectations", "polars of the peers"), said, strict=True))
    made = {
        "question": __doc__.splitlines()[0],
        "rules": earlier["rules"] if asked == "labels" else rules(rows),
        "labels": earlier["labels"] if asked == "rules" else labels(),
        "versions": versions | {"python": platform.python_version()},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, shared with other work",
    }
    RESULT.write_text(json.dumps(made, indent=2) + "\n")


if __name__ == "__main__":
    main()
