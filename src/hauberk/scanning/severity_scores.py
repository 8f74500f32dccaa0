"""A severity from what an advisory says of itself: a word, a CVSS 3 vector, or, failing both, its text."""

from __future__ import annotations

import math
import re

from hauberk.core.evidence import Severity

_WORDS: dict[str, Severity] = {
    "critical": "critical", "high": "high", "important": "high", "moderate": "medium", "medium": "medium", "low": "low",
}  # fmt: skip
_WEIGHTS = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "UI": {"N": 0.85, "R": 0.62},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0},
    "I": {"H": 0.56, "L": 0.22, "N": 0.0},
    "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}
"""CVSS v3.1 specification, section 7.4."""
_PRIVILEGES = {"U": {"N": 0.85, "L": 0.62, "H": 0.27}, "C": {"N": 0.85, "L": 0.68, "H": 0.5}}
_GRAVE = re.compile(
    r"arbitrary (?:\w+ )?(?:code|command)|(?:code|command) (?:execution|injection)|remote code|\bRCE\b|sql injection"
    r"|malicious (?:code|package)|backdoor|deseriali[sz]|authentication bypass|typosquat",
    re.I,
)


def of_word(word: str) -> Severity | None:
    """Read a database's own word."""
    return _WORDS.get(word.strip().lower())


def of_vector(vector: str) -> Severity | None:
    """Rate a CVSS 3.0 or 3.1 vector by its base score; None for other versions and broken vectors."""
    score = base_score(vector)
    if score is None:
        return None
    bands: tuple[tuple[float, Severity], ...] = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.1, "low"))
    return next((name for low, name in bands if score >= low), "info")


def base_score(vector: str) -> float | None:
    """Compute the base score of CVSS v3.1, section 7.1; None where the vector is not one."""
    head, *rows = vector.strip().split("/")
    if head not in ("CVSS:3.0", "CVSS:3.1"):
        return None
    metrics = dict(row.split(":", 1) for row in rows if ":" in row)
    try:
        weights = {name: table[metrics[name]] for name, table in _WEIGHTS.items()}
        privileges, changed = _PRIVILEGES[metrics["S"]][metrics["PR"]], metrics["S"] == "C"
    except KeyError:
        return None
    inner = 1 - (1 - weights["C"]) * (1 - weights["I"]) * (1 - weights["A"])
    impact = 7.52 * (inner - 0.029) - 3.25 * (inner - 0.02) ** 15 if changed else 6.42 * inner
    if impact <= 0:
        return 0.0
    exploitability = 8.22 * weights["AV"] * weights["AC"] * privileges * weights["UI"]
    total = min(1.08 * (impact + exploitability) if changed else impact + exploitability, 10.0)
    # Appendix A rounds up in whole hundred-thousandths, so that binary fractions do not add a tenth.
    return math.ceil(round(total * 100_000) / 10_000) / 10


def of_text(text: str) -> Severity:
    """Guess from words where nobody rated: what runs code or lets a stranger in is high, the rest medium."""
    return "high" if _GRAVE.search(text) else "medium"
