"""Does the offline list name the weaknesses of pinned releases, how quickly, and what do peers say without a network?

    python benchmarks/scanning/dependencies.py [folder of the PyPA advisory database]

Three parts. Labels: each record of the database lists the releases it affects one by one; every release that any record
of a package lists is held against every record of that package, by our ranges only. Pins: a file of vulnerable and of
clean pins, scanned by the command line, and by pip-audit (on PATH, or $PIP_AUDIT) in turns, no network. Size: a lock
file of ten thousand packages.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from packaging.utils import canonicalize_name

from hauberk.scanning.advisory import parsed
from hauberk.scanning.known_vulnerable import snapshot
from hauberk.scanning.osv import Record, advisories

ROUNDS = 5
RESULT = Path(__file__).resolve().parents[1] / "results" / "scanning_dependencies.json"
VULNERABLE = (
    "torch==2.5.0", "keras==3.8.0", "transformers==4.30.0", "vllm==0.6.6", "gradio==4.10.0", "mlflow==2.2.0",
    "langchain==0.0.300", "langchain-core==0.3.70", "llama-cpp-python==0.2.60", "onnx==1.15.0", "ray==2.6.0",
    "pillow==9.0.0", "tensorflow==2.4.0", "numpy==1.16.0", "pyyaml==5.3", "requests==2.19.0", "jinja2==2.10",
    "urllib3==1.26.0", "aiohttp==3.8.0", "tornado==6.0", "litellm==1.82.8", "ultralytics==8.3.41", "pyarrow==13.0.0",
    "bentoml==1.4.2", "langflow==1.2.0",
)  # fmt: skip
CLEAN = ("torch==2.13.0", "numpy==2.4.0", "six==1.17.0", "click==8.3.0", "safetensors==0.7.0", "einops==0.8.1")


def labels(folder: Path) -> dict[str, int | float]:
    """Compare our ranges with the releases the database lists one by one."""
    import msgspec
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    records: dict[str, list[tuple[Record, frozenset[str]]]] = {}
    for path in sorted((folder / "vulns").rglob("*.yaml")):
        record = msgspec.convert(yaml.load(path.read_bytes(), loader), Record, strict=False)
        if record.withdrawn is None and record.affected and record.affected[0].versions:
            listed = frozenset(text for text in record.affected[0].versions if parsed(text) is not None)
            records.setdefault(canonicalize_name(record.affected[0].package.name), []).append((record, listed))
    counts = dict.fromkeys(("both", "only listed", "only ours", "neither"), 0)
    for rows in records.values():
        releases = {text for _, listed in rows for text in listed}
        for record, listed in rows:
            bare = msgspec.structs.replace(
                record, affected=[msgspec.structs.replace(part, versions=[]) for part in record.affected]
            )
            found = [row for _, row in advisories(bare)]
            for text in releases:
                version = parsed(text)
                ours = version is not None and any(row.affects(version) for row in found)
                theirs = text in listed
                key = ("both" if ours else "only listed") if theirs else ("only ours" if ours else "neither")
                counts[key] += 1
    hit, missed, extra = counts["both"], counts["only listed"], counts["only ours"]
    return {**counts, "recall": round(hit / (hit + missed), 5), "precision": round(hit / (hit + extra), 5)}


def timed(command: list[str]) -> tuple[float, int, str]:
    """Run once; return seconds, status and output."""
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    return time.perf_counter() - started, done.returncode, done.stdout + done.stderr


def pins(place: Path) -> list[dict[str, object]]:
    """Scan the same pins with each tool in turns."""
    file = place / "requirements.txt"
    file.write_text("\n".join((*VULNERABLE, *CLEAN)) + "\n")
    ours = [sys.executable, "-m", "hauberk", "scan", str(file), "--format", "json"]
    tools = {"hauberk": ours}
    peer = os.environ.get("PIP_AUDIT") or shutil.which("pip-audit")
    if peer:
        tools["pip-audit"] = [peer, "-r", str(file), "--no-deps", "--disable-pip", "--timeout", "5", "-f", "json"]
    seconds: dict[str, list[float]] = {name: [] for name in tools}
    rows: dict[str, dict[str, object]] = {}
    for _ in range(ROUNDS):
        for name, command in tools.items():
            spent, status, output = timed(command)
            seconds[name].append(spent)
            rows[name] = {"tool": name, "exit status": status, **counted(name, output)}
    base = median(seconds["hauberk"])
    return [{**row, "times hauberk's time": round(median(seconds[name]) / base, 2)} for name, row in rows.items()]


def counted(name: str, output: str) -> dict[str, int]:
    """Count the vulnerable and clean pins that a tool names."""
    named: set[str] = set()
    if name == "hauberk":
        report = json.JSONDecoder().raw_decode(output[output.index("{") :])[0]
        named = {
            row["message"].split()[0]
            for row in report["evidence"]
            if row.get("rule") == "dependencies.known_vulnerable"
        }
    elif "{" in output:
        try:
            found = json.JSONDecoder().raw_decode(output[output.index('{"dependencies"') :])[0]
            named = {row["name"] for row in found["dependencies"] if row.get("vulns")}
        except ValueError:
            named = set()
    bad, good = ({text.split("==")[0] for text in group} for group in (VULNERABLE, CLEAN))
    return {
        "vulnerable pins named": len(bad & named),
        "of": len(bad),
        "clean pins named": len((good - bad) & named),
    }


def large(place: Path) -> dict[str, object]:
    """Read a lock file of ten thousand packages."""
    from hauberk.core.project import ScanSection
    from hauberk.scanning.engine import scan

    files = "".join(f'    {{ url = "https://f.example/{n}.whl", hash = "sha256:{n:064x}" }},\n' for n in range(8))
    rows = (f'[[package]]\nname = "pkg-{n}"\nversion = "1.{n}"\nwheels = [\n{files}]\n' for n in range(10_000))
    folder = place / "large"
    folder.mkdir()
    (folder / "uv.lock").write_text("version = 1\n" + "".join(rows))
    started = time.perf_counter()
    entries = sum(1 for _ in scan(folder, ScanSection()))
    spent = time.perf_counter() - started
    return {"bytes": (folder / "uv.lock").stat().st_size, "entries": entries, "seconds below": round(spent + 0.5)}


def main() -> None:
    """Measure, print and write."""
    result: dict[str, object] = {
        "question": (__doc__ or "").partition("\n")[0],
        "list": {
            "packages": len(snapshot().packages),
            "of": snapshot().checked_on.isoformat(),
            "AI packages of": snapshot().curated_on.isoformat(),
        },
    }
    if len(sys.argv) > 1:
        result["labels"] = labels(Path(sys.argv[1]))
    with tempfile.TemporaryDirectory() as place:
        result["pins"] = pins(Path(place))
        result["lock file of 10,000 packages"] = large(Path(place))
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
