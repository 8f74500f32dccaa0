"""What share of `hauberk check examples/digits` is not spent inside a model's forward or backward pass?

Every call of a torch module from outside a module, and every run of the autograd engine, is timed; all else (imports,
scan, projections, confirmation, self-checks' bookkeeping, store, report) is overhead. The goal is below 15 %.
"""

from __future__ import annotations

import time

STARTED = time.perf_counter()

import json
import platform
import shutil
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "check_overhead.json"


class Stopwatch:
    """Seconds inside models; a model called by a model counts once."""

    def __init__(self) -> None:
        self.seconds, self.depth, self.calls = 0.0, 0, 0

    def around(self, function):  # type: ignore[no-untyped-def]
        """Time a function unless it runs inside another timed one."""

        def timed(*arguments, **named):  # type: ignore[no-untyped-def]
            self.depth += 1
            start = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self.depth -= 1
                if self.depth == 0:
                    self.seconds += time.perf_counter() - start
                    self.calls += 1

        return timed


def main() -> None:
    """Run the check once, whole process, and write the share."""
    import torch

    import hauberk
    from hauberk.api.reporting import report
    from hauberk.core.version import __version__

    watch = Stopwatch()
    torch.nn.Module.__call__ = watch.around(torch.nn.Module.__call__)  # type: ignore[method-assign]
    engine = torch.autograd.graph._engine_run_backward
    torch.autograd.graph._engine_run_backward = torch.autograd._engine_run_backward = watch.around(engine)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(shutil.copytree(ROOT / "examples" / "digits", Path(folder) / "digits"))
        begun = time.perf_counter()
        made = hauberk.check(project)
        report(made, project / "hauberk-report", ("html", "json", "sarif"))
        ended = time.perf_counter()
    result = {
        "question": (__doc__ or "").splitlines()[0],
        "share_outside_models_of_the_check": round(1 - watch.seconds / (ended - begun), 4),
        "share_outside_models_of_the_whole_process": round(1 - watch.seconds / (ended - STARTED), 4),
        "model_calls": watch.calls,
        "samples": {row.threat: row.n for row in made.measurements if row.role == "headline"},
        "versions": {"hauberk": __version__, "torch": torch.__version__, "python": platform.python_version()},
        "machine": {"processor": platform.machine(), "threads": torch.get_num_threads()},
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    print({row.name: row.seconds for row in made.timings}, "whole check", round(ended - begun, 1))


if __name__ == "__main__":
    main()
