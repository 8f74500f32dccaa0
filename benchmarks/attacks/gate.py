"""How many samples does `--decide` need to answer "is robust accuracy at least 60 %?", and how often is it wrong?

Simulated draws of a model whose robust accuracy is known, looked at as the engine does: after every chunk of 16
samples, by an anytime-valid interval each end of which holds with 95 %, 1,000 samples at most. By custom 1,000 samples
are attacked whatever they show. A decision is wrong where the whole interval lies on the wrong side of the bound.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np

from hauberk.attacks.engine import Plan
from hauberk.numeric.intervals import Interval, clopper_pearson, focused_mixture

GATE, CAP, RUNS = 0.60, 1000, 2000
TRUTHS = (0.30, 0.45, 0.50, 0.55, 0.58, 0.62, 0.65, 0.70, 0.78, 0.90)
PLAN = Plan(gates=(GATE,))


@cache
def interval(k: int, n: int) -> Interval:
    """Return the interval the engine would look at."""
    return focused_mixture(k, n)


def one(truth: float, rng: np.random.Generator) -> tuple[int, bool, bool]:
    """Return samples used, whether it was decided, and whether wrongly."""
    found = np.cumsum(rng.random(CAP) < truth)
    for n in range(PLAN.size, CAP + 1, PLAN.size):
        seen = interval(int(found[n - 1]), n)
        if PLAN.answered(seen):
            return n, True, (seen.low >= GATE) != (truth >= GATE)
    return CAP, False, False


def main() -> None:
    """Simulate, print and write."""
    rng = np.random.default_rng(0)
    rows = []
    for truth in TRUTHS:
        runs = [one(truth, rng) for _ in range(RUNS)]
        samples = np.array([row[0] for row in runs])
        wrong = clopper_pearson(sum(row[2] for row in runs), RUNS)
        rows.append(
            {
                "true robust accuracy": truth,
                "mean samples": round(float(samples.mean()), 1),
                "95th percentile": int(np.quantile(samples, 0.95)),
                "undecided": round(1 - sum(row[1] for row in runs) / RUNS, 4),
                "wrong": round(wrong.value, 4),
                "wrong, high 95": round(wrong.high, 4),
                "of 1,000 by custom": round(float(samples.mean()) / CAP, 3),
            }
        )
        print(rows[-1])
    result = {"question": (__doc__ or "").partition("\n")[0], "settings": {"gate": GATE, "runs": RUNS}, "rows": rows}
    path = Path(__file__).parents[1] / "results" / "attacks_gate.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
