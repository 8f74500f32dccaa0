"""A finding's identity over time: the same fault keeps its fingerprint when lines above it move."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence

from hauberk.core.encoding import canonical
from hauberk.core.evidence import Finding

_POSITION = re.compile(r"\b(lines?|columns?|col|offset|bytes?|position|cell)([ :@]*)(0x[0-9a-f]+|\d+)", re.IGNORECASE)


def fingerprint(finding: Finding) -> str:
    """Digest rule, place in the project and message; neither line, column, offset nor what the message says of them."""
    message = " ".join(_POSITION.sub(r"\1\2*", finding.message).split())
    key = (finding.rule, finding.location.path, finding.location.part, message)
    return hashlib.sha256(canonical(key)).hexdigest()[:32]


def fingerprints(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Digest findings in their order; the second, third … of equal ones get ":2", ":3" so that each is its own."""
    seen: Counter[str] = Counter()
    rows = []
    order = sorted(range(len(findings)), key=lambda index: (*_position(findings[index]), index))
    marks: dict[int, str] = {}
    for index in order:
        mark = fingerprint(findings[index])
        seen[mark] += 1
        marks[index] = mark if seen[mark] == 1 else f"{mark}:{seen[mark]}"
    rows = [marks[index] for index in range(len(findings))]
    return tuple(rows)


def _position(finding: Finding) -> tuple[int, int, int]:
    place = finding.location
    return (place.line or 0, place.column or 0, place.offset or 0)
