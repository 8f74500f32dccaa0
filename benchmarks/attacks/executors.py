"""How much sooner do two workers end an attack than one, and do they measure the same?

The digits network of examples/digits under L∞ 0.1, the quick cascade, chunks of 32 samples. Workers have their models
open before the clock starts; one and two workers take turns. The ratio depends on what else the machine does: its load
average (of all processes, when a turn begins) stands beside it. Serial is the same work in this process.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from pathlib import Path

import torch

from hauberk.api.executing_processes import Processes
from hauberk.api.executing_ray import Ray
from hauberk.api.executing_work import carry_out, evasion_job
from hauberk.api.subject import open_subject
from hauberk.core.encoding import canonical, decode
from hauberk.core.executing import Done, Executor, Job, Order
from hauberk.core.project import Project, RunSection, ThreatSection, read

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "digits"
PARTS, CHUNK, TURNS = 4, 32, 3


class Serial:
    """The same work here."""

    def map(self, job: Job, parts: range) -> list[Done]:
        """Carry out one part after the other."""
        return [decode(carry_out(canonical(Order(job, part))), Done) for part in parts]


def job() -> Job:
    """Write down what is to be done."""
    project: Project = read(FOLDER)
    section = ThreatSection(norm="linf", radius=0.1, samples=PARTS * CHUNK)
    changed = Project(
        name="digits", model=project.model, data=project.data, threats={"pixels": section}, run=RunSection(chunk=CHUNK)
    )
    subject = open_subject(changed, FOLDER)
    return evasion_job(changed, FOLDER, "pixels", 0, subject.target.spec.digest, subject.dataset.spec.digest)


def turn(executor: Executor | Serial, work: Job) -> tuple[float, list[str]]:
    """Time one turn; return seconds and the outcomes by part."""
    begun = time.perf_counter()
    rows = sorted(executor.map(work, range(PARTS)), key=lambda row: row.part)  # type: ignore[arg-type]
    assert not any(row.fault for row in rows), rows
    return time.perf_counter() - begun, [row.state for row in rows]


def main() -> None:
    """Measure, print and write."""
    torch.set_num_threads(1)
    work = job()
    seconds: dict[str, list[float]] = {}
    loads, states = [], []
    with Processes(1) as one, Processes(2) as two, Ray(2) as cluster, Ray(1) as single:
        places = {"serial": Serial(), "processes 1": one, "processes 2": two, "ray 1": single, "ray 2": cluster}
        for place in places.values():
            list(place.map(work, range(2)))  # type: ignore[arg-type]
        for _ in range(TURNS):
            loads.append(round(os.getloadavg()[0], 1))
            for name, place in places.items():
                took, found = turn(place, work)
                seconds.setdefault(name, []).append(took)
                states.append(found)
                print(name, round(took / seconds["serial"][-1], 2), flush=True)
    middle = {name: statistics.median(rows) for name, rows in seconds.items()}
    result = {
        "question": (__doc__ or "").partition("\n")[0],
        "settings": {"chunks": PARTS, "samples of each": CHUNK, "turns": TURNS, "cores": os.cpu_count()},
        "load average before each turn": loads,
        "the same outcomes to the digit": all(found == states[0] for found in states),
        "times as fast as serial": {name: round(middle["serial"] / row, 2) for name, row in middle.items()},
        "two workers, times as fast as one": {
            kind: round(middle[f"{kind} 1"] / middle[f"{kind} 2"], 2) for kind in ("processes", "ray")
        },
        "of each turn": {
            kind: [round(a / b, 2) for a, b in zip(seconds[f"{kind} 1"], seconds[f"{kind} 2"], strict=True)]
            for kind in ("processes", "ray")
        },
    }
    print(result)
    path = ROOT / "benchmarks" / "results" / "attacks_executors.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
