"""Word the benchmarks' results as tables: every row a script wrote is shown, losses as well as wins."""

from __future__ import annotations

import json
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
INTRO = """# Benchmarks

Each table answers the question above it. A script under `benchmarks/` made it; peers and the bare loop ran interleaved
in one process on the same model, samples and budget. A ratio is process CPU time over the bare loop's in the same
repetition, or over the row the script names; the machines are shared, so single ratios spread, and no absolute time is
quoted. Quality figures carry 95 % intervals. A library that was not installed is a row that says so. `make bench` makes
them anew.
"""


def page(note: str) -> str:
    """Word the page; `note` says what writes it."""
    rows = [note, INTRO.strip()]
    for path in sorted(RESULTS.glob("*.json")):
        rows += ["", *section(path.stem, json.loads(path.read_text(encoding="utf-8")))]
    return "\n".join(rows) + "\n"


def section(name: str, result: dict[str, object]) -> list[str]:
    """Word one result: its question, its tables, and on what it was made."""
    rows = [f"## {name.replace('_', ' ')}", "", str(result.get("question", "")), ""]
    plain = {key: value for key, value in result.items() if not isinstance(value, dict | list) and key != "question"}
    rows += [f"- {words(key)}: {figure(value)}" for key, value in plain.items()]
    for key, value in result.items():
        rows += tables(words(key), value)
    for key in ("settings", "versions", "machine"):
        value = result.get(key)
        if isinstance(value, dict):
            rows += ["", f"{words(key).capitalize()}: " + ", ".join(f"{one} {figure(it)}" for one, it in value.items())]
    return rows


def tables(title: str, value: object) -> list[str]:
    """Word every list of rows found in a value, however deep, under the names that lead there."""
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return ["", f"**{title}**", "", *table(value)]
    if not isinstance(value, dict):
        return []
    facts = ", ".join(f"{words(key)} {figure(it)}" for key, it in value.items() if not isinstance(it, dict | list))
    rows: list[str] = []
    for key, inner in value.items():
        name = title if key == "rows" else f"{title}, {words(key)}"
        rows += tables(f"{name} ({facts})" if facts and key == "rows" else name, inner)
    return rows


def table(rows: list[dict[str, object]]) -> list[str]:
    """Word rows; what no row has is no column, and "measured" goes without saying."""
    keys = list(dict.fromkeys(key for row in rows for key in row if key != "status"))
    lines = ["| " + " | ".join(map(words, keys)) + " |", "|" + "---|" * len(keys)]
    for row in rows:
        status = row.get("status", "measured")
        cells = [figure(row[key]) if key in row else "" for key in keys]
        if status != "measured":
            cells = [cells[0], str(status), *cells[2:]]
        lines.append("| " + " | ".join(cells[: len(keys)]) + " |")
    return lines


def words(key: str) -> str:
    """Word a key."""
    return str(key).replace("_", " ")


def figure(value: object) -> str:
    """Word a value."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(figure, value)) + "]"
    if isinstance(value, dict):
        return ", ".join(f"{words(key)} {figure(inner)}" for key, inner in value.items())
    return str(value).replace("|", "\\|")
