"""The model card of a hardened model, in Markdown, made from the evidence of its report and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from hauberk.core.evidence import Measurement
from hauberk.core.plugins import Listing, listing, load
from hauberk.core.report import Report


def model_card(report: Report, defense: str, why: str, weights: bytes) -> str:
    """Write the card. defense: full plug-in name. why: it was chosen; empty where the user named it."""
    return "\n".join(_lines(report, listing("defenses", defense), why, weights)) + "\n"


def _lines(report: Report, entry: Listing, why: str, weights: bytes) -> Iterator[str]:
    target, dataset = report.target, report.dataset
    yield f"# {_plain(report.project)}, hardened by {entry.card.title.lower()}"
    yield ""
    yield f"Made by hauberk {report.version} with `{_plain(report.command)}`, seed {report.seed}."
    if report.interrupted or not _changes(report):
        yield "\n**The training was broken off: these weights were not examined.**"
    yield "\n## Model\n"
    if target is not None:
        low, high = target.bounds
        yield f"- {_plain(target.name)}: inputs {list(target.shape)} in [{low:g}, {high:g}], {target.classes} classes."
    if dataset is not None:
        yield f"- Data: {_plain(dataset.name)}, {dataset.train} training and {dataset.test} test samples."
    yield f"- Weights: safetensors, sha256:{hashlib.sha256(weights).hexdigest()}."
    for digest in report.digests:
        yield f"- Digest of {_plain(digest.name)}: `{digest.value}`."
    yield "\n## Defense\n"
    yield f"{entry.card.summary} {entry.card.paper}."
    if why:
        yield f"\nChosen because {_plain(why)}."
    yield f"\n{_words(entry)}"
    yield from _settings(report)
    yield "\n## Before and after\n"
    yield from _table(report)
    yield "\n## What this rests on\n"
    yield from _ground(report)
    yield "\n## What was not looked at\n"
    gaps = [f"- {_plain(row.subject)}: {_plain(row.reason)}." for row in report.skipped]
    yield from gaps or ["- Nothing was left out of what this run set out to do."]
    yield "- Attackers other than the threat above: another norm, a larger radius, poisoned training data, theft."


def _words(entry: Listing) -> str:
    """Return what the defense's own docstring says of it, settings left out."""
    import inspect

    parts = (inspect.getdoc(load("defenses", entry.name)) or "").split("\n\n")
    return " ".join(" ".join(parts[:2]).split())


def _settings(report: Report) -> Iterator[str]:
    row = next((row for row in report.measurements if row.provenance.recipe.startswith("defenses.")), None)
    if row is not None and row.provenance.settings:
        rows = ", ".join(f"{setting.name} {setting.value}" for setting in row.provenance.settings)
        yield f"\nSettings: {rows}."


def _changes(report: Report) -> list[Measurement]:
    return [row for row in report.measurements if row.name.endswith("_change")]


def _table(report: Report) -> Iterator[str]:
    yield "| measured on test samples | before | after | change |"
    yield "|---|---|---|---|"
    for change in _changes(report):
        name = change.name.removesuffix("_change")
        pair = [row for row in report.measurements if row.name == name and row.threat == change.threat]
        before = next((row for row in pair if row.note.startswith("before hardening")), None)
        after = next((row for row in pair if row.role == "headline"), None)
        if before is None or after is None:
            continue
        where = f" under {_plain(change.threat)}" if change.threat and name != "clean_accuracy" else ""
        figures = " | ".join(_figure(row) for row in (before, after, change))
        yield f"| {name.replace('_', ' ')}{where} | {figures} |"
    for row in report.measurements:
        if row.name in ("parameters_ratio", "answer_time_ratio"):
            yield f"| {row.name.replace('_', ' ')} | 1 | {row.value:.2f} | {_plain(row.note)} |"


def _figure(row: Measurement) -> str:
    return f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"


def _ground(report: Report) -> Iterator[str]:
    seen = set()
    for row in (*_changes(report), *report.measurements):
        for check in row.indicators:
            if check.name not in seen and (row.role == "headline" or row.name.endswith("_change")):
                seen.add(check.name)
                word = {True: "passed", False: "**failed**", None: "not made"}[check.passed]
                yield f"- {check.name.replace('_', ' ')}: {word}. {_plain(check.detail)}"
    for row in report.measurements:
        if row.name == "held_out_robust_accuracy":
            yield f"- Training: {_plain(row.note)}."
    yield "- Intervals in brackets cover the truth with 95 % probability; before and after share samples and seeds."


def _plain(text: str) -> str:
    """Keep names from the project from being read as Markdown."""
    return "".join("\\" + letter if letter in "\\`*_[]<>|#" else letter for letter in text.replace("\n", " "))
