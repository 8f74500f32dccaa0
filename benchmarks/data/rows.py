"""What do digests of rows cost a seal, beside a seal without them and sha256sum?

A CSV and a Parquet file of a million rows and eight columns, sealed warm, in turn in one process (sha256sum in its
own), three rounds; the median is divided by sha256sum's. Then one cell is changed, one row removed and one added:
`verify` must name exactly these.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from hauberk.api.sealing import new_key, seal
from hauberk.api.verifying import Trust, verify
from hauberk.core.version import __version__

ROUNDS, ROWS = 3, 1_000_000
RESULT = Path(__file__).parents[1] / "results" / "data_rows.json"


def table() -> pl.DataFrame:
    """Make a table of numbers, words and truth values."""
    rng = np.random.default_rng(1)
    return pl.DataFrame(
        {
            "id": np.arange(ROWS),
            "age": rng.integers(18, 90, ROWS),
            "income": rng.normal(50_000, 20_000, ROWS).round(2),
            "score": rng.random(ROWS),
            "state": rng.choice(["CA", "NY", "TX", "WA"], ROWS),
            "job": rng.choice(["nurse", "driver", "teacher", "clerk"], ROWS),
            "owner": rng.random(ROWS) < 0.5,
            "label": rng.integers(0, 2, ROWS),
        }
    )


def measured(runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Time the entrants in turn and divide the medians by sha256sum's."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(rows) for name, rows in seconds.items()}
    return {name: round(value / medians["sha256sum"], 2) for name, value in medians.items()}


def tampered(path: Path, frame: pl.DataFrame) -> None:
    """Change a cell of row 1,000, drop row 5,000, add one at the end."""
    changed = frame.with_columns(pl.when(pl.col("id") == 1000).then(0.0).otherwise(pl.col("income")).alias("income"))
    changed = pl.concat([changed.filter(pl.col("id") != 5000), frame.head(1).with_columns(id=pl.lit(ROWS, pl.Int64))])
    changed.write_csv(path) if path.suffix == ".csv" else changed.write_parquet(path)


def main() -> None:
    """Measure both files and write the ratios."""
    home = Path(tempfile.mkdtemp())
    rows = []
    try:
        key = home / "key.pem"
        new_key(key)
        frame = table()
        for kind in ("csv", "parquet"):
            path = home / f"table.{kind}"
            frame.write_csv(path) if kind == "csv" else frame.write_parquet(path)
            times = measured(
                {
                    "sha256sum": lambda path=path: subprocess.run(["sha256sum", path], check=True, capture_output=True),
                    "hauberk seal --no-rows": lambda path=path: seal(path, key=key, rows=False),
                    "hauberk seal": lambda path=path: seal(path, key=key),
                }
            )
            tampered(path, frame)
            fault = verify(path, Trust(keys=(Path(f"{key}.pub"),))).faults[0].message
            beside = Path(f"{path}.rows").stat().st_size
            rows.append({
                "file": f"a million rows as {kind}", "time / sha256sum": times, "verify says": fault,
                "bytes beside the seal / a row": round(beside / ROWS, 1),
            })  # fmt: skip
    finally:
        shutil.rmtree(home)
    result = {
        "question": (__doc__ or "").splitlines()[0],
        "rows": rows,
        "versions": {
            "hauberk": __version__,
            **{name: importlib.metadata.version(name) for name in ("blake3", "polars", "pyarrow")},
            "python": platform.python_version(),
        },
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
