"""How figures, places, statuses and times are worded, the same in every output."""

from __future__ import annotations

import datetime as dt
import re

from hauberk.core.evidence import Measurement, Severity
from hauberk.core.policy import Status

NORMS = {"linf": "L∞", "l2": "L2", "l1": "L1", "l0": "L0"}
_SHORT = {"auc": "AUC", "tpr": "TPR", "fpr": "FPR", "f1": "F1"}
STATUSES: dict[Status, str] = {
    "met": "Met",
    "not met": "Not met",
    "undecided": "Undecided",
    "not measured": "Not measured",
}
WORST_FIRST: tuple[Severity, ...] = ("critical", "high", "medium", "low", "info")
METHODS = {
    "clopper-pearson": "Clopper–Pearson",
    "wilson": "Wilson",
    "beta-mixture-sequence": "anytime-valid beta-mixture sequence",
    "bootstrap": "bootstrap",
    "delong": "DeLong",
    "mover": "MOVER (square-and-add)",
    "exact": "counted on the whole population",
    "none": "no interval",
}


def title(name: str) -> str:
    """Word a quantity: robust_accuracy → Robust accuracy, tpr_at_0_1pct_fpr → TPR at 0.1 % FPR."""
    name = re.sub(r"(\d+)pct", r"\1 %", re.sub(r"(\d+)_(\d+)pct", r"\1.\2pct", name))
    words = [_SHORT.get(word, word) for word in name.split("_")]
    sentence = " ".join(words)
    return sentence[:1].upper() + sentence[1:]


def opened(words: str) -> str:
    """Begin a sentence with a capital, unless it begins with a name of code such as torch.load or weights_only."""
    return words[:1].upper() + words[1:] if re.match(r"[a-z]+([ ,;:]|$)", words) else words


def is_share(row: Measurement) -> bool:
    """Tell whether a measurement is a share, shown in per cent."""
    return row.unit in ("share", "fraction", "rate")


def is_amount(row: Measurement) -> bool:
    """Tell whether a measurement counts something, such as queries per sample: a 0–1 scale says nothing of it."""
    return not is_share(row) and (row.method == "exact" or max(abs(row.value), abs(row.low), abs(row.high)) > 1)


def number(value: float, *, share: bool) -> str:
    """Word a value: 43.2 % of a share, three decimals of what is small."""
    if share:
        return f"{100 * value:.1f} %"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def value(row: Measurement) -> str:
    """Word a measurement's value; an amount with its unit."""
    if is_amount(row):
        whole = row.value == int(row.value)
        return f"{row.value:,.0f} {row.unit}" if whole else f"{number(row.value, share=False)} {row.unit}"
    return number(row.value, share=is_share(row))


def interval(row: Measurement) -> str:
    """Word a measurement's interval: [40.1, 46.3] in the unit of its value."""
    if row.method == "none":
        return "no interval"
    if row.method == "exact" and row.low == row.high:
        return "counted"
    if is_share(row):
        return f"[{100 * row.low:.1f}, {100 * row.high:.1f}]"
    return f"[{number(row.low, share=False)}, {number(row.high, share=False)}]"


def certainty(row: Measurement) -> str:
    """Word level and method: 95 %, Clopper–Pearson."""
    if row.method in ("none", "exact"):
        return METHODS[row.method]
    return f"{100 * row.level:g} %, {METHODS[row.method]}"


def samples(row: Measurement) -> str:
    """Word how many samples were measured, of how many there were."""
    if row.population is None or row.population == row.n:
        return f"{row.n:,}"
    return f"{row.n:,} of {row.population:,}"


def radius(size: float) -> str:
    """Word a radius, as grey levels of 255 where it is a whole number of them and no short decimal."""
    levels = 255 * size
    short = f"{size:.4g}"
    if abs(levels - round(levels)) < 1e-4 and 0 < levels < 255 and len(f"{size:.10g}") > 6:
        return f"{round(levels)}/255"
    return short


def ball(norm: str, size: float | None) -> str:
    """Word a ball: L∞ ≤ 8/255; empty where there is none."""
    if not norm and size is None:
        return ""
    name = NORMS.get(norm, norm)
    return f"{name} ≤ {radius(size)}" if size is not None else name


def what(row: Measurement) -> str:
    """Word what was measured and under which threat."""
    return f"{title(row.name)}{f' under {row.threat}' if row.threat else ''}"


def inside(words: str) -> str:
    """Put a worded quantity inside a sentence: its first letter small, unless it is an abbreviation."""
    return words if words[1:2].isupper() else words[:1].lower() + words[1:]


def checks(row: Measurement) -> tuple[int, int, int]:
    """Count a measurement's self-checks: passed, failed, not made."""
    marks = [indicator.passed for indicator in row.indicators]
    return marks.count(True), marks.count(False), marks.count(None)


def trust(row: Measurement) -> str:
    """Word how far a headline can be trusted: its failed checks, or that there are none.

    Empty where all passed, or where the quantity needs none (Carlini et al. 2019: robustness claims do).
    """
    if row.role != "headline":
        return ""
    passed, failed, unknown = checks(row)
    if failed:
        return f"upper bound, not trusted: {failed} of {passed + failed + unknown} self-checks failed"
    if not row.indicators and row.name.startswith("robust"):
        return "unchecked: no self-check was made"
    if unknown and not passed:
        return "unchecked: no self-check could be made"
    return ""


def moment(time: dt.datetime) -> str:
    """Word a time to the minute, in UTC where it knows its zone."""
    if time.tzinfo is not None:
        return time.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return time.strftime("%Y-%m-%d %H:%M")


def duration(seconds: float) -> str:
    """Word a length of time: 4.2 s, 1 min 12 s, 2 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def count(n: int, one: str, many: str = "") -> str:
    """Word a number of things: 1 finding, 2 findings."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def listing(items: list[str]) -> str:
    """Join words: a, b and c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""
