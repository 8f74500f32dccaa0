"""What share of `hauberk check examples/digits` is not spent inside a model's forward or backward pass?

Every call of a torch module from outside a module, and every run of the autograd engine, is timed; all else (imports on
the way, scan, projections, confirmation, self-checks' bookkeeping, store, report) is overhead. The goal is below 15 %.
Once with the threads that the check chooses for this model and machine, then held to one thread and to two, each in a
fresh process, by CPU time and by the clock on the wall: a second thread shortens the model's part alone. The whole
check is timed, report included; importing torch before it is not.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

import hauberk
from hauberk.core.version import __version__

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "check_overhead.json"
THREADS = (0, 1, 2)
"""0: what the check chooses."""


class Stopwatch:
    """CPU and wall seconds inside models; a model called by a model counts once."""

    def __init__(self) -> None:
        self.cpu, self.wall, self.depth, self.calls = 0.0, 0.0, 0, 0

    def around(self, function):  # type: ignore[no-untyped-def]
        """Time a function unless it runs inside another timed one."""

        def timed(*arguments, **named):  # type: ignore[no-untyped-def]
            self.depth += 1
            cpu, wall = time.process_time(), time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self.depth -= 1
                if self.depth == 0:
                    self.cpu += time.process_time() - cpu
                    self.wall += time.perf_counter() - wall
                    self.calls += 1

        return timed


def measured(watch: Stopwatch, threads: int) -> dict[str, object]:
    """Run the check once with so many threads."""
    watch.cpu, watch.wall, watch.calls = 0.0, 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        project = Path(shutil.copytree(ROOT / "examples" / "digits", Path(folder) / "digits"))
        if threads:
            with (project / "hauberk.toml").open("a", encoding="utf-8") as text:
                text.write(f"\n[run]\nthreads = {threads}\n")
        cpu, wall = time.process_time(), time.perf_counter()
        made = hauberk.check(project)
        hauberk.report(made, project / "hauberk-report", ("html", "json", "sarif"))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {
        "threads": threads or "as chosen",
        "share outside models, CPU time": round(1 - watch.cpu / cpu, 3),
        "share outside models, wall clock": round(1 - watch.wall / wall, 3),
        "model calls": watch.calls,
        "headlines": sum(row.role == "headline" for row in made.measurements),
    }


def alone(threads: int) -> None:
    """Measure in this process, which has imported nothing of hauberk's but its face, and print the row."""
    watch = Stopwatch()
    torch.nn.Module.__call__ = watch.around(torch.nn.Module.__call__)  # type: ignore[method-assign]
    engine = torch.autograd.graph._engine_run_backward
    torch.autograd.graph._engine_run_backward = torch.autograd._engine_run_backward = watch.around(engine)
    print(json.dumps(measured(watch, threads)))


def main() -> None:
    """Measure each number of threads in a process of its own, and write the shares."""
    if len(sys.argv) > 1:
        alone(int(sys.argv[1]))
        return
    rows = []
    for threads in THREADS:
        done = subprocess.run([sys.executable, __file__, str(threads)], check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    result = {
        "question": (__doc__ or "").splitlines()[0],
        "rows": rows,
        "versions": {"hauberk": __version__, "torch": torch.__version__, "python": platform.python_version()},
        "machine": {"processor": platform.machine(), "capability": torch.backends.cpu.get_cpu_capability()},
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
