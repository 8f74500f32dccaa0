"""How a finding about steered data is worded and weighed: by who steers it and how sure that is."""

from __future__ import annotations

from hauberk.core.evidence import SEVERITIES, Confidence, Severity
from hauberk.scanning.artifact import Draft, Place
from hauberk.scanning.python_values import CallSite, Taint


def tainted_draft(
    site_place: Place,
    taint: Taint,
    sink: str,
    message: str,
    fix: str,
    severity: Severity,
    references: tuple[str, ...] = (),
) -> Draft:
    """Word a draft: lower by one where only a name suggests the source, low where an unread check stands between.

    sink: the last step of the trace.
    """
    confidence: Confidence = "high" if taint.sure else "medium"
    if not taint.sure:
        severity = SEVERITIES[max(1, SEVERITIES.index(severity) - 1)]
    if "judged" in taint.safe_for:
        severity, confidence = "low", "low"
        message += "; a function whose name promises a check stands between, and was not judged"
    return Draft(
        message=message,
        fix=fix,
        severity=severity,
        confidence=confidence,
        place=site_place,
        trace=(*taint.trace(), f"line {site_place.line}: {sink}"),
        references=references,
    )


def sink_of(site: CallSite) -> str:
    """Write the last step of a trace."""
    return f"into {site.path.replace('?', '').lstrip(':.')}()"
