"""Run every benchmark below this folder, one after the other; each writes its result beside it as JSON."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Run the scripts in path order; names on the command line choose some."""
    wanted = sys.argv[1:]
    failed = []
    for path in sorted(HERE.rglob("*.py")):
        name = path.relative_to(HERE).with_suffix("").as_posix()
        if path == Path(__file__).resolve() or path.name.startswith("_") or (wanted and name not in wanted):
            continue
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, str(path)], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
