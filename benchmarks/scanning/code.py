"""How much of what is wrong in AI applications' code is named, what is said of sound code, and how long does it take?

    python benchmarks/scanning/code.py [bandit] [folder of Python code to time on]

Snippets (code_samples.txt) are vulnerable programs and safe twins by class, some as notebooks, some of several modules;
we wrote them, so that ours has home advantage. A vulnerable one is found if anything from severity low says so, and
flagged if something from medium does; a safe one is flagged from medium. Peers: bandit and ruff's S rules, where they
are; they have no idea of most classes, and what they name besides the point is counted as found. Time: whole processes
over one large tree (this environment's own packages unless told otherwise) in turns.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from hauberk.core.evidence import Finding, severity_rank
from hauberk.scanning.engine import scan

HERE = Path(__file__).resolve()
RESULT = HERE.parents[1] / "results" / "scanning_code.json"
ROUNDS = 3
PACKAGES = ("sklearn", "networkx", "sqlalchemy", "starlette", "uvicorn", "requests", "joblib", "pandas")


class Sample(NamedTuple):
    """One snippet. files: name → text."""

    kind: str
    vulnerable: bool
    name: str
    files: dict[str, str]


class Verdict(NamedTuple):
    """What a tool says of a snippet."""

    found: bool
    flagged: bool


def samples() -> Iterator[Sample]:
    """Read the snippets."""
    for piece in HERE.with_name("code_samples.txt").read_text(encoding="utf-8").split("=== ")[1:]:
        head, _, body = piece.partition("\n")
        kind, label, name = (part.strip() for part in head.split("|"))
        yield Sample(kind, label == "bad", name, dict(_files(body, kind == "notebook")))


def _files(body: str, notebook: bool) -> Iterator[tuple[str, str]]:
    if "### file " in body:
        for piece in body.split("### file ")[1:]:
            name, _, text = piece.partition("\n")
            yield name.strip(), text
    elif notebook:
        plain = {"cell_type": "code", "outputs": [], "metadata": {}, "execution_count": None}
        cells = [{**plain, "source": cell.splitlines(keepends=True)} for cell in body.split("### cell\n")]
        yield "book.ipynb", json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})
    else:
        yield "app.py", body


def ours(folder: Path) -> Verdict:
    """Scan with our own rules for code."""
    findings = [entry for entry in scan(folder, jobs=1) if isinstance(entry, Finding)]
    worst = max((severity_rank(finding.severity) for finding in findings), default=-1)
    return Verdict(worst >= severity_rank("low"), worst >= severity_rank("medium"))


def bandit(program: str) -> Callable[[Path], Verdict]:
    """Scan with bandit; its severities are as coarse as ours."""

    def run(folder: Path) -> Verdict:
        done = subprocess.run([program, "-q", "-r", folder, "-f", "json"], capture_output=True, check=False)
        found = [row["issue_severity"] for row in json.loads(done.stdout or b'{"results": []}')["results"]]
        return Verdict(bool(found), any(severity != "LOW" for severity in found))

    return run


def ruff(program: str) -> Callable[[Path], Verdict]:
    """Scan with ruff's S rules; they have no severity, so that found is flagged."""

    def run(folder: Path) -> Verdict:
        options = ["check", "--isolated", "--no-cache", "--select", "S", "--output-format", "json", "--exit-zero"]
        done = subprocess.run([program, *options, "--", folder], capture_output=True, check=False)
        found = bool(json.loads(done.stdout or b"[]"))
        return Verdict(found, found)

    return run


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % score interval of a rate."""
    z, rate = 1.959964, hits / n
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return round(middle - half, 3), round(middle + half, 3)


def judged(tools: dict[str, Callable[[Path], Verdict]]) -> dict[str, object]:
    """Let every tool judge every snippet."""
    rows = list(samples())
    bad, safe = sum(row.vulnerable for row in rows), sum(not row.vulnerable for row in rows)
    result: dict[str, object] = {"vulnerable": bad, "safe": safe}
    for tool, judge in tools.items():
        counts: Counter[str] = Counter()
        missed = []
        for row in rows:
            with tempfile.TemporaryDirectory() as folder:
                for name, text in row.files.items():
                    path = Path(folder, name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(text, encoding="utf-8")
                verdict = judge(Path(folder))
            counts["found"] += row.vulnerable and verdict.found
            counts["flagged"] += row.vulnerable and verdict.flagged
            counts["false"] += not row.vulnerable and verdict.flagged
            if row.vulnerable and not verdict.flagged:
                missed.append(f"{row.kind}/{row.name}")
        precision = counts["flagged"] / max(1, counts["flagged"] + counts["false"])
        result[tool] = {
            "found": counts["found"],
            "flagged": counts["flagged"],
            "recall": round(counts["flagged"] / bad, 3),
            "recall_95": wilson(counts["flagged"], bad),
            "safe_flagged": counts["false"],
            "safe_flagged_95": wilson(counts["false"], safe),
            "precision": round(precision, 3),
            "missed": missed if tool == "ours" else len(missed),
        }
    return result


def timed(commands: dict[str, list[str]], tree: Path) -> dict[str, object]:
    """Time whole processes over one tree in turns; ratios to the first."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            begun = time.perf_counter()
            subprocess.run([*command, os.fspath(tree)], capture_output=True, check=False, cwd=tree.parent)
            seconds[name].append(time.perf_counter() - begun)
    files = list(tree.rglob("*.py"))
    reference = median(seconds["bandit"] if "bandit" in seconds else seconds["ours, one process"])
    return {
        "files": len(files),
        "lines": sum(path.read_bytes().count(b"\n") for path in files),
        "reference": "bandit" if "bandit" in seconds else "ours, one process",
        "ratio": {name: round(median(rows) / reference, 3) for name, rows in seconds.items()},
    }


def a_tree(folder: Path) -> Path:
    """Copy the Python files of some installed packages, without their tests."""
    import importlib.util

    tree = folder / "tree"
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin:
            source = Path(spec.origin).parent
            wanted = shutil.ignore_patterns(
                "tests", "*.so", "*.pyi", "*.json", "*.gz", "*.csv", "*.pyx", "*.pxd", "*.txt"
            )
            shutil.copytree(source, tree / package, ignore=wanted)
    for path in tree.rglob("*"):
        if path.is_file() and path.suffix != ".py":
            path.unlink()
    return tree


def main() -> None:
    """Measure and write the result."""
    program = sys.argv[1] if len(sys.argv) > 1 else shutil.which("bandit")
    engine = Path(sys.executable).with_name("ruff")
    tools: dict[str, Callable[[Path], Verdict]] = {"ours": ours}
    own = [sys.executable, "-c", "import sys; from pathlib import Path; from hauberk.scanning.engine import scan;"
           "list(scan(Path(sys.argv[2]), jobs=int(sys.argv[1])))"]  # fmt: skip
    commands = {"ours, one process": [*own, "1"], "ours, two processes": [*own, "2"]}
    if program:
        tools["bandit"] = bandit(program)
        commands["bandit"] = [program, "-q", "-r", "-f", "json"]
    if engine.is_file():
        tools["ruff S"] = ruff(os.fspath(engine))
        commands["ruff S"] = [os.fspath(engine), "check", "--isolated", "--no-cache", "--select", "S", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(sys.argv[2]) if len(sys.argv) > 2 else a_tree(Path(folder))
        result = {"snippets": judged(tools), "time": timed(commands, tree)}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
