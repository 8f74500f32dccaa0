"""How tight and how quick is the answer to "what is ε of this run?", beside dp-accounting at its defaults and Opacus?

Four settings others are measured on, and three more. Every answer is for the same rate, noise, steps and δ. Loose: ε
over that of dp-accounting's PLD at grid 1e-4. Time: process CPU seconds over those of that same grid (median of the
rounds, caches emptied). GDP is shown as Opacus gives it, beside what is proven: hauberk refuses it.
Peers: pip install --no-deps opacus opt_einsum (on PYTHONPATH).
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "attacks"))
from _models import machine, versions

from hauberk.core.privacy_events import SampledRelease
from hauberk.numeric import accounting

SETTINGS = [
    (256 / 60000, 1.1, 14062, 1e-5),
    (0.02, 1.0, 5000, 1e-5),
    (1e-3, 0.6, 1000, 1e-6),
    (256 / 60000, 1.1, 100_000, 1e-5),
    (0.1, 8.0, 100, 1e-6),
    (0.05, 2.0, 200, 1e-5),
    (0.5, 1.0, 10, 1e-5),
]
ROUNDS = 5


def own(rate: float, noise: float, steps: int, delta: float) -> float:
    for cache in (accounting._one, accounting._distribution, accounting._bounded):
        cache.cache_clear()
    return accounting.epsilon((SampledRelease(rate=rate, noise=noise, count=steps),), delta).epsilon


def library(kind: str, rate: float, noise: float, steps: int, delta: float) -> float:
    import dp_accounting
    from dp_accounting import pld, rdp

    accountant = pld.PLDAccountant() if kind == "pld" else rdp.RdpAccountant()
    event = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise))
    accountant.compose(dp_accounting.SelfComposedDpEvent(event, steps))
    return accountant.get_epsilon(delta)


def opacus(kind: str, rate: float, noise: float, steps: int, delta: float) -> float:
    from opacus.accountants import create_accountant

    accountant = create_accountant(kind)
    accountant.history = [(noise, rate, steps)]
    return accountant.get_epsilon(delta=delta)


ENTRANTS: dict[str, Callable[..., float]] = {
    "dp-accounting PLD, grid 1e-4": lambda *row: library("pld", *row),
    "hauberk": own,
    "dp-accounting RDP": lambda *row: library("rdp", *row),
    "Opacus RDP": lambda *row: opacus("rdp", *row),
    "Opacus PRV": lambda *row: opacus("prv", *row),
    "Opacus GDP (no bound)": lambda *row: opacus("gdp", *row),
}


def main() -> None:
    warnings.simplefilter("ignore")
    from absl import logging

    logging.set_verbosity(logging.ERROR)
    accounting.library()
    rows = []
    for setting in SETTINGS:
        seconds: dict[str, list[float]] = {}
        found: dict[str, float | str] = {}
        for _ in range(ROUNDS):
            for name, make in ENTRANTS.items():
                begun = time.process_time()
                try:
                    found[name] = float(make(*setting))
                except Exception as error:  # a peer that is missing or fails at this setting is a row that says so
                    found[name] = f"{type(error).__name__}: {error}"[:80]
                    continue
                seconds.setdefault(name, []).append(time.process_time() - begun)
        base = found["dp-accounting PLD, grid 1e-4"]
        slow = statistics.median(seconds["dp-accounting PLD, grid 1e-4"])
        for name, value in found.items():
            row = {"rate": round(setting[0], 6), "noise": setting[1], "steps": setting[2], "delta": setting[3]}
            if isinstance(value, str):
                rows.append(row | {"accountant": name, "missing": value})
            else:
                time_ratio = round(statistics.median(seconds[name]) / slow, 3)
                row |= {"accountant": name, "epsilon": round(value, 4), "over PLD 1e-4": round(value / base, 4)}
                rows.append(row | {"time over PLD 1e-4": time_ratio})
            print(rows[-1], flush=True)
    own_rows = [row for row in rows if row["accountant"] == "hauberk"]
    result = {
        "question": (__doc__ or "").partition("\n")[0],
        "versions": versions("dp-accounting", "opacus"),
        "machine": machine(),
        "loosest of hauberk": max(row["over PLD 1e-4"] for row in own_rows),
        "slowest of hauberk, time over PLD 1e-4": max(row["time over PLD 1e-4"] for row in own_rows),
        "rows": rows,
    }
    path = Path(__file__).parents[1] / "results" / "privacy_accounting.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
